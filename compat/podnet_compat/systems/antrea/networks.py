"""A NAD of type antrea -> PodNetwork and NetworkConfig. Pure.

Format: pkg/agent/secondarynetwork/podwatch, docs/secondary-network.md. networkType vlan is a port on the agent's
bridge, whose uplink stands in the agent's configuration (ConfigMap antrea-config); sriov takes a virtual function.
"""

from __future__ import annotations

from msgspec import structs
from podnet_api import kni
from podnet_api.faults import FaultType

from podnet_compat import addresses, ipam, names, ranges
from podnet_compat.addresses import Interface
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base, decided, npwg
from podnet_compat.systems.antrea import pools
from podnet_compat.systems.base import Made, Objects, Source

TYPES = ("vlan", "sriov")
RESOURCE = f"metadata.annotations[{names.RESOURCE_NAME}]"


def is_ours(nad: Source) -> bool:
    """Whether ``nad`` is of Antrea."""
    return npwg.plugin(nad) == "antrea"


def translate(origin: Source, objects: Objects) -> Made:
    """A NAD. Raises InvalidError."""
    notes = Notes()
    origin.check_top(notes, "spec")
    config = npwg.reader(origin, notes)
    name = npwg.name(origin, notes)
    if decided.has(origin):
        return decided.network(origin, name, "", npwg.CONFIG, notes, decided.paths(config))
    _common(config)
    kind, mtu = config.string("networkType"), config.integer("mtu", 68, 65535) or 1500
    items, tag = _ipam(config, objects)
    vlan = config.integer("vlan", 0, 4094) or tag
    pool = ranges.pool(config.child("ipam"), items, "cluster")
    own = kni.NetworkConfigSpec(
        mtu=mtu, ipam=pool, routes=_routes(config), dns=ipam.dns(config.child("ipam").child("dns")), anti_spoof=False
    )
    if kind == "sriov":
        made = _sriov(origin, own, notes)
    elif kind == "vlan":
        made = _vlan(own, vlan, config, objects)
    else:
        notes.fault(config.at("networkType"), f"must be one of {', '.join(TYPES)}", kind)
        made = own
    config.finish(refuse=True)
    return base.native(origin, name, made, notes)


def static(nad: Source) -> tuple[Interface, ...]:
    """The addresses that every Pod on ``nad`` has."""
    notes = Notes()
    return tuple(found for one in _addresses(npwg.reader(nad, notes)) if (found := one[0]) is not None)


def pool(origin: Source, objects: Objects) -> Made:
    """An IPPool, whose addresses go into the NetworkConfigs of the NADs that name it."""
    notes = Notes()
    origin.check_top(notes, "spec")
    pools.read(origin, notes)
    base.check(origin, notes)
    used = any(origin.name in _named(nad) for nad in objects.all("k8s.cni.cncf.io", "NetworkAttachmentDefinition"))
    if used:
        return Made(warnings=tuple(notes.warnings))
    spec = origin.part("spec", Notes())
    why = "is not translated: no NAD of type antrea names the pool, which then is of the cluster's own network"
    return Made(warnings=tuple(f"{path}: {why}" for path in decided.paths(spec)))


def _named(nad: Source) -> list[str]:
    return Reader(npwg.config(nad), "", Notes()).child("ipam").strings("ippools") if is_ours(nad) else []


def _common(config: Reader) -> None:
    config.accept("cniVersion", "type", "name")
    config.ignore("deviceID", "prevResult", "runtimeConfig", why="it is the runtime's to give")
    config.ignore("dns", why="Antrea reads that of ipam for secondary networks")


def _vlan(own: kni.NetworkConfigSpec, vlan: int, config: Reader, objects: Objects) -> kni.NetworkConfigSpec:
    """A port in a VLAN of the uplink, or untagged on a bridge with it."""
    uplinks = pools.uplinks(objects)
    if uplinks is None or len(uplinks) != 1:
        known = "stands in ConfigMap kube-system/antrea-config (secondaryNetwork.ovsBridges), which is not here"
        what = known if uplinks is None else f"has the interfaces {', '.join(uplinks) or '(none)'}, a network has one"
        message = f"the bridge of Antrea's agent {what}: write a NetworkConfig and name it in the annotation"
        config.notes.unsupported(config.at("networkType"), "vlan", f"{message} {decided.KEY}")
        return own
    message = f"takes {uplinks[0]} out of the bridge of Antrea's agent: not both at once on one node"
    config.notes.warn(config.at("networkType"), message)
    tagged, plain = (kni.Vlan(vid=vlan), None) if vlan else (None, kni.Bridge())
    return structs.replace(own, vlan=tagged, bridge=plain, uplink=kni.Uplink(interface=uplinks[0]))


