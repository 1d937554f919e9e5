"""What an entry asks for beyond addresses: portMappings, bandwidth, cni-args, deviceID, infiniband-guid. Pure.

``annotation`` calls ``read``; ``attachment`` asks ``natively`` or ``by_plugins`` what of it reaches the network.
What nothing carries there is refused by name; libcni would drop it without a word.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Literal, cast, get_args

from podnet_api import kni
from podnet_api.faults import FaultType

from podnet_compat import addresses
from podnet_compat.reader import Notes, Reader

Protocol = Literal["TCP", "UDP", "SCTP"]
_RATE = 10**13
_READ_BY_NATIVE = {"ips": "ips", "mac": "mac"}
"""Keys of args.cni that the plugins bridge, macvlan, host-local, static or whereabouts read, and our own for them."""
_IGNORE_MAC = {"ipvlan", "vlan", "host-device"}
"""Plugins that read MAC= in CNI_ARGS no more than a capability."""
_READ_CLAIMS = {"ovn-k8s-cni-overlay"}
"""Plugins that look up IPAMClaims by themselves."""
_CAPABILITIES = {"infiniband-guid": "infinibandGUID"}
"""Keys of an entry whose capability is called otherwise."""


@dataclass(frozen=True)
class Extras:
    """All of it. ``cni_args`` has each value as JSON."""

    ports: tuple[kni.PortMapping, ...] = ()
    bandwidth: kni.Bandwidth | None = None
    cni_args: dict[str, str] = field(default_factory=dict)
    device: str = ""
    guid: str = ""
    claim: str = ""
    """Name of an IPAMClaim."""


def read(reader: Reader) -> Extras:
    """What the element of ``reader`` says."""
    ports = [_port(item) for item in reader.children("portMappings")]
    return Extras(
        ports=tuple(port for port in ports if port is not None),
        bandwidth=_limits(reader.child("bandwidth")),
        cni_args={key: json.dumps(value) for key, value in reader.mapping("cni-args").items()},
        device=reader.string("deviceID"),
        guid=_guid(reader),
        claim=reader.string("ipam-claim-reference"),
    )


def _port(reader: Reader) -> kni.PortMapping | None:
    numbers = [reader.integer(key, 1, 65535) for key in ("hostPort", "containerPort")]
    for key, number in zip(("hostPort", "containerPort"), numbers, strict=True):
        if not number and not reader.notes.faulty(reader.at(key)):
            reader.notes.fault(reader.at(key), "must be a port, 1 to 65535", type_=FaultType.REQUIRED)
    protocol, host_ip = reader.string("protocol").upper() or "TCP", _host_ip(reader)
    if protocol not in get_args(Protocol):
        reader.notes.fault(reader.at("protocol"), f"must be one of {', '.join(get_args(Protocol))}", protocol)
        return None
    reader.finish(refuse=False)
    if not all(numbers):
        return None
    host, container = numbers
    return kni.PortMapping(host_port=host, container_port=container, protocol=cast(Protocol, protocol), host_ip=host_ip)


def _guid(reader: Reader) -> str:
    text = reader.string("infiniband-guid")
    try:
        return addresses.guid(text) if text else ""
    except ValueError as error:
        reader.notes.fault(reader.at("infiniband-guid"), str(error), text)
        return ""


def _host_ip(reader: Reader) -> str | None:
    text = reader.string("hostIP")
    try:
        return str(addresses.address(text)) if text else None
    except ValueError as error:
        reader.notes.fault(reader.at("hostIP"), str(error), text)
        return None


def _limits(reader: Reader) -> kni.Bandwidth | None:
    made = bandwidth(reader)
    reader.finish(refuse=False)
    return made


def bandwidth(reader: Reader) -> kni.Bandwidth | None:
    """The rates and bursts of ``reader``'s object; None when there are none."""
    made = kni.Bandwidth(
        ingress_rate=reader.integer("ingressRate", 0, _RATE),
        ingress_burst=reader.integer("ingressBurst", 0, _RATE),
        egress_rate=reader.integer("egressRate", 0, _RATE),
        egress_burst=reader.integer("egressBurst", 0, _RATE),
    )
    for way, rate, burst in (
        ("ingress", made.ingress_rate, made.ingress_burst),
        ("egress", made.egress_rate, made.egress_burst),
    ):
        if burst and not rate:
            reader.notes.fault(reader.at(f"{way}Burst"), f"needs {way}Rate", burst)
    return made if made != kni.Bandwidth() else None


def natively(extras: Extras, spec: kni.NetworkConfigSpec, path: str, notes: Notes) -> Extras:
    """What of ``extras`` a network of our own takes, with the parameters ``spec``."""
    if extras.ports and not (spec.routed or (spec.bridge and spec.bridge.gateway)):
        message = "the node has no address in this network: that needs a bridge with isGateway and an IPAM, or ptp"
        notes.unsupported(f"{path}.portMappings", message=message)
    if extras.bandwidth and not (spec.routed or spec.bridge):
        message = "the network has no end on the node that could be limited: that needs a bridge or ptp"
        notes.unsupported(f"{path}.bandwidth", message=message)
    for key, wanted in (("portMappings", extras.ports), ("bandwidth", extras.bandwidth)):
        if wanted and not notes.faulty(f"{path}.{key}"):
            notes.warn(f"{path}.{key}", "is done by the network itself, whatever capabilities the NAD declares")
    for key in extras.cni_args:
        _native_argument(f"{path}.cni-args.{key}", key, notes)
    if extras.guid:
        notes.unsupported(f"{path}.infiniband-guid", extras.guid, "the network is not InfiniBand")
    if extras.device and spec.sriov is None:
        notes.warn(f"{path}.deviceID", "has no effect: the network takes no device")
    return replace(extras, cni_args={}, device=extras.device if spec.sriov else "")


def claimed(extras: Extras, types: tuple[str, ...], path: str, notes: Notes) -> None:
    """``ipam-claim-reference``: Multus does not know it, plugins that do read it in the Pod's own annotation."""
    if extras.claim and not _READ_CLAIMS.intersection(types):
        what = ", ".join(types) or "a plugin of the nodes' configuration"
        message = f"has no effect unless {what} reads it in the Pod's annotation: no address is kept for the claim"
        notes.warn(f"{path}.ipam-claim-reference", message)


def _native_argument(path: str, key: str, notes: Notes) -> None:
    own = _READ_BY_NATIVE.get(key.lower())
    if own:
        notes.unsupported(path, message=f"no CNI plugin runs here: write it as {own!r} of the entry")
    else:
        notes.warn(path, "has no effect: no plugin of the NAD reads it")


def by_plugins(
    asked: dict[str, bool], types: tuple[str, ...], declared: frozenset[str], path: str, notes: Notes
) -> None:
    """Whether ``asked``, capabilities by key, reaches the plugins; of a file of the nodes only they know."""
    called = {key: _CAPABILITIES.get(key, key) for key in asked}
    for key in [key for key, wanted in asked.items() if wanted and types and called[key] not in declared]:
        if key == "ips" or (key == "mac" and not _IGNORE_MAC.issuperset(types)):
            notes.warn(f"{path}.{key}", "reaches the plugins by CNI_ARGS: the NAD does not declare the capability")
        else:
            message = f"does not declare the capability {called[key]}, and nothing else carries it there"
            notes.unsupported(f"{path}.{key}", message=f"{', '.join(types)} {message}")
