"""UserDefinedNetwork and ClusterUserDefinedNetwork (k8s.ovn.org/v1) -> datapath ``cni``. Pure.

``render`` writes the configuration that OVN-Kubernetes writes into the NAD of the network (its template
net-attach-def-template.go). Where that NAD is among the objects, its own text is taken, and what cannot be rendered
without it (what OVN-Kubernetes allocates itself) is no obstacle.
"""

from __future__ import annotations

import json
from typing import Any

from podnet_api import kni
from podnet_api.faults import FaultType

from podnet_compat import addresses, legacy
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base, npwg
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.ovnk import identity

TOPOLOGIES = {"Layer2": "layer2", "Layer3": "layer3", "Localnet": "localnet"}
ROLES = ("Primary", "Secondary")
_PRIMARY_ONLY = ("joinSubnets", "defaultGatewayIPs", "reservedSubnets", "infrastructureSubnets")
_ALLOCATED = ("transport", "noOverlay", "noOverlayOptions", "evpn", "uplink")
_BY_DEFAULT = "is attached by the cluster's own CNI, with the network default"


def of_namespace(origin: Source, objects: Objects) -> Made:
    """A UserDefinedNetwork. Raises InvalidError."""
    notes = Notes()
    origin.check_top(notes, "spec")
    spec = origin.part("spec", notes)
    if _role(spec) == "Primary":
        return _primary(origin, spec, [origin.namespace], objects, notes)
    nad = npwg.find(objects, origin.namespace, origin.name)
    config = render(spec, f"{origin.namespace}_{origin.name}", origin.namespace, origin.name, nad, notes)
    name = base.network_name("ovn-kubernetes", "metadata.name", origin.name, origin.namespace, notes)
    return base.native(origin, name, _spec(config), notes)


def of_cluster(origin: Source, objects: Objects) -> Made:
    """A ClusterUserDefinedNetwork: a NAD in each of its namespaces, and a handle for each. Raises InvalidError."""
    notes = Notes()
    origin.check_top(notes, "spec")
    spec = origin.part("spec", notes)
    network, chosen = spec.child("network"), namespaces(origin, objects)
    message = "is not held: any Pod may name a PodNetwork, unless RBAC keeps it (verb use)"
    for key in sorted(spec.child("namespaceSelector").written()):
        notes.warn(f"{spec.at('namespaceSelector')}.{key}", message)
    if not chosen:
        what = "selects no namespace that is known: give the Namespaces too"
        notes.fault(spec.at("namespaceSelector"), what, type_=FaultType.NOT_FOUND)
    if _role(network) == "Primary":
        made = _primary(origin, network, chosen, objects, notes)
    else:
        made = base.merge(*[_handle(origin, network, one, chosen, objects, notes) for one in chosen])
    spec.finish(refuse=True)
    base.check(origin, notes)
    return made


def namespaces(origin: Source, objects: Objects) -> list[str]:
    """The namespaces that a ClusterUserDefinedNetwork selects."""
    spec = origin.body.get("spec")
    selector = spec.get("namespaceSelector") if isinstance(spec, dict) else None
    if not isinstance(selector, dict):
        return []
    labels = {one.name: {"kubernetes.io/metadata.name": one.name, **one.labels} for one in objects.all("", "Namespace")}
    return [name for name, own in sorted(labels.items()) if identity.selects(selector, own)]


def generated(objects: Objects) -> list[Source]:
    """The NADs that OVN-Kubernetes will make of networks, where they are not among the objects yet."""
    made = []
    for kind in ("UserDefinedNetwork", "ClusterUserDefinedNetwork"):
        for origin in objects.all(identity.GROUP, kind):
            spec, cluster = origin.part("spec", Notes()), kind.startswith("Cluster")
            network = spec.child("network") if cluster else spec
            places = namespaces(origin, objects) if cluster else [origin.namespace]
            for place in places:
                name = f"cluster_udn_{origin.name}" if cluster else f"{place}_{origin.name}"
                config = render(network, name, place, origin.name, None, Notes())
                body = {"metadata": {"name": origin.name, "namespace": place}, "spec": {"config": json.dumps(config)}}
                made.append(Source(legacy.GROUP, legacy.KIND, place, origin.name, body))
    return [one for one in made if npwg.find(objects, one.namespace, one.name) is None]


