"""What a Pod's status says of its networks: our annotation, the NPWG network-status and the condition.

Pure. All three go into one server-side apply of pods/status, because a second request could be lost
between two that belong together; an apply leaves the kubelet's own conditions alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

import msgspec
from podnet_api import core, names, reasons
from podnet_api.meta import is_true

from podnet_kni_server import containers
from podnet_kni_server import npwg as npwg_rows
from podnet_kni_server.datapath.model import Observed
from podnet_kni_server.records import InterfaceRecord, Record, State

NameOf = Callable[[str], str]
"""From a PodNetwork to the name that NPWG tools know: ``namespace/name`` of its NetworkAttachmentDefinition; of the
default network that of the cluster's CNI configuration."""


def networks(record: Record) -> list[dict[str, Any]]:
    """Our network-status: one entry per interface, in the order of the Pod's list."""
    return [_network(interface) for interface in record.interfaces if interface.state is State.ATTACHED]


def _network(interface: InterfaceRecord) -> dict[str, Any]:
    link = interface.link
    entry: dict[str, Any] = {
        "network": interface.network,
        "interface": link.name,
        "addresses": link.addresses,
        "mac": link.mac,
        "mtu": link.mtu,
    }
    extra: dict[str, Any] = {
        "attachment": interface.attachment,
        "gateways": interface.gateways,
        "nameservers": interface.nameservers,
    }
    extra["observedAddresses"] = interface.observed
    extra["deviceInfo"] = containers.device_info(interface)
    return entry | {key: value for key, value in extra.items() if value}


def npwg(record: Record, name_of: NameOf, default: Observed | None) -> list[dict[str, Any]]:
    """The NPWG network-status (multi-net-spec 1.3): the default network first, then each interface."""
    replaced = any(interface.link.name == names.DEFAULT_INTERFACE for interface in record.interfaces)
    entries = [] if replaced else [_npwg_default(record, default, name_of(names.DEFAULT_NETWORK))]
    whole = [interface for interface in record.interfaces if interface.state is State.ATTACHED]
    return entries + [row for i in whole for row in npwg_rows.rows(i, _npwg_entry(i, name_of))]


def _npwg_default(record: Record, observed: Observed | None, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "interface": names.DEFAULT_INTERFACE}
    if record.pod_ips:
        entry["ips"] = record.pod_ips
    if observed is not None:
        entry |= {"mac": observed.mac, "mtu": observed.mtu}
        entry.setdefault("ips", [str(a.ip) for a in observed.addresses])
    return entry | {"default": True, "dns": {}}


def _npwg_entry(interface: InterfaceRecord, name_of: NameOf) -> dict[str, Any]:
    link = interface.link
    dns = {"nameservers": interface.nameservers, "search": interface.search, "options": interface.dns_options}
    entry: dict[str, Any] = {
        "name": name_of(interface.network),
        "interface": link.name,
        "ips": [_bare(address) for address in (*link.addresses, *interface.observed)],
        "mac": link.mac,
        "mtu": link.mtu,
        "dns": {key: value for key, value in dns.items() if value},
    }
    if interface.gateways:
        entry["gateway"] = interface.gateways
    entry["device-info"] = containers.device_info(interface)
    return {key: value for key, value in entry.items() if value or key == "dns"}


def _bare(address: str) -> str:
    return str(ipaddress.ip_interface(address).ip)


def attached(record: Record, name_of: NameOf, default: Observed | None, now: str) -> dict[str, Any]:
    """The apply of pods/status for an attached Pod."""
    message = "attached " + (", ".join(_words(interface) for interface in record.interfaces) or "to no network")
    body = _body(record.namespace, record.name, record.uid, "True", reasons.NETWORKS_ATTACHED, message, now)
    body["metadata"]["annotations"] = _annotations(record, name_of, default)
    return body


