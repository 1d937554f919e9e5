"""Pods as kube-apiserver writes them, with the few parts that change spliced in, not taken apart. Pure.

kube-apiserver writes the members of an object in the order of its Go types: metadata, spec, status, and in metadata
the annotations before managedFields, which end it. An unescaped quote is never inside a JSON string, so bytes that have
one are where they seem to be; and members of the maps in metadata (labels, annotations) are strings, so that
``"spec":{`` is found in none of them. Whatever looks otherwise is left to ``shown``, which takes it apart.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import msgspec

from podnet_api import names
from podnet_api.proxy import carriage, ownership, podips
from podnet_api.proxy.carriers import POD

_HEAD = re.compile(rb'\{(?:"type":"\w+","object":\{)?(?:"kind":"Pod","apiVersion":"v1",)?"metadata":\{')
_SPEC = b'},"spec":{'
_ANNOTATIONS = b'"annotations":{'
_MANAGED = b'"managedFields":['
_FIELDS = b'"fieldsV1":{'
_ENTRY = b'},{"'
_SUBRESOURCE = b',"subresource":"'
_ADDRESSES = b'"podIPs":['
_ITEM = b'{"metadata":{"name":"'
_CREATED = b'"creationTimestamp":"'
REMEMBERED = 8192
"""Items of which the cuts are remembered: a few KB each."""
_OWNED_SPEC = b'"f:spec":{"'
"""What somebody owns of the spec: the first that is not empty, as that of an annotation called spec is."""
_OWNED_FIELD = b'"f:networks":{},'
_OWNED = f'"f:{names.NETWORKS_ANNOTATION}"'.encode()
_TEXT = msgspec.json.Decoder(str)
Cut = tuple[int, int, bytes]
"""From, to, and what takes the place of the bytes between."""


def _value(key: str) -> re.Pattern[bytes]:
    """A member that is a string, with its quotes."""
    return re.compile(rf'"{re.escape(key)}":("[^"\\]*(?:\\.[^"\\]*)*")'.encode())


_LISTED, _SAID = _value(names.NETWORKS_ANNOTATION), _value(names.STATUS_ANNOTATION)


@dataclass(frozen=True, slots=True)
class _Cuts:
    """What changes in an item, and what that was worked out from."""

    cuts: list[Cut]
    read: list[tuple[int, bytes]]
    """Bytes, and where they stood: whatever has them there has the same cuts."""
    length: int

    def hold(self, raw: bytes) -> bool:
        """Whether they are those of ``raw``."""
        return len(raw) == self.length and all(raw.startswith(text, at) for at, text in self.read)


_remembered: dict[bytes, _Cuts] = {}


def pod(raw: bytes) -> bytes | None:
    """A Pod, or an event about one, as clients see it; None where it does not look as expected.

    Items of lists are remembered by what begins them (name, uid, resource version), because whoever lists lists again.
    """
    key = raw[: max(raw.find(_CREATED), 0)] if raw.startswith(_ITEM) else b""
    known = _remembered.get(key)
    if known is not None and known.hold(raw):
        return _spliced(raw, known.cuts)
    made = _worked_out(raw)
    if made is None:
        return None
    if key:
        if len(_remembered) >= REMEMBERED:
            del _remembered[next(iter(_remembered))]
        _remembered[key] = made
    return _spliced(raw, made.cuts)


def _worked_out(raw: bytes) -> _Cuts | None:
    spec = raw.find(_SPEC)
    start = raw.find(_ANNOTATIONS, 0, spec)
    if min(spec, start) < 0 or not _HEAD.match(raw):
        return None
    managed = raw.find(_MANAGED, start, spec)
    notes = spec if managed < 0 else managed
    owners = [] if managed < 0 else _owners(raw, managed, spec)
    listed, said = _LISTED.search(raw, start, notes), _SAID.search(raw, start, notes)
    inserted = _inserted(raw, listed, spec + len(_SPEC))
    if owners is None or inserted is None:
        return None
    cuts = [*owners, *inserted, *_addresses(raw, said, spec)]
    read = [(at - len(_SPEC), raw[at - len(_SPEC) : end]) for at, end, _ in cuts]
    return _Cuts(cuts, read + [(found.start(1), found[1]) for found in (listed, said) if found], len(raw))


def _spliced(raw: bytes, cuts: list[Cut]) -> bytes:
    out, done = [], 0
    for start, end, text in cuts:
        out += [raw[done:start], text]
        done = end
    return b"".join([*out, raw[done:]]) if cuts else raw


def _inserted(raw: bytes, listed: re.Match[bytes] | None, at: int) -> list[Cut] | None:
    """The field, as the first member of the spec."""
    field = _field(listed[1]) if listed else b""
    if field and not raw.startswith(b'"', at):
        return None  # a Pod without containers would leave a comma too many
    return [(at, at, field)] if field else []


@functools.lru_cache(1024)
def _field(literal: bytes) -> bytes:
    listed = carriage.shown(_TEXT.decode(literal))
    return b"" if listed is None else b'"networks":' + listed + b","


def _owners(raw: bytes, start: int, end: int) -> list[Cut] | None:
    """Of each owner of the annotation the fields that it owns; ``end`` is where metadata is closed."""
    cuts: list[Cut] = []
    at = raw.find(_OWNED, start, end)
    while at >= 0:
        owned = raw.find(_OWNED_SPEC, at, end)
        if owned >= 0 and raw.find(_FIELDS, at, owned) < 0:
            last = owned + len(_OWNED_SPEC) - 1
            cuts.append((last, last, _OWNED_FIELD))
        elif (cut := _rewritten(raw, start, at, end)) is not None:
            cuts.append(cut)
            last = cut[1]
        else:
            return None
        at = raw.find(_OWNED, last, end)
    return cuts


def _rewritten(raw: bytes, start: int, at: int, end: int) -> Cut | None:
    """The fields around ``at`` as a whole, where nothing of the spec is among them."""
    first, last = _bounds(raw, start, at, end)
    return None if min(first, last) < 0 else (first, last, ownership.of(raw[first:last], POD))


def _bounds(raw: bytes, start: int, at: int, end: int) -> tuple[int, int]:
    """Where the fields around ``at`` begin and end; -1 for what is not found."""
    before, after = raw.rfind(_FIELDS, start, at), raw.find(_FIELDS, at, end)
    closed = raw.rfind(_ENTRY, at, after) if after >= 0 else end - 2  # before the ] of managedFields
    if before < 0 or not raw.startswith(b"}", closed):
        return -1, -1
    last = closed if raw.startswith(b"}", closed - 1) else raw.rfind(_SUBRESOURCE, at, closed)
    return before + len(_FIELDS) - 1, last


def _addresses(raw: bytes, said: re.Match[bytes] | None, spec: int) -> list[Cut]:
    first = raw.rfind(_ADDRESSES, spec) if said else -1
    if said is None or first < 0:
        return []
    first += len(_ADDRESSES) - 1
    last = raw.index(b"]", first) + 1
    return [(first, last, podips.shown(raw[first:last], _TEXT.decode(said[1])))]
