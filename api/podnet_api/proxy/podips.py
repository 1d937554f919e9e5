"""``status.podIPs`` with ``podNetwork`` and ``interfaceName`` (KEP-3698, PodIP). Pure.

One address per family and network. The kubelet's own entries stay first, so that podIP stays podIPs[0].
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterator
from typing import Any

import msgspec

from podnet_api import names
from podnet_api.meta import Model

Json = dict[str, Any]
_NETWORK, _INTERFACE = "podNetwork", "interfaceName"


class _Attached(Model, frozen=True, kw_only=True):
    """What the KNI server says of one interface (annotation network-status)."""

    network: str = ""
    interface: str = ""
    addresses: list[str] = []


def shown(own: list[Json], status: str) -> list[Json]:
    """``own``, the kubelet's entries, and those that the annotation ``status`` tells of. Without the kubelet's
    there are none of ours: the first entry is podIP."""
    if not own:
        return own
    default = {_NETWORK: names.DEFAULT_NETWORK, _INTERFACE: names.DEFAULT_INTERFACE}
    return [*({**entry, **default} for entry in own), *_of(status)]


def stripped(listed: list[Any]) -> list[Any]:
    """The entries that are the kubelet's, as it wrote them."""
    return [_plain(entry) for entry in listed if not _is_ours(entry)]


def _is_ours(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get(_NETWORK, names.DEFAULT_NETWORK) != names.DEFAULT_NETWORK


def _plain(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {key: value for key, value in entry.items() if key not in {_NETWORK, _INTERFACE}}


@functools.lru_cache(1024)
def _of(status: str) -> tuple[Json, ...]:
    try:
        attached = msgspec.json.decode(status, type=list[_Attached])
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return ()
    return tuple(entry for one in attached for entry in _entries(one))


def _entries(one: _Attached) -> Iterator[Json]:
    seen: set[int] = set()
    for text in one.addresses:
        try:
            address = ipaddress.ip_interface(text).ip
        except ValueError:
            continue
        if address.version not in seen:
            seen.add(address.version)
            yield {"ip": str(address), _NETWORK: one.network, _INTERFACE: one.interface}
