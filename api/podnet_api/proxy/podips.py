"""``status.podIPs`` with ``podNetwork`` and ``interfaceName`` (KEP-3698, PodIP). Pure.

One address per family and network. The kubelet's own entries stay first, so that podIP stays podIPs[0].
"""

from __future__ import annotations

import re
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


class _PodIP(Model, frozen=True):
    """An entry of ours."""

    ip: str
    pod_network: str
    interface_name: str


_ATTACHED = msgspec.json.Decoder(list[_Attached])
_ADDRESS = re.compile(r"[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""By its looks alone: ``ipaddress`` takes as long for four of them as everything else about a Pod, and lists have
thousands of Pods."""
_ENDS = b'"}'
_DEFAULT = f'","{_NETWORK}":"{names.DEFAULT_NETWORK}","{_INTERFACE}":"{names.DEFAULT_INTERFACE}"}}'.encode()


def shown(own: bytes, status: str) -> bytes:
    """``own``, the kubelet's entries (JSON on one line), and those that the annotation ``status`` tells of. Without
    the kubelet's there are none of ours: the first entry is podIP."""
    if _ENDS not in own:
        return own
    ours = msgspec.json.encode(_of(status))
    return own.replace(_ENDS, _DEFAULT)[:-1] + (b"]" if ours == b"[]" else b"," + ours[1:])


def stripped(listed: list[Any]) -> list[Any]:
    """The entries that are the kubelet's, as it wrote them."""
    return [_plain(entry) for entry in listed if not _is_ours(entry)]


def _is_ours(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get(_NETWORK, names.DEFAULT_NETWORK) != names.DEFAULT_NETWORK


def _plain(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {key: value for key, value in entry.items() if key not in {_NETWORK, _INTERFACE}}


def _of(status: str) -> list[_PodIP]:
    try:
        return [entry for one in _ATTACHED.decode(status) for entry in _entries(one)]
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return []


def _entries(one: _Attached) -> list[_PodIP]:
    """One per family."""
    found: dict[bool, _PodIP] = {}
    for text in one.addresses:
        address = text.partition("/")[0]
        is_v6 = ":" in address
        if is_v6 not in found and _ADDRESS.fullmatch(address):
            found[is_v6] = _PodIP(address, one.network, one.interface)
    return list(found.values())
