"""Isovalent Enterprise for Cilium: IsovalentPodNetwork, CiliumPodIPPool and the Pod's list. Pure.

Format: isovalent.com/v1alpha1 and cilium.io/v2alpha1. Cilium routes to each Pod's single addresses, as datapath routed
does. A Pod's list takes the place of the default network, which is in it only when it is named. The names between its
commas are not trimmed. The first interface is eth0, the others are cil1, cil2, ...
"""

from __future__ import annotations

from podnet_api import kni
from podnet_api import names as api_names
from podnet_api.faults import FaultType

from podnet_compat import addresses, ranges
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base, decided
from podnet_compat.systems.base import Listing, Made, Objects, Source
from podnet_compat.systems.registry import Kind, System

GROUP, POOLS = "isovalent.com", "cilium.io"
KEY = "network.v1alpha1.isovalent.com/pod-networks"
PATH = f"metadata.annotations[{KEY}]"
_FAMILIES = {"ipv4": 4, "ipv6": 6}


def network(origin: Source, objects: Objects) -> Made:
    """An IsovalentPodNetwork. Raises InvalidError."""
    notes = Notes()
    origin.check_top(notes, "spec")
    spec = origin.part("spec", notes)
    if origin.name == api_names.DEFAULT_NETWORK:
        why = "is not translated: it is the cluster's default network, PodNetwork default"
        return Made(warnings=tuple(f"{path}: {why}" for path in decided.paths(spec)))
    name = base.network_name("isovalent", "metadata.name", origin.name, "", notes)
    if decided.has(origin):
        return decided.network(origin, name, "", "spec", notes, decided.paths(spec))
    pool = _ipam(spec, objects)
    made = kni.NetworkConfigSpec(routed=kni.Routed(), ipam=pool, routes=_routes(spec), anti_spoof=False)
    message = "datapath routed gives Pods of other nodes no route: the network between the nodes must, or an uplink"
    notes.warn("spec", f"{message} with proxy: true in a NetworkConfig of your own ({decided.KEY})")
    spec.finish(refuse=True)
    return base.native(origin, name, made, notes)


def pool(origin: Source, objects: Objects) -> Made:
    """A CiliumPodIPPool, whose addresses go into the NetworkConfigs of the networks that name it."""
    notes = Notes()
    origin.check_top(notes, "spec")
    spec = origin.part("spec", notes)
    used = [one.name for one in objects.all(GROUP, "IsovalentPodNetwork") if _pool_name(one) == origin.name]
    if not used:
        why = "is not translated: no IsovalentPodNetwork names the pool, which then is of the cluster's own network"
        return Made(warnings=tuple(f"{path}: {why}" for path in decided.paths(spec)))
    spec.ignore("podSelector", "namespaceSelector", why="a Pod has a network's addresses because it names the network")
    _ranges(spec)
    spec.finish(refuse=False)
    base.check(origin, notes)
    return Made(warnings=tuple(notes.warnings))


def translate(pod: Source, objects: Objects) -> Made:
    """The list of ``pod``. Raises InvalidError with every fault."""
    notes = Notes()
    listed = pod.annotations.get(KEY, "").split(",")
    adds = listed[0] == api_names.DEFAULT_NETWORK
    listing = Listing(pod, notes, adds=adds)
    for place, name in enumerate(listed):
        path = f"{PATH}[{place}]"
        if name == api_names.DEFAULT_NETWORK:
            if place:
                message = "the default network is eth0, made by the cluster's own CNI: name it first"
                notes.unsupported(path, name, message)
            continue
        found = objects.get(GROUP, "IsovalentPodNetwork", name)
        if found is None:
            hint = ": names are not trimmed, remove the blanks" if name != name.strip() else ""
            notes.fault(path, f'IsovalentPodNetwork "{name}" not found{hint}', name, FaultType.NOT_FOUND)
            continue
        made = base.network_name("isovalent", path, name, "", notes)
        interface = f"cil{place}" if place else api_names.DEFAULT_INTERFACE
        gateways = _families(found, objects) if not place else frozenset[int]()
        listing.add(path, made, interface, origin=name, gateways=gateways)
    return listing.made() if listed != [api_names.DEFAULT_NETWORK] or notes.faults else Made()