def _handle(origin: Source, network: Reader, place: str, chosen: list[str], objects: Objects, notes: Notes) -> Made:
    nad = npwg.find(objects, place, origin.name)
    config = render(network, f"cluster_udn_{origin.name}", place, origin.name, nad, notes)
    body = {"spec": {"config": json.dumps({"name": f"cluster_udn_{origin.name}"})}}
    one = Source(legacy.GROUP, legacy.KIND, place, origin.name, body)
    name = identity.handle(one, [(space, origin.name) for space in chosen], notes, "metadata.name")
    return base.native(origin, name, _spec(config), notes)


def _role(network: Reader) -> str:
    key = TOPOLOGIES.get(str(network.raw("topology")), "")
    part = network.mapping(key) if key and network.has(key) else {}
    return str(part.get("role", ""))


def _spec(config: dict[str, Any] | str) -> kni.NetworkConfigSpec:
    text = config if isinstance(config, str) else json.dumps(config)
    return kni.NetworkConfigSpec(cni=kni.Cni(config=text), anti_spoof=False)


def _primary(origin: Source, network: Reader, places: list[str], objects: Objects, notes: Notes) -> Made:
    """Nothing to make: every Pod of the namespaces has it, as ovn-udn1, from the cluster's own CNI."""
    render(network, origin.name, origin.namespace, origin.name, None, notes)
    for place in places:
        space = objects.get("", "Namespace", place)
        if space is not None and identity.PRIMARY_LABEL not in space.labels:
            message = f"needs the label {identity.PRIMARY_LABEL} on Namespace {place}, from its creation on"
            notes.fault("metadata.namespace" if origin.namespace else "spec.namespaceSelector", message, place)
    for key in sorted(network.written()):
        inner = network.mapping(key) if key in TOPOLOGIES.values() else {}
        for one in [f"{network.at(key)}.{field}" for field in sorted(inner, key=str)] or [network.at(key)]:
            notes.warn(one, f"is not translated: a primary network {_BY_DEFAULT}")
    base.check(origin, notes)
    return Made(warnings=tuple(notes.warnings))


def render(
    network: Reader, name: str, namespace: str, nad: str, there: Source | None, notes: Notes
) -> dict[str, Any] | str:
    """The configuration of ``network`` for NAD ``namespace/nad``; the text of ``there``, if that NAD is there."""
    topology = network.string("topology")
    key = TOPOLOGIES.get(topology, "")
    if not key:
        notes.fault(network.at("topology"), f"must be one of {', '.join(TOPOLOGIES)}", topology)
        key = "layer2"
    for other in TOPOLOGIES.values():
        if other != key and network.has(other):
            notes.fault(network.at(other), f"must not stand beside topology {topology}")
    if not network.has(key):
        notes.fault(network.at(key), f"topology {topology} needs it", type_=FaultType.REQUIRED)
    part = network.child(key)
    role = part.string("role")
    if role not in ROLES:
        notes.fault(part.at("role"), f"must be one of {', '.join(ROLES)}", role)
    text = npwg.text(there) if there is not None and identity.is_ours(there) else ""
    for one in _ALLOCATED:
        if network.has(one) and not text and role != "Primary" and network.raw(one) != "Geneve":
            message = "OVN-Kubernetes allocates parts of it: give the NetworkAttachmentDefinition that it made, too"
            notes.unsupported(network.at(one), message=message)
    network.accept(*_ALLOCATED)
    made = {
        "cniVersion": "1.0.0",
        "type": identity.PLUGIN,
        "name": name,
        "netAttachDefName": f"{namespace}/{nad}",
        "topology": topology.lower(),
        "role": role.lower(),
        **_body(part, role, key),
    }
    part.finish(refuse=True)
    network.finish(refuse=True)
    return text or {key: value for key, value in made.items() if value}


