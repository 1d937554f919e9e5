"""Objects that clients read: the field beside the annotation. Pure, and on bytes.

A Pod as kube-apiserver writes it is cut where it changes. Of everything else the parts on the way to the field are
taken apart; all others go through as they came. An object without our annotation costs one search for a few bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import msgspec

from podnet_api import names
from podnet_api.proxy import carriage, carriers, cuts, ownership, podips
from podnet_api.proxy.carriers import Carrier

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENTRIES = msgspec.json.Decoder(list[msgspec.Raw])
_EACH = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_TEXTS = msgspec.json.Decoder(dict[str, str] | None)
_EMPTY = msgspec.Raw(b"{}")
_encode = msgspec.json.Encoder().encode
_OWNED = f'"f:{names.NETWORKS_ANNOTATION}"'.encode()
_Fields = dict[str, msgspec.Raw]


def one(raw: bytes, carrier: Carrier) -> bytes:
    """An object as clients see it; what is no such object stays as it is."""
    if carriers.MARK not in raw:
        return raw
    if (quickly := _quickly(raw, carrier)) is not None:
        return quickly
    try:
        fields = _FIELDS.decode(raw)
        return _encode(fields) if _show(fields, carrier) else raw
    except (msgspec.DecodeError, RecursionError, KeyError):
        return raw  # what is no object of ours has nothing to show


def _quickly(raw: bytes, carrier: Carrier) -> bytes | None:
    """None where it has to be taken apart."""
    try:
        return cuts.pod(raw) if carrier.is_pod else None
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None


def row(raw: bytes, carrier: Carrier) -> bytes:
    """A row of a Table with its object shown."""
    return _within(raw, "object", functools.partial(one, carrier=carrier))


def event(raw: bytes, carrier: Carrier) -> bytes:
    """An event of a watch with its object shown; of a watch of Tables, its rows."""
    if (quickly := _quickly(raw, carrier)) is not None:
        return quickly
    return _within(raw, "object", functools.partial(whole, carrier=carrier))


def whole(raw: bytes, carrier: Carrier) -> bytes:
    """A whole answer: an object, a list of them, or a Table."""
    if carriers.MARK not in raw:
        return raw
    try:
        fields = _FIELDS.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return raw
    if "items" in fields and "spec" not in fields:
        return _pretty(raw, _within(raw, "items", functools.partial(_each, show=one, carrier=carrier)))
    if "rows" in fields:
        return _pretty(raw, _within(raw, "rows", functools.partial(_each, show=row, carrier=carrier)))
    return _pretty(raw, one(raw, carrier))


def _each(raw: bytes, show: Callable[[bytes, Carrier], bytes], carrier: Carrier) -> bytes:
    return b"[" + b",".join(show(bytes(entry), carrier) for entry in _ENTRIES.decode(raw)) + b"]"


def _pretty(asked: bytes, made: bytes) -> bytes:
    """Indented where the API server was asked to indent."""
    return msgspec.json.format(made, indent=2) + b"\n" if asked.startswith(b"{\n") and made is not asked else made


def _within(raw: bytes, key: str, show: Callable[[bytes], bytes]) -> bytes:
    if carriers.MARK not in raw:
        return raw
    try:
        fields = _FIELDS.decode(raw)
        before = fields[key]
        after = show(bytes(before))
    except (msgspec.DecodeError, RecursionError, KeyError):
        return raw
    fields[key] = msgspec.Raw(after)
    return _encode(fields)


def _show(fields: _Fields, carrier: Carrier) -> bool:
    """Changes the fields of an object; whether there was anything to show."""
    metadata = _FIELDS.decode(fields["metadata"])
    nested = [fields]
    for key in carrier.template:
        nested.append(_FIELDS.decode(nested[-1][key]))
    annotations = _annotations(metadata if carrier.is_pod else _FIELDS.decode(nested[-1].get("metadata", _EMPTY)))
    found = _show_list(nested[-1], annotations.get(names.NETWORKS_ANNOTATION))
    for outer, inner, key in zip(nested[-2::-1], nested[:0:-1], reversed(carrier.template), strict=True):
        outer[key] = msgspec.Raw(_encode(inner))
    if len(nested) > 1 or "spec" in fields:
        found |= _show_owners(fields, metadata, carrier)
    if carrier.is_pod and names.STATUS_ANNOTATION in annotations:
        found |= _show_addresses(fields, annotations[names.STATUS_ANNOTATION])
    return found


def _annotations(metadata: _Fields) -> dict[str, str]:
    return (_TEXTS.decode(metadata["annotations"]) if "annotations" in metadata else None) or {}


def _show_list(owner: _Fields, text: str | None) -> bool:
    listed = carriage.shown(text) if text is not None else None
    if listed is None or "spec" not in owner:
        return False
    rest = bytes(owner["spec"]).lstrip()[1:].lstrip()
    comma = b"" if rest.startswith(b"}") else b","
    owner["spec"] = msgspec.Raw(b'{"networks":' + listed + comma + rest)
    return True


def _show_owners(fields: _Fields, metadata: _Fields, carrier: Carrier) -> bool:
    entries = bytes(metadata.get("managedFields", b""))
    if _OWNED not in entries:
        return False
    metadata["managedFields"] = msgspec.Raw(_encode([_owner(one, carrier) for one in _EACH.decode(entries)]))
    fields["metadata"] = msgspec.Raw(_encode(metadata))
    return True


def _owner(entry: _Fields, carrier: Carrier) -> _Fields:
    owned = bytes(entry.get("fieldsV1", b""))
    return {**entry, "fieldsV1": msgspec.Raw(ownership.of(owned, carrier))} if _OWNED in owned else entry


def _show_addresses(fields: _Fields, said: str) -> bool:
    status = _FIELDS.decode(fields["status"]) if "status" in fields else {}
    if "podIPs" not in status:
        return False
    own = msgspec.json.format(bytes(status["podIPs"]), indent=-1)
    status["podIPs"] = msgspec.Raw(podips.shown(own, said))
    fields["status"] = msgspec.Raw(_encode(status))
    return True
