"""Kube-OVN's kinds (kubeovn.io/v1): checked, and said what becomes of each field. Pure.

None of them is a network by itself: a NAD is, and names what it stands on by its provider. So none becomes an object;
Kube-OVN's controller goes on reading them. What would not work for Kube-OVN is refused.
"""

from __future__ import annotations

from typing import Any

from podnet_api.faults import FaultType

from podnet_compat import addresses, legacy
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base, decided
from podnet_compat.systems.base import Made, Objects, Source

GROUP = "kubeovn.io"
PLURALS = {
    "Subnet": "subnets",
    "Vpc": "vpcs",
    "Vlan": "vlans",
    "ProviderNetwork": "provider-networks",
    "IPPool": "ippools",
}
_PROTOCOLS = ("", "IPv4", "IPv6", "Dual", "Mac")


def translate(origin: Source, objects: Objects) -> Made:
    """One of the kinds. Raises InvalidError."""
    notes = Notes()
    origin.check_top(notes, "spec")
    spec = origin.part("spec", notes)
    checks = {"Subnet": _subnet, "Vlan": _vlan, "ProviderNetwork": _provider_network, "IPPool": _pool}
    why = checks[origin.kind](spec, objects) if origin.kind in checks else "its router is a part of Kube-OVN's network"
    for path in _leaves(spec):
        notes.warn(path, f"stays Kube-OVN's: {why}")
    base.check(origin, notes)
    return Made(warnings=tuple(notes.warnings))


def _leaves(spec: Reader) -> list[str]:
    """The path of every field, through objects and lists."""
    spec.accept(*spec.written())
    return [path for key in sorted(spec.written()) for path in _below(spec.raw(key), spec.at(key))]


def _below(value: Any, path: str) -> list[str]:
    if isinstance(value, dict) and value:
        return [one for key, item in sorted(value.items(), key=str) for one in _below(item, f"{path}.{key}")]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [one for place, item in enumerate(value) for one in _below(item, f"{path}[{place}]")]
    return [path]


def _subnet(spec: Reader, objects: Objects) -> str:
    """Whose network the subnet is."""
    provider, protocol = spec.string("provider"), spec.string("protocol")
    if protocol not in _PROTOCOLS:
        spec.notes.fault(spec.at("protocol"), f"must be one of {', '.join(_PROTOCOLS[1:])}", protocol)
    found = [_cidr(spec, text) for text in spec.string("cidrBlock").split(",") if text]
    for key in ("gateway", "u2oInterconnectionIP", "externalEgressGateway"):
        for text in [part.strip() for part in spec.string(key).split(",") if part.strip()]:
            _address(spec, key, text)
    if protocol == "Dual" and len([one for one in found if one]) != 2:
        spec.notes.fault(spec.at("cidrBlock"), "protocol Dual needs two", spec.string("cidrBlock"))
    if not provider or provider == "ovn":
        return "a subnet of the cluster's own network, PodNetwork default"
    nad = next((one for one in objects.all(legacy.GROUP, legacy.KIND) if provider in _providers(one)), None)
    if nad is None:
        message = "names no NetworkAttachmentDefinition that is known: <name>.<namespace>.ovn, or without .ovn"
        spec.notes.fault(spec.at("provider"), message, provider, FaultType.NOT_FOUND)
        return ""
    return f"it prepares the network of {nad.subject}, which its plugin attaches (datapath cni)"


def _providers(nad: Source) -> tuple[str, str]:
    return f"{nad.name}.{nad.namespace}.ovn", f"{nad.name}.{nad.namespace}"


def _cidr(spec: Reader, text: str) -> bool:
    try:
        addresses.interface(text.strip())
    except ValueError as error:
        spec.notes.fault(spec.at("cidrBlock"), str(error), text)
        return False
    return True


def _address(spec: Reader, key: str, text: str) -> None:
    try:
        addresses.address(text)
    except ValueError as error:
        spec.notes.fault(spec.at(key), str(error), text)


def _vlan(spec: Reader, objects: Objects) -> str:
    spec.integer("id", 0, 4095)
    provider = spec.string("provider")
    if provider and objects.get(GROUP, "ProviderNetwork", provider) is None:
        spec.notes.fault(spec.at("provider"), "no such ProviderNetwork is known", provider, FaultType.NOT_FOUND)
    return "it tags the subnets that name it"


def _provider_network(spec: Reader, _: Objects) -> str:
    interface = spec.string("defaultInterface")
    if not interface:
        spec.notes.fault(spec.at("defaultInterface"), "is needed", type_=FaultType.REQUIRED)
    return (
        f"it takes {interface or 'the interface'} into its bridge; a NetworkConfig with that uplink ({decided.KEY}) "
        "would have to replace it"
    )


def _pool(spec: Reader, objects: Objects) -> str:
    subnet = spec.string("subnet")
    if subnet and objects.get(GROUP, "Subnet", subnet) is None:
        spec.notes.fault(spec.at("subnet"), "no such Subnet is known", subnet, FaultType.NOT_FOUND)
    return "its controller gives addresses of it"