def _body(part: Reader, role: str, key: str) -> dict[str, Any]:
    if role != "Primary":
        part.refuse(*_PRIMARY_ONLY, why="is only for role Primary")
    persistent, subnets = _ipam(part), _subnets(part, key)
    local = key == "localnet"
    if local and role == "Primary":
        part.notes.fault(part.at("role"), "topology Localnet is only for role Secondary", role)
    if local and not part.string("physicalNetworkName"):
        part.notes.fault(part.at("physicalNetworkName"), "is needed", type_=FaultType.REQUIRED)
    return {
        "mtu": part.integer("mtu", 576, 65536),
        "joinSubnet": _cidrs(part, "joinSubnets"),
        "subnets": subnets,
        "allowPersistentIPs": persistent,
        "physicalNetworkName": part.string("physicalNetworkName") if local else "",
        "excludeSubnets": _cidrs(part, "excludeSubnets") if local else "",
        "vlanID": _vlan(part) if local else 0,
        "reservedSubnets": _cidrs(part, "reservedSubnets"),
        "infrastructureSubnets": _cidrs(part, "infrastructureSubnets"),
        "defaultGatewayIPs": ",".join(part.strings("defaultGatewayIPs")),
    }


def _ipam(part: Reader) -> bool:
    """Whether addresses outlive their Pods."""
    ipam = part.child("ipam")
    mode, lifecycle = ipam.string("mode") or "Enabled", ipam.string("lifecycle")
    if mode == "DHCP":
        message = "a DHCP server gives addresses: use a NetworkConfig with ipam.dhcp on the uplink"
        ipam.notes.unsupported(ipam.at("mode"), mode, message)
    elif mode not in {"Enabled", "Disabled"}:
        ipam.notes.fault(ipam.at("mode"), "must be Enabled, Disabled or DHCP", mode)
    if lifecycle not in {"", "Persistent"} or (lifecycle and mode != "Enabled"):
        ipam.notes.fault(ipam.at("lifecycle"), "must be Persistent, with mode Enabled, or absent", lifecycle)
    if mode == "Enabled" and not part.has("subnets"):
        ipam.notes.fault(part.at("subnets"), "are needed, unless ipam.mode is Disabled", type_=FaultType.REQUIRED)
    if mode == "Disabled" and part.has("subnets"):
        ipam.notes.fault(part.at("subnets"), "must not stand beside ipam.mode Disabled")
    if ipam.has("mode"):
        ipam.notes.warn(ipam.at("mode"), "whether there are subnets says it to the plugin")
    ipam.finish(refuse=True)
    return lifecycle == "Persistent"


def _subnets(part: Reader, key: str) -> str:
    if key != "layer3":
        return _cidrs(part, "subnets")
    found = []
    for one in part.children("subnets"):
        cidr, host = _cidr(one.at("cidr"), one.string("cidr"), one), one.integer("hostSubnet", 1, 127)
        if cidr is not None and host and host <= cidr.prefixlen:
            one.notes.fault(one.at("hostSubnet"), f"must be longer than the prefix of {cidr}", host)
        found.append(f"{one.string('cidr')}/{host}" if host else one.string("cidr"))
        one.finish(refuse=True)
    return ",".join(found)


def _cidrs(part: Reader, key: str) -> str:
    listed = part.strings(key)
    for place, text in enumerate(listed):
        _cidr(f"{part.at(key)}[{place}]", text, part)
    return ",".join(listed)


def _cidr(path: str, text: str, part: Reader) -> addresses.Network | None:
    try:
        return addresses.interface(text).network
    except ValueError as error:
        part.notes.fault(path, str(error), text)
        return None


def _vlan(part: Reader) -> int:
    """``vlan.access.id``; older versions have the number itself."""
    if isinstance(part.raw("vlan"), int):
        return part.integer("vlan", 1, 4094)
    vlan = part.child("vlan")
    access = vlan.child("access")
    mode, number = vlan.string("mode"), access.integer("id", 1, 4094)
    if mode and mode != "Access":
        vlan.notes.fault(vlan.at("mode"), "must be Access", mode)
    elif mode:
        vlan.notes.warn(vlan.at("mode"), "the plugin knows no other")
    access.finish(refuse=True)
    vlan.finish(refuse=True)
    return number
