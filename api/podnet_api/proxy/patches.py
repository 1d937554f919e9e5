"""Merge patches (RFC 7386) and strategic merge patches with the list in them: the same patch for the annotation. Pure.

The list is atomic, so a patch that names it says all of it, and nothing needs to be read. One exception: a
strategic patch whose elements carry ``$patch`` wants to change the list that is there.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from podnet_api.errors import InvalidError
from podnet_api.faults import Fault, FaultType
from podnet_api.proxy import bodies, carriage
from podnet_api.proxy.carriers import Carrier

Json = dict[str, Any]
_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_ORDER = f"$setElementOrder/{carriage.FIELD}"
_FROM_LIST = f"$deleteFromPrimitiveList/{carriage.FIELD}"
_NAMES = ("podNetworkName", "podNetworkAttachmentName")


def needs_current(patch: Json, carrier: Carrier) -> bool:
    """Whether the patch can only be understood with the list that is there."""
    listed = _spec(patch, carrier).get(carriage.FIELD)
    return isinstance(listed, list) and any(isinstance(one, dict) and _DIRECTIVE in one for one in listed)


def lowered(patch: Json, carrier: Carrier, kept: str | None, *, strategic: bool) -> bool:
    """Moves the list within ``patch``; whether anything changed. ``kept`` is the annotation that is there, where
    ``needs_current``. Raises InvalidError."""
    changed = bodies.stripped(patch, carrier)
    spec = _spec(patch, carrier)
    field = _field(spec, strategic=strategic)
    if strategic and isinstance(field, list) and needs_current(patch, carrier):
        field = _merged(field, kept)
    tidied = strategic and _tidied(spec)
    if field is msgspec.UNSET:
        return changed or tidied
    spec.pop(carriage.FIELD, None)
    text = carriage.annotation(patch, carrier)
    chosen = carriage.settled(field, text, None, carrier, host_network=False)
    _write(patch, carrier, chosen)
    return True


def _spec(patch: Json, carrier: Carrier) -> Json:
    return carriage.mapping(patch, *carrier.template, "spec") or {}


def _field(spec: Json, *, strategic: bool) -> Any:
    """What the patch says about the list; a spec that is replaced loses the list that it does not name."""
    if carriage.FIELD in spec or not strategic:
        return spec.get(carriage.FIELD, msgspec.UNSET)
    retained = spec.get(_RETAIN)
    lost = isinstance(retained, list) and carriage.FIELD not in retained
    return None if lost or spec.get(_DIRECTIVE) == "replace" else msgspec.UNSET


def _tidied(spec: Json) -> bool:
    """Takes away what refers to the list and has no meaning for an annotation."""
    found = [key for key in (_ORDER, _FROM_LIST) if spec.pop(key, None) is not None]
    retained = spec.get(_RETAIN)
    if isinstance(retained, list) and carriage.FIELD in retained:
        retained.remove(carriage.FIELD)
        found.append(_RETAIN)
    return bool(found)


def _merged(listed: list[Any], kept: str | None) -> list[Any]:
    """The list that is there with the elements of a patch merged in, by the network that they name."""
    elements = [one for one in listed if not (isinstance(one, dict) and _DIRECTIVE in one)]
    directives = [one for one in listed if isinstance(one, dict) and _DIRECTIVE in one]
    if any(one[_DIRECTIVE] == "replace" for one in directives):
        return elements
    there = msgspec.json.decode(carriage.shown(kept or "[]") or b"[]")
    gone = [_name(one) for one in directives if one[_DIRECTIVE] == "delete"]
    new = {_name(one): one for one in elements}
    merged = [{**one, **new.pop(_name(one), {})} for one in there if _name(one) not in gone]
    return merged + list(new.values())


def _name(one: Any) -> tuple[Any, ...]:
    return tuple(one.get(key) for key in _NAMES) if isinstance(one, dict) else (None, repr(one))


def _write(patch: Json, carrier: Carrier, text: str | None) -> None:
    """The annotation within the patch; null takes it away. Raises InvalidError for a patch that takes all
    annotations away and writes a list: an annotation cannot say both."""
    place = patch
    for key in (*carrier.template, "metadata", "annotations"):
        found = place.setdefault(key, {})
        if found is None and text is None:
            return  # the whole part goes, and the annotation with it
        if not isinstance(found, dict):
            message = f"cannot be {json.dumps(found)} in a patch that writes {carrier.field}"
            raise InvalidError(carrier.kind, [Fault(key, FaultType.INVALID, message)])
        place = found
    place[carriage.KEY] = text
