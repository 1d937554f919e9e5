"""GKE's Network, NetworkInterface and GKENetworkParamSet -> PodNetwork, NetworkConfig and attachments. Pure.

L2      a VLAN of the node's interface, or macvlan on it; addresses of a DHCP server, or those of a NetworkInterface
L3      datapath routed with the ranges of the GKENetworkParamSet; the VPC must route them
Device  the node's interface itself

What only GKE knows (ranges that it gives addresses of by itself, which device a node has) must be decided.
"""

from __future__ import annotations

import ipaddress

from podnet_api import kni
from podnet_api.faults import FaultType

from podnet_compat import addresses, attachment, ranges
from podnet_compat.reader import Notes
from podnet_compat.systems import base, decided
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.gke import layers
from podnet_compat.systems.gke.keys import DEFAULTS, GROUP

TYPES = ("L2", "L3", "Device")
_MARKS = {f"{GROUP}/in-use": "podnet knows by itself who uses a network", f"{GROUP}/auto-generated": "GKE made it"}


def network(origin: Source, objects: Objects) -> Made:
    """A Network. Raises InvalidError."""
    notes = Notes()
    origin.check_top(notes, "spec")
    _marks(origin, notes)
    spec = origin.part("spec", notes)
    kind = spec.string("type")
    if kind not in TYPES:
        notes.fault(spec.at("type"), f"must be one of {', '.join(TYPES)}", kind)
    if origin.name in DEFAULTS:
        why = "is not translated: it is the cluster's default network, PodNetwork default"
        return Made(warnings=tuple(f"{path}: {why}" for path in decided.paths(spec)))
    name = network_name(origin.name, "metadata.name", notes)
    if decided.has(origin):
        return decided.network(origin, name, "", "spec", notes, decided.paths(spec))
    spec.ignore("provider", why="the provider of the PodNetwork is podnet's")
    made = {"L3": layers.layer3, "Device": layers.device}.get(kind, layers.layer2)(spec, objects)
    spec.finish(refuse=True)
    return base.native(origin, name, made, notes)


def network_name(name: str, path: str, notes: Notes) -> str:
    """The PodNetwork for GKE's network ``name``."""
    return "default" if name in DEFAULTS else base.network_name("gke", path, name, "", notes)


def is_routed(name: str, objects: Objects) -> bool:
    """Whether Network ``name`` is of type L3."""
    found = objects.get(GROUP, "Network", name)
    spec = found.body.get("spec") if found else None
    return isinstance(spec, dict) and spec.get("type") == "L3"


def asked(origin: Source, objects: Objects, notes: Notes) -> tuple[str, kni.AttachmentConfigSpec]:
    """The network of a NetworkInterface, and what it asks for."""
    spec = origin.part("spec", notes)
    name, routed = spec.string("networkName"), is_routed(spec.string("networkName"), objects)
    if not name:
        notes.fault(spec.at("networkName"), "must name a Network", type_=FaultType.REQUIRED)
    found = [
        _static(f"{spec.at('ipAddresses')}[{i}]", ip, routed, notes) for i, ip in enumerate(spec.strings("ipAddresses"))
    ]
    versions = [":" in text for text in found]
    if len(set(versions)) < len(versions):
        notes.unsupported(spec.at("ipAddresses"), message="a Pod gets one address per family")
    mac = ranges.read(spec, "macAddress", addresses.mac)
    if name in DEFAULTS and (found or mac):
        message = "the cluster's default network takes no addresses of a NetworkInterface"
        notes.unsupported(spec.at("networkName"), name, message)
    spec.finish(refuse=True)
    return name, kni.AttachmentConfigSpec(addresses=[text for text in found if text], mac=mac)


def interface(origin: Source, objects: Objects) -> Made:
    """A NetworkInterface: a PodNetworkAttachment of the same name. Raises InvalidError."""
    notes = Notes()
    origin.check_top(notes, "spec")
    _marks(origin, notes)
    if not decided.is_name(origin.name):
        notes.fault("metadata.name", "must be a lower-case DNS name (RFC 1123)", origin.name)
    named, spec = asked(origin, objects, notes)
    name = network_name(named, "spec.networkName", notes) if named else ""
    base.check(origin, notes)
    if name == "default":
        why = "is not translated: it is the cluster's default network, which needs no attachment"
        return Made(warnings=(f"spec.networkName: {why}", *notes.warnings))
    return Made(pairs=(pair(origin, name, spec),), warnings=tuple(notes.warnings))


def pair(origin: Source, network: str, spec: kni.AttachmentConfigSpec) -> attachment.Pair:
    """The attachment that NetworkInterface ``origin`` becomes."""
    return base.renamed(attachment.pair(origin.namespace, network, network, spec), origin.name)


def parameters(origin: Source, objects: Objects) -> Made:
    """A GKENetworkParamSet, whose ranges go into the NetworkConfig of the Network that names it."""
    notes = Notes()
    origin.check_top(notes, "spec")
    spec = origin.part("spec", notes)
    used = [one.name for one in objects.all(GROUP, "Network") if _names(one, origin.name)]
    why = f"says nothing to podnet: the VPC is Google's; its ranges are those of status.podCIDRs, used by {used}"
    ranged = spec.child("podIPv4Ranges")
    for reader, keys in ((spec, ("vpc", "vpcSubnet", "deviceMode")), (ranged, ("rangeNames",))):
        for key in keys:
            if reader.has(key):
                notes.warn(reader.at(key), why)
        reader.accept(*keys)
        reader.finish(refuse=False)
    base.check(origin, notes)
    return Made(warnings=tuple(notes.warnings))


def _names(one: Source, name: str) -> bool:
    spec = one.body.get("spec")
    ref = spec.get("parametersRef") if isinstance(spec, dict) else None
    return isinstance(ref, dict) and (ref.get("kind"), ref.get("name")) == ("GKENetworkParamSet", name)


def _marks(origin: Source, notes: Notes) -> None:
    for key, why in _MARKS.items():
        if key in origin.annotations:
            notes.warn(f"metadata.annotations[{key}]", f"is not translated: {why}")


def _static(path: str, text: str, routed: bool, notes: Notes) -> str:
    """One static address; without a prefix length a single one. The range of an L3 network knows its own."""
    try:
        found = addresses.address_or_interface(text)
    except ValueError as error:
        notes.fault(path, str(error), text)
        return ""
    if isinstance(found, ipaddress.IPv4Interface | ipaddress.IPv6Interface):
        return str(found.ip) if routed else str(found)
    return str(found) if routed else f"{found}/{found.max_prefixlen}"
