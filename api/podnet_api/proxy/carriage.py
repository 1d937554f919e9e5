"""One list in two places: the field ``spec.networks`` and the annotation that carries it. Pure.

Rules, for what a client writes: the field counts where it is there; without it the annotation does; null and []
take the list away. A client that read both and changed one is understood; one that changed both differently is
told (422), because nobody can know which it meant.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import msgspec

from podnet_api import names, networks
from podnet_api.errors import InvalidError
from podnet_api.faults import Fault, FaultType
from podnet_api.proxy.carriers import Carrier

KEY = names.NETWORKS_ANNOTATION
FIELD = "networks"
Json = dict[str, Any]


@functools.lru_cache(1024)
def shown(text: str) -> bytes | None:
    """The annotation's ``text`` as the field's JSON, on one line; None when it is no list."""
    try:
        found = msgspec.json.decode(text)
        return msgspec.json.encode(found) if isinstance(found, list) else None
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def settled(field: Any, text: str | None, kept: str | None, carrier: Carrier, *, host_network: bool) -> str | None:
    """The annotation to write; None for none.

    ``field`` is what the client wrote as spec.networks (msgspec.UNSET: nothing), ``text`` what it wrote as
    annotation, ``kept`` the annotation of the object that is there. Raises InvalidError.
    """
    chosen = _chosen(field, text, kept, carrier)
    if field is not msgspec.UNSET and chosen is not None and chosen not in (text, kept):
        _check(chosen, carrier, host_network=host_network)
    return chosen


def _chosen(field: Any, text: str | None, kept: str | None, carrier: Carrier) -> str | None:
    if field is msgspec.UNSET:
        return text
    if field is not None and not isinstance(field, list):
        raise _invalid(carrier, Fault(carrier.field, FaultType.INVALID, "must be a list", field))
    wanted = encoded(field) if field else None
    if text is None or text == kept or same(field, text):
        return text if text is not None and same(field, text) else wanted
    message = f"disagrees with the annotation {KEY}, which carries the same list: write one of them"
    raise _invalid(carrier, Fault(carrier.field, FaultType.INVALID, message))


def encoded(field: list[Any]) -> str:
    """The annotation for a list as it was written."""
    return json.dumps(field, separators=(",", ":"), ensure_ascii=False)


def same(field: Any, text: str) -> bool:
    """Whether a field and an annotation say the same."""
    try:
        there = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False
    return bool(_plain(field or []) == _plain(there))


def _plain(listed: Any) -> Any:
    """Without members that say nothing: ``isDefaultGW4: false``, ``interfaceName: ""``."""
    if not isinstance(listed, list):
        return listed
    return [{k: v for k, v in one.items() if v not in ("", False)} if isinstance(one, dict) else one for one in listed]


def _check(text: str, carrier: Carrier, *, host_network: bool) -> None:
    """The static validation of the KEP, under the field's own name."""
    _, faults = networks.check(text, host_network=host_network)
    if faults:
        raise InvalidError(carrier.kind, [_under(fault, carrier) for fault in faults])


def _under(fault: Fault, carrier: Carrier) -> Fault:
    return Fault(fault.path.replace(networks.PATH, carrier.field, 1), fault.type, fault.message, fault.value)


def _invalid(carrier: Carrier, fault: Fault) -> InvalidError:
    return InvalidError(carrier.kind, [fault])


def mapping(item: Any, *path: str) -> Json | None:
    """The object at ``path``, or None where there is none."""
    for key in path:
        item = item.get(key) if isinstance(item, dict) else None
    return item if isinstance(item, dict) else None


def annotation(item: Any, carrier: Carrier) -> str | None:
    """The annotation of the Pod or pod template in ``item``."""
    found = (mapping(item, *carrier.template, "metadata", "annotations") or {}).get(KEY)
    return found if isinstance(found, str) else None