def _sriov(origin: Source, own: kni.NetworkConfigSpec, notes: Notes) -> kni.NetworkConfigSpec:
    resource = origin.annotations.get(names.RESOURCE_NAME, "")
    if not resource:
        message = f"networkType sriov needs the annotation {names.RESOURCE_NAME}"
        notes.fault(RESOURCE, message, type_=FaultType.REQUIRED)
    return structs.replace(own, sriov=kni.Sriov(resource=resource))


def _ipam(config: Reader, objects: Objects) -> tuple[list[list[kni.Range]], int]:
    """The ranges of each pool, and the VLAN that they say."""
    own = config.child("ipam")
    if not own.written():
        return [], 0
    if own.string("type") != "antrea":
        own.notes.fault(
            own.at("type"), "must be antrea, Antrea knows no other for secondary networks", own.string("type")
        )
    own.refuse("ranges", why="belongs to the primary network")
    found, vlans = [], [0]
    for place, name in enumerate(own.strings("ippools")):
        path = f"{own.at('ippools')}[{place}]"
        origin = objects.get(pools.GROUP, "IPPool", name)
        if origin is None:
            own.notes.fault(path, "no such IPPool is known", name, FaultType.NOT_FOUND)
            continue
        inner = Notes()
        one = pools.read(origin, inner)
        for fault in inner.faults:
            own.notes.fault(path, f"{origin.subject}: {fault}", name)
        found.append(list(one.ranges))
        vlans.append(one.vlan)
    if len({one for one in vlans if one}) > 1 and not config.integer("vlan", 0, 4094):
        message = f"the pools say the VLANs {sorted({one for one in vlans if one})}, a network has one"
        own.notes.unsupported(own.at("ippools"), message=message)
    _static(own, bool(found))
    own.accept("addresses", "routes", "dns")
    own.finish(refuse=True)
    return found, max(vlans)


def _static(own: Reader, pooled: bool) -> None:
    for place, (found, gateway) in enumerate(_addresses_of(own)):
        path = f"{own.at('addresses')}[{place}]"
        if found is not None and pooled:
            own.notes.unsupported(path, str(found), "beside ippools it would be a second address of the Pod")
        elif found is not None:
            own.notes.warn(path, f"{found} becomes a parameter of each Pod's attachment")
        if gateway:
            own.notes.warn(f"{path}.gateway", "has no effect: eth0 keeps the default route")


def _addresses(config: Reader) -> list[tuple[Interface | None, bool]]:
    return _addresses_of(config.child("ipam"))


def _addresses_of(own: Reader) -> list[tuple[Interface | None, bool]]:
    found = []
    for one in own.children("addresses"):
        address = ranges.read(one, "address", addresses.interface)
        if address is None and not one.has("address"):
            one.notes.fault(one.at("address"), "is needed, with its prefix length", type_=FaultType.REQUIRED)
        found.append((address, ranges.read(one, "gateway", addresses.address) is not None))
        one.finish(refuse=True)
    return found


def _routes(config: Reader) -> list[kni.Route]:
    made = []
    for one in config.child("ipam").children("routes"):
        to, gateway = ranges.read(one, "dst", addresses.interface), ranges.read(one, "gw", addresses.address)
        one.finish(refuse=True)
        if to is None:
            if not one.has("dst"):
                one.notes.fault(one.at("dst"), "a route needs a destination", type_=FaultType.REQUIRED)
        elif not to.network.prefixlen:
            one.notes.warn(one.path, "eth0 keeps the default route, unless the Pod asks by 'default-route'")
        else:
            made.append(kni.Route(destination=str(to.network), gateway=ranges.text(gateway)))
    return made