def _pool_name(origin: Source) -> str:
    ipam = Reader(origin.body, "", Notes()).child("spec").child("ipam")
    return ipam.child("pool").string("name")


def _families(origin: Source, objects: Objects) -> frozenset[int]:
    found = objects.get(POOLS, "CiliumPodIPPool", _pool_name(origin))
    spec = found.body.get("spec") if found else None
    return frozenset(version for key, version in _FAMILIES.items() if isinstance(spec, dict) and key in spec)


def _ipam(spec: Reader, objects: Objects) -> kni.Ipam | None:
    ipam = spec.child("ipam")
    mode, named = ipam.string("mode"), ipam.child("pool")
    if mode != "multi-pool":
        ipam.notes.fault(ipam.at("mode"), "must be multi-pool", mode)
    name = named.string("name")
    named.finish(refuse=True)
    ipam.finish(refuse=True)
    found = objects.get(POOLS, "CiliumPodIPPool", name)
    if found is None:
        spec.notes.fault(named.at("name"), "no such CiliumPodIPPool is known", name, FaultType.NOT_FOUND)
        return None
    inner = Notes()
    made = _ranges(found.part("spec", inner))
    for fault in inner.faults:
        spec.notes.fault(named.at("name"), f"{found.subject}: {fault}", name)
    return made


def _ranges(spec: Reader) -> kni.Ipam | None:
    """The addresses of a pool; each node claims parts of the size that it says."""
    sets, sizes = [], {}
    for key, version in _FAMILIES.items():
        own = spec.child(key)
        items = [item for item in map(_range, _cidrs(own), [own] * len(_cidrs(own))) if item is not None]
        sets.append(items)
        sizes[version] = own.integer("maskSize", 1, 32 if version == 4 else 128) or None
        own.finish(refuse=True)
    made = ranges.pool(spec, sets, "cluster")
    if made is None:
        spec.notes.fault(spec.path, "has neither ipv4 nor ipv6 addresses", type_=FaultType.REQUIRED)
        return None
    return kni.Ipam(ranges=made.ranges, block_prefix4=sizes[4], block_prefix6=sizes[6])


def _cidrs(own: Reader) -> list[tuple[str, str]]:
    """Path and text of each subnet, which newer versions wrap into an object."""
    raw = own.raw("cidrs")
    found = []
    for place, one in enumerate(raw if isinstance(raw, list) else []):
        path = f"{own.at('cidrs')}[{place}]"
        text = one.get("cidr") if isinstance(one, dict) else one
        found.append((path, text if isinstance(text, str) else ""))
    return found


def _range(one: tuple[str, str], own: Reader) -> kni.Range | None:
    path, text = one
    try:
        return kni.Range(cidr=str(addresses.subnet(text)))
    except ValueError as error:
        own.notes.fault(path, str(error), text)
        return None


def _routes(spec: Reader) -> list[kni.Route]:
    made = []
    for one in spec.children("routes"):
        found = ranges.read(one, "destination", addresses.interface)
        gateway = ranges.read(one, "gateway", addresses.address)
        one.finish(refuse=True)
        if found is None:
            if not one.has("destination"):
                one.notes.fault(one.at("destination"), "a route needs a destination", type_=FaultType.REQUIRED)
            continue
        if gateway is not None:
            one.notes.warn(one.at("gateway"), "has no effect: a routed link leads over the node, whatever the gateway")
        made.append(kni.Route(destination=str(found.network), gateway=ranges.text(gateway)))
    return made


SYSTEM = System(
    "isovalent",
    adds=False,
    keys=(KEY,),
    kinds=(
        Kind(
            GROUP,
            "IsovalentPodNetwork",
            network,
            namespaced=False,
            plural="isovalentpodnetworks",
            versions=("v1alpha1",),
        ),
        Kind(POOLS, "CiliumPodIPPool", pool, namespaced=False, plural="ciliumpodippools", versions=("v2alpha1", "v2")),
    ),
    pods=translate,
)
