"""JSON patches (RFC 6902) that touch the list. Pure.

The operations are carried out here on the object as the client sees it, to know what becomes of the list. The API
server gets them without those on the list, and one more on the annotation.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from podnet_api.errors import InvalidError
from podnet_api.faults import Fault, FaultType
from podnet_api.proxy import bodies, carriage, podips
from podnet_api.proxy.carriers import Carrier

Json = dict[str, Any]
Operation = dict[str, Any]
_VERSION = "/metadata/resourceVersion"


class PointerError(Exception):
    """An operation that cannot be carried out; the API server says so in its own words."""


def touches(operations: list[Any], carrier: Carrier) -> bool:
    """Whether any operation reads or writes the list, a part of it, or an object that holds it."""
    return any(_about(one, carrier) for one in operations)


def lowered(operations: list[Any], shown: Json, carrier: Carrier, kept: str | None) -> list[Operation]:
    """The operations for the API server. ``shown`` is the object as the client sees it, ``kept`` its annotation.

    Raises InvalidError for what becomes of the list, PointerError when the operations do not fit the object.
    """
    after = carried_out(operations, shown)
    owner = carriage.mapping(after, *carrier.template)
    spec = carriage.mapping(owner, "spec") or {}
    field, text = spec.get(carriage.FIELD, msgspec.UNSET), carriage.annotation(after, carrier)
    if field is msgspec.UNSET and text == kept and _removes(operations, carrier):
        field = None
    if text is not None and text != kept and kept is not None and carriage.same(field, kept):
        field = msgspec.UNSET  # the annotation was changed, and the list left alone
    chosen = carriage.settled(field, text, kept, carrier, host_network=spec.get("hostNetwork") is True)
    plain = [_plain(one, carrier) for one in operations if not within(one, carrier)]
    settling = _settle(carrier, owner, chosen) if owner is not None and chosen != text else []
    return [*plain, *settling, *_guard(operations, shown)]


def carried_out(operations: list[Any], item: Json) -> Any:
    """``item`` after the operations; ``item`` itself stays. Raises PointerError."""
    whole: Any = {"": copy.deepcopy(item)}
    for one in operations:
        try:
            _carry_out(one, whole)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise PointerError(f"cannot carry out {one!r:.200}: {error!r}") from error
    return whole[""]


def _carry_out(one: Operation, whole: Json) -> None:
    path = _parts(one["path"])
    match one["op"]:
        case "add" | "replace" as op:
            _put(whole, path, copy.deepcopy(one["value"]), insert=op == "add")
        case "remove":
            _take(whole, path)
        case "move":
            _put(whole, path, _take(whole, _parts(one["from"])), insert=True)
        case "copy":
            _put(whole, path, copy.deepcopy(_at(whole, _parts(one["from"]))), insert=True)
        case "test":
            if _at(whole, path) != one["value"]:
                raise ValueError("the test fails")
        case other:
            raise ValueError(f"no operation {other!r}")


def _parts(pointer: str) -> list[str]:
    """The steps of a JSON pointer (RFC 6901), the first one empty."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]


def _at(item: Any, path: list[str]) -> Any:
    for key in path:
        item = item[int(key)] if isinstance(item, list) else item[key]
    return item


def _put(whole: Json, path: list[str], value: Any, *, insert: bool) -> None:
    place, key = _at(whole, path[:-1]), path[-1]
    if not isinstance(place, list):
        place[key] = value
    elif insert:
        place.insert(len(place) if key == "-" else int(key), value)
    else:
        place[int(key)] = value


def _take(whole: Json, path: list[str]) -> Any:
    place, key = _at(whole, path[:-1]), path[-1]
    return place.pop(int(key)) if isinstance(place, list) else place.pop(key)


def _field(carrier: Carrier) -> list[str]:
    return ["", *carrier.template, "spec", carriage.FIELD]


def _about(one: Any, carrier: Carrier) -> bool:
    """An operation on the list, within it, or on something that holds it."""
    field = _field(carrier)
    for path in _paths(one):
        shorter = min(len(path), len(field))
        if path[:shorter] == field[:shorter] and not (len(path) < len(field) and _says_nothing(one, path)):
            return True
    return False


