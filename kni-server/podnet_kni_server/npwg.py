"""How Multus' users and tools are told of a Pod's networks: rows of network-status, and Events. Pure.

Only of networks that were made from a NetworkAttachmentDefinition are there Events: who writes native objects reads
the condition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from podnet_api import names, reasons
from podnet_api.errors import PodnetError

from podnet_kni_server.records import InterfaceRecord, Record, Sandbox

STATUS_PLURAL = "k8s.v1.cni.cncf.io/networks-status"
"""What Multus wrote before 4.0, and some tools still read."""
_KEYS = ("name", "interface", "ips", "mac", "mtu", "default", "dns", "device-info", "gateway")
"""In the order in which Multus writes them."""

NameOf = Callable[[str], str]
_CONFIG_SOURCE = "kubernetes.io/config.source"


def rows(interface: InterfaceRecord, own: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an interface, of which ``own`` is the kernel's. Plugins may have made several, or none at all: then
    there is the name of the network and nothing else."""
    if interface.device_info:
        own = {**own, "device-info": msgspec.Raw(interface.device_info.encode())}
    if interface.rows is None or not interface.rows:
        made = bool(interface.link.mac or interface.link.addresses)
        bare = {"name": own["name"], "dns": own["dns"]}
        return [ordered(own if interface.rows is None or made else bare)]
    found = []
    for row in interface.rows:
        told = {key: value for key, value in msgspec.to_builtins(row).items() if value}
        base = own if row.interface == interface.link.name else {"name": own["name"], "dns": {}, **told}
        gateway = {"gateway": row.gateway} if row.gateway else {}
        device = {"device-info": own["device-info"]} if "device-info" in own else {}
        rest = {key: value for key, value in base.items() if key != "gateway"}
        found.append(ordered({**rest, **device, **gateway, "dns": {**row.dns, **base["dns"]}}))
    return found


def ordered(entry: dict[str, Any]) -> dict[str, Any]:
    """``entry`` with its keys in Multus' order, without those that say nothing, but for dns."""
    return {key: entry[key] for key in _KEYS if key in entry and (entry[key] or key == "dns")}


def from_nads(record: Record, name_of: NameOf) -> bool:
    """Whether a network of the Pod was made from a NetworkAttachmentDefinition."""
    return any(name_of(interface.network) != interface.network for interface in record.interfaces)


def added(record: Record, name_of: NameOf) -> Iterator[str]:
    """What Multus says with AddedInterface, of each interface; plugins that made nothing are passed over."""
    for interface in record.interfaces:
        name, link = name_of(interface.network), interface.link
        if name != interface.network and (link.mac or link.addresses):
            yield f"Add {link.name} [{' '.join(link.addresses)}] from {name}"


def reason(sandbox: Sandbox, error: PodnetError) -> str:
    """The reason of an Event about a Pod that could not be attached, where Multus would write one."""
    if names.LEGACY_NETWORKS_ANNOTATION not in sandbox.annotations:
        return ""
    found = getattr(error, "reason", "")
    return {reasons.NETWORK_NOT_FOUND: reasons.NO_NETWORK_FOUND, reasons.INVALID_NETWORKS: found}.get(found, "")


def unserved(sandbox: Sandbox) -> str:
    """Why a static Pod that names networks in Multus' annotation alone must not start; empty: it may."""
    source = sandbox.annotations.get(_CONFIG_SOURCE, "api")
    asked = sandbox.annotations.get(names.LEGACY_NETWORKS_ANNOTATION, "")
    if source == "api" or not asked or asked == "[]" or names.NETWORKS_ANNOTATION in sandbox.annotations:
        return ""
    if sandbox.host_network:
        return ""
    return (
        f"cannot attach Pod {sandbox.pod}: a static Pod passes no admission, where "
        f"{names.LEGACY_NETWORKS_ANNOTATION} ({asked}) is translated; write {names.NETWORKS_ANNOTATION} in its file"
    )
