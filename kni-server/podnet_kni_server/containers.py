"""What the containers of a Pod need for its interfaces besides the namespace, and how NPWG tools are told of it. Pure.

``hook`` puts devices and directories into containers, ``status`` tells of them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from podnet_kni_server.details import Device, UserspaceDetail
from podnet_kni_server.devinfo import VERSION as _VERSION
from podnet_kni_server.records import InterfaceRecord, Record


def devices(record: Record) -> list[Device]:
    """Character devices, each once: the taps of a Pod share one."""
    found = {i.link.device.path: i.link.device for i in record.interfaces if i.link.device is not None}
    return list(found.values())


def directories(record: Record) -> list[UserspaceDetail]:
    """Directories that the Pod shares with a switch of the node."""
    return [i.link.detail for i in record.interfaces if isinstance(i.link.detail, UserspaceDetail)]


def device_info(interface: InterfaceRecord) -> dict[str, Any]:
    """The ``device-info`` of an entry of the NPWG network-status; empty: it has none. ``path`` is the container's."""
    if interface.device_info:
        return msgspec.json.decode(interface.device_info, type=dict[str, Any])
    detail = interface.link.detail
    if not isinstance(detail, UserspaceDetail):
        return {}
    path = f"{detail.mount}/{detail.socket}"
    if detail.protocol == "memif":
        role = "master" if detail.role == "server" else "slave"
        return {"type": "memif", "version": _VERSION, "memif": {"role": role, "path": path, "mode": "ethernet"}}
    return {"type": detail.protocol, "version": _VERSION, detail.protocol: {"mode": detail.role, "path": path}}