def _says_nothing(one: Any, path: list[str]) -> bool:
    """An operation on the way to the list whose value is no object: nothing of ours is in it."""
    return one.get("op") in {"add", "replace"} and not isinstance(one.get("value"), dict) and len(path) > 1


def within(one: Any, carrier: Carrier) -> bool:
    """An operation on the list or within it, which the API server cannot carry out. Raises InvalidError for one
    that moves something between the list and the rest of the object: half of it would be lost."""
    field = _field(carrier)
    inside = [path[: len(field)] == field for path in _paths(one)]
    if any(inside) and not all(inside) and not (one.get("op") == "copy" and inside[0]):
        message = "cannot be moved or copied to or from another part of the object"
        raise InvalidError(carrier.kind, [Fault(carrier.field, FaultType.INVALID, message)])
    return any(inside)


def _removes(operations: list[Any], carrier: Carrier) -> bool:
    """Whether the list itself was taken away, rather than never there."""
    return any(within(one, carrier) and one.get("op") in {"remove", "move"} for one in operations)


def _paths(one: Any) -> list[list[str]]:
    found = [one.get("path"), one.get("from")] if isinstance(one, dict) else []
    return [_parts(path) for path in found if isinstance(path, str)]


def stripped(operations: list[Any], carrier: Carrier) -> list[Any]:
    """The operations without what only reading adds to status.podIPs."""
    return [_own_addresses(one) if carrier.is_pod and isinstance(one, dict) else one for one in operations]


def _own_addresses(one: Operation) -> Operation:
    path, value = one.get("path"), one.get("value")
    if path == "/status/podIPs" and isinstance(value, list):
        return {**one, "value": podips.stripped(value)}
    if path == "/status" and isinstance(value, dict) and isinstance(value.get("podIPs"), list):
        return {**one, "value": {**value, "podIPs": podips.stripped(value["podIPs"])}}
    return one


def _plain(one: Operation, carrier: Carrier) -> Operation:
    """An operation on an object that holds the list, with the list taken out of its value."""
    path, field = _parts(one["path"]), _field(carrier)
    if path != field[: len(path)] or not isinstance(one.get("value"), dict):
        return one
    value = copy.deepcopy(one["value"])
    holder = carriage.mapping(value, *field[len(path) : -1])
    if holder is not None:
        holder.pop(carriage.FIELD, None)
    if len(path) == 1:
        bodies.stripped(value, carrier)
    return {**one, "value": value}


def _settle(carrier: Carrier, owner: Json, chosen: str | None) -> list[Operation]:
    """Writes the annotation, or takes it away, in the object as it is after the other operations."""
    base = "".join(f"/{key}" for key in carrier.template) + "/metadata"
    key = carriage.KEY.replace("~", "~0").replace("/", "~1")
    if chosen is None:
        return [{"op": "remove", "path": f"{base}/annotations/{key}"}]
    steps: list[Operation] = []
    if carriage.mapping(owner, "metadata") is None:
        steps.append({"op": "add", "path": base, "value": {}})
    if carriage.mapping(owner, "metadata", "annotations") is None:
        steps.append({"op": "add", "path": f"{base}/annotations", "value": {}})
    return [*steps, {"op": "add", "path": f"{base}/annotations/{key}", "value": chosen}]


def _guard(operations: list[Any], shown: Json) -> list[Operation]:
    """What was read must still be true: the API server answers 409 when it is not."""
    version = (carriage.mapping(shown, "metadata") or {}).get("resourceVersion")
    if not version or any(one.get("path") == _VERSION for one in operations):
        return []
    return [{"op": "replace", "path": _VERSION, "value": version}]


def readable(operations: Any) -> list[Any]:
    """A patch that is a list of operations. Raises InvalidError."""
    if isinstance(operations, list) and all(isinstance(one, dict) for one in operations):
        return operations
    raise InvalidError("patch", [Fault("", FaultType.INVALID, "must be a list of operations (RFC 6902)")])
