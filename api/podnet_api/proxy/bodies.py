"""Objects that clients write: read strictly, the list moved into its annotation, our additions taken away. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import yaml

from podnet_api.errors import InvalidError, PodnetError
from podnet_api.faults import Fault, FaultType
from podnet_api.proxy import carriage, ownership, podips
from podnet_api.proxy.carriers import Carrier

Json = dict[str, Any]


class UnreadableError(PodnetError):
    """A body that is no object; the API server would answer 400, too."""


def decode(body: bytes) -> Any:
    """``body``, JSON or else YAML. Raises UnreadableError, also for a key that stands twice: one of the two would be
    dropped silently."""
    try:
        return json.loads(body, object_pairs_hook=_object, parse_constant=_refuse)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return _yaml(body)
    except RecursionError as error:
        raise UnreadableError("cannot read the body: it is nested too deeply") from error


def encode(item: Any) -> bytes:
    """``item`` as JSON."""
    return json.dumps(item, separators=(",", ":")).encode()


def _object(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UnreadableError(f"cannot read the body: duplicate field {json.dumps(twice)}")
    return found


def _refuse(constant: str) -> Any:
    raise UnreadableError(f"cannot read the body: {constant} is no JSON")


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: no dates, no numbers to the base of 60, no aliases (a small text could name
    itself into gigabytes)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise UnreadableError("cannot read the body: YAML with aliases is not accepted here, send JSON")
        found: yaml.Node | None = super().compose_node(parent, index)
        return found


_LITERAL = {
    "tag:yaml.org,2002:timestamp": None,
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(0|[1-9][0-9]*|0o?[0-7]+|0x[0-9a-fA-F]+)$"),
    "tag:yaml.org,2002:float": re.compile(r"[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$"),
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, _LITERAL.get(tag, pattern)) for tag, pattern in resolvers if _LITERAL.get(tag, pattern) is not None]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _yaml(body: bytes) -> Any:
    try:
        found = yaml.load(body, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UnreadableError(f"cannot read the body: {error}") from error
    if not isinstance(found, dict):
        raise UnreadableError("cannot read the body: it is no object")
    return found


def lowered(item: Json, carrier: Carrier, kept: str | None, *, restore: bool = False) -> bool:
    """Moves the list of a whole object into its annotation; whether anything changed.

    ``kept`` is the annotation of the object that is there; with ``restore`` it stays when ``item`` has neither
    field nor annotation. Raises InvalidError.
    """
    changed = stripped(item, carrier)
    owner = carriage.mapping(item, *carrier.template)
    if owner is None:
        return changed
    spec = carriage.mapping(owner, "spec") or {}
    field, text = spec.get(carriage.FIELD, msgspec.UNSET), carriage.annotation(item, carrier)
    chosen = carriage.settled(field, text, kept, carrier, host_network=spec.get("hostNetwork") is True)
    if chosen is None and field is msgspec.UNSET and restore:
        chosen = kept
    spec.pop(carriage.FIELD, None)
    if chosen != text:
        annotate(owner, chosen, carrier)
    return changed or field is not msgspec.UNSET or chosen != text


def annotate(owner: Json, text: str | None, carrier: Carrier) -> None:
    """Writes the annotation of a Pod or template, or takes it away."""
    annotations = _made(_made(owner, "metadata", carrier), "annotations", carrier)
    if text is None:
        annotations.pop(carriage.KEY, None)
    else:
        annotations[carriage.KEY] = text


def _made(item: Json, key: str, carrier: Carrier) -> Json:
    found = item.get(key)
    if found is None:
        found = item[key] = {}
    if not isinstance(found, dict):
        raise InvalidError(carrier.kind, [Fault(key, FaultType.INVALID, "must be an object", found)])
    return found


def stripped(item: Any, carrier: Carrier) -> bool:
    """Takes away what only reading adds: owners of the field, addresses of other networks."""
    found = ownership.stripped((carriage.mapping(item, "metadata") or {}).get("managedFields"), carrier)
    status = carriage.mapping(item, "status") if carrier.is_pod else None
    if status is None or not isinstance(listed := status.get("podIPs"), list):
        return found
    status["podIPs"] = podips.stripped(listed)
    return found or status["podIPs"] != listed