def partly(
    record: Record, name_of: NameOf, default: Observed | None, reason: str, message: str, now: str
) -> dict[str, Any]:
    """The apply for a running Pod whose list asks for something that it could not be given: what it has stands
    beside what is missing."""
    body = failed(record.namespace, record.name, record.uid, reason, message, now)
    body["metadata"]["annotations"] = _annotations(record, name_of, default)
    return body


def _annotations(record: Record, name_of: NameOf, default: Observed | None) -> dict[str, str]:
    ours = msgspec.json.encode(networks(record)).decode()
    theirs = msgspec.json.encode(npwg(record, name_of, default)).decode()
    plural = {npwg_rows.STATUS_PLURAL: theirs} if npwg_rows.from_nads(record, name_of) else {}
    return {names.STATUS_ANNOTATION: ours, names.NPWG_STATUS_ANNOTATION: theirs, **plural}


def is_said(pod: core.Pod, record: Record) -> bool:
    """Whether the status of ``pod`` says already that ``record`` is attached."""
    said = pod.metadata.annotations.get(names.STATUS_ANNOTATION)
    ours = msgspec.json.encode(networks(record)).decode()
    return said == ours and is_true(pod.status.conditions, names.NETWORKS_READY)


def failed(namespace: str, name: str, uid: str, reason: str, message: str, now: str) -> dict[str, Any]:
    """The apply of pods/status for a Pod that could not be attached."""
    advice = reasons.ADVICE.get(reason, "")
    text = f"{message}; {advice}" if advice and advice not in message else message
    return _body(namespace, name, uid, "False", reason, text, now)


def _words(interface: InterfaceRecord) -> str:
    addresses = " ".join(interface.link.addresses) or "no address"
    return f"{interface.link.name} to {interface.network} ({addresses})"


def _body(namespace: str, name: str, uid: str, value: str, reason: str, message: str, now: str) -> dict[str, Any]:
    """The uid makes the API server refuse the apply when another Pod has the name by now."""
    condition = {
        "type": names.NETWORKS_READY,
        "status": value,
        "reason": reason,
        "message": message[:1024],
        "lastTransitionTime": now,
    }
    return {
        "metadata": {"namespace": namespace, "name": name, "uid": uid},
        "status": {"conditions": [condition]},
    }


def file(record: Record) -> bytes:
    """What a process in the Pod reads before its first line runs (KEP-3698, requirement 17)."""
    return msgspec.json.format(msgspec.json.encode(networks(record)), indent=2) + b"\n"


def environment(record: Record) -> dict[str, str]:
    """The same for programs that read no file: PODNET_INTERFACES, and for each interface PODNET_<NAME>_NETWORK,
    _IPV4, _IPV6 (the first of each), _MAC, _MTU and _GATEWAY4, _GATEWAY6, as far as it has them.

    <NAME> is the interface's in capitals with ``_`` for what a variable's name cannot have. Variables are as they
    were when the container was made: what changes on a running Pod is in the file alone.
    """
    whole = [interface for interface in record.interfaces if interface.state is State.ATTACHED]
    found = {"PODNET_INTERFACES": " ".join(interface.link.name for interface in whole)}
    for interface in whole:
        prefix = "PODNET_" + re.sub(r"[^A-Z0-9]", "_", interface.link.name.upper())
        for key, value in _variables(interface).items():
            found.setdefault(f"{prefix}_{key}", value)
    return found


def _variables(interface: InterfaceRecord) -> dict[str, str]:
    values = {"NETWORK": interface.network, "MAC": interface.link.mac, "MTU": str(interface.link.mtu or "")}
    for version in (4, 6):
        own = [a.ip for text in interface.link.addresses if (a := ipaddress.ip_interface(text)).version == version]
        hops = [g for text in interface.gateways if (g := ipaddress.ip_address(text)).version == version]
        values |= {f"IPV{version}": str(own[0]) if own else "", f"GATEWAY{version}": str(hops[0]) if hops else ""}
    return {key: value for key, value in values.items() if value}
