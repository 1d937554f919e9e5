"""What the types of a GKE Network become: L2, L3, Device. Pure; called by ``objects``."""

from __future__ import annotations

from podnet_api import kni
from podnet_api.faults import FaultType

from podnet_compat import addresses, ranges
from podnet_compat.reader import Reader
from podnet_compat.systems import decided
from podnet_compat.systems.base import Objects, Source
from podnet_compat.systems.gke.keys import GROUP


def layer2(spec: Reader, _: Objects) -> kni.NetworkConfigSpec:
    uplink = _uplink(spec)
    if not uplink:
        at = f"{spec.at('nodeInterfaceMatcher')}.interfaceName"
        spec.notes.fault(at, "type L2 needs the interface of the nodes", type_=FaultType.REQUIRED)
    layer = spec.child("l2NetworkConfig")
    vid, prefix = layer.integer("vlanID", 1, 4094), layer.integer("prefixLength4", 1, 32)
    layer.finish(refuse=True)
    own = _lifecycle(spec, vid)
    if spec.has("parametersRef"):
        _no_parameters(spec)
    pool = _pool(spec, prefix)
    device = f"{uplink}.{vid}" if vid and own else uplink
    tagged = bool(vid) and not own
    if not tagged:
        spec.notes.warn(spec.at("type"), "macvlan: no node checks what addresses a Pod sends from, as GKE does")
    return kni.NetworkConfigSpec(
        vlan=kni.Vlan(vid=vid) if tagged else None,
        macvlan=None if tagged else kni.Macvlan(),
        uplink=kni.Uplink(interface=device or "missing"),
        ipam=pool,
        routes=_routes(spec, pool is not None),
        dns=_dns(spec),
        anti_spoof=tagged and pool is None,
    )


def _lifecycle(spec: Reader, vid: int) -> bool:
    """Whether the node's VLAN interface is somebody else's, who made it."""
    text = spec.string("networkLifecycle")
    if text not in {"", "AnthosManaged", "UserManaged"}:
        spec.notes.fault(spec.at("networkLifecycle"), "must be AnthosManaged or UserManaged", text)
    elif text and not vid:
        spec.notes.warn(spec.at("networkLifecycle"), "has no effect without l2NetworkConfig.vlanID")
    elif text == "AnthosManaged":
        spec.notes.warn(spec.at("networkLifecycle"), "podnet makes the VLAN interface where Pods need it")
    return text == "UserManaged"


def _pool(spec: Reader, prefix: int) -> kni.Ipam | None:
    """An outer DHCP server, or nothing: then NetworkInterfaces have the addresses."""
    modes = {key: spec.string(key) for key in ("IPAMMode", "IPAMMode6")}
    for key, mode in modes.items():
        if mode not in {"", "Internal", "External"}:
            spec.notes.fault(spec.at(key), "must be Internal or External", mode)
        elif mode == "Internal":
            _undecided(spec, spec.at(key))
    if modes["IPAMMode6"] == "External":
        spec.notes.warn(spec.at("IPAMMode6"), "IPv6 addresses are the router's affair (SLAAC): podnet gives none")
    if prefix:
        _undecided(spec, f"{spec.at('l2NetworkConfig')}.prefixLength4")
    outer = spec.boolean("externalDHCP4") or modes["IPAMMode"] == "External"
    if outer:
        given = [key for key in ("gateway4", "dnsConfig") if spec.has(key)]
        for key in given:
            spec.notes.warn(spec.at(key), "the DHCP server says its own as well")
    return kni.Ipam(dhcp=kni.Dhcp()) if outer else None


def _undecided(spec: Reader, path: str) -> None:
    what = "GKE gives addresses of a range that no object names, which must be decided"
    message = f"{what}: write a NetworkConfig with the range and name it in the annotation {decided.KEY}"
    spec.notes.unsupported(path, message=message)


def layer3(spec: Reader, objects: Objects) -> kni.NetworkConfigSpec:
    for key in ("l2NetworkConfig", "networkLifecycle", "externalDHCP4"):
        spec.refuse(key, why="is only for type L2")
    pool = _secondary(spec, objects)
    message = "datapath routed gives Pods of other nodes no route: the VPC must route the addresses to their nodes"
    spec.notes.warn(spec.at("type"), message)
    spec.ignore("IPAMMode", "IPAMMode6", why="addresses are of the ranges of the GKENetworkParamSet")
    if spec.string("gateway4"):
        spec.notes.warn(spec.at("gateway4"), "has no effect: a routed link leads over the node, whatever the gateway")
    uplink = _uplink(spec)
    return kni.NetworkConfigSpec(
        routed=kni.Routed(),
        uplink=kni.Uplink(interface=uplink) if uplink else None,
        ipam=pool,
        routes=_routes(spec, False, routed=True),
        dns=_dns(spec),
        anti_spoof=False,
    )


def _secondary(spec: Reader, objects: Objects) -> kni.Ipam | None:
    """The ranges of the GKENetworkParamSet, which GKE wrote into its status."""
    ref = spec.child("parametersRef")
    at, name = spec.at("parametersRef"), ref.string("name")
    found = _parameters(ref, objects)
    if found is None:
        return None
    status = found.body.get("status")
    pods = status.get("podCIDRs") if isinstance(status, dict) else None
    blocks = pods.get("cidrBlocks") if isinstance(pods, dict) else None
    items = []
    for text in blocks if isinstance(blocks, list) else []:
        try:
            items.append(kni.Range(cidr=str(addresses.subnet(str(text)))))
        except ValueError as error:
            spec.notes.fault(f"{at}.name", f"GKENetworkParamSet {name}: status.podCIDRs: {error}", text)
    if not items and not spec.notes.faulty(f"{at}.name"):
        what = f"GKENetworkParamSet {name} says no status.podCIDRs, so the ranges must be decided"
        spec.notes.unsupported(f"{at}.name", message=f"{what}: by a NetworkConfig, named in {decided.KEY}")
    return ranges.pool(spec, [[item] for item in items[:1]] + [[item] for item in items[1:]], "cluster")


def _parameters(ref: Reader, objects: Objects) -> Source | None:
    kind, name = ref.string("kind"), ref.string("name")
    group, namespace = ref.string("group"), ref.string("namespace")
    ref.finish(refuse=True)
    if (group, kind) != (GROUP, "GKENetworkParamSet") or not name or namespace:
        ref.notes.fault(ref.path, f"must name a GKENetworkParamSet of {GROUP}", f"{group} {kind} {namespace} {name}")
        return None
    found = objects.get(GROUP, "GKENetworkParamSet", name)
    if found is None:
        ref.notes.fault(ref.at("name"), f"GKENetworkParamSet {name} is not known", type_=FaultType.NOT_FOUND)
    return found


def _no_parameters(spec: Reader) -> None:
    spec.notes.unsupported(spec.at("parametersRef"), message="is for the types L3 and Device")


def device(spec: Reader, objects: Objects) -> kni.NetworkConfigSpec:
    for key in ("l2NetworkConfig", "networkLifecycle", "externalDHCP4", "IPAMMode", "IPAMMode6"):
        spec.refuse(key, why="is not for type Device")
    name = _uplink(spec)
    if not name:
        at = f"{spec.at('nodeInterfaceMatcher')}.interfaceName"
        what = "which device of a node it is must be decided: by a NetworkConfig of datapath hostDevice"
        spec.notes.unsupported(at, message=f"{what}, named in the annotation {decided.KEY}")
    if spec.has("parametersRef"):
        found = _parameters(spec.child("parametersRef"), objects)
        inner = found.body.get("spec") if found else None
        mode = inner.get("deviceMode") if isinstance(inner, dict) else None
        if mode == "DPDK-VFIO":
            message = "the device is bound to vfio-pci and no link of the kernel: a device plugin must hand it out"
            spec.notes.unsupported(spec.at("parametersRef"), mode, message)
        elif mode == "RDMA":
            message = "RDMA: the link goes into the Pod, its verbs devices are a device plugin's affair"
            spec.notes.warn(spec.at("parametersRef"), message)
    return kni.NetworkConfigSpec(
        host_device=kni.HostDevice(name=name or "missing"),
        routes=_routes(spec, False),
        dns=_dns(spec),
        anti_spoof=False,
    )


def _uplink(spec: Reader) -> str:
    matcher = spec.child("nodeInterfaceMatcher")
    name = matcher.string("interfaceName")
    matcher.finish(refuse=True)
    return name


def _routes(spec: Reader, outer: bool, *, routed: bool = False) -> list[kni.Route]:
    gateway = ranges.read(spec, "gateway4", addresses.address)
    if gateway is not None and not outer and not routed:
        message = "is the next hop of the routes alone: without a range there is no other use"
        spec.notes.warn(spec.at("gateway4"), message)
    made = []
    for one in spec.children("routes"):
        to = ranges.read(one, "to", addresses.interface)
        one.finish(refuse=True)
        if to is None:
            if not one.has("to"):
                one.notes.fault(one.at("to"), "a route needs a destination", type_=FaultType.REQUIRED)
            continue
        if not to.network.prefixlen:
            message = "must not be the default route: a Pod asks for it by default-interface"
            one.notes.fault(one.at("to"), message, str(to))
        if gateway is None and not routed:
            message = "has no next hop: gateway4 is needed" + (", the DHCP server's is not known" if outer else "")
            one.notes.unsupported(one.at("to"), str(to), message)
        made.append(kni.Route(destination=str(to.network), gateway=ranges.text(gateway)))
    return made


def _dns(spec: Reader) -> kni.Dns | None:
    own = spec.child("dnsConfig")
    servers = []
    for place, text in enumerate(own.strings("nameservers")):
        try:
            servers.append(str(addresses.address(text)))
        except ValueError as error:
            own.notes.fault(f"{own.at('nameservers')}[{place}]", str(error), text)
    search = own.strings("searches")
    own.finish(refuse=True)
    return (
        kni.Dns(nameservers=list(dict.fromkeys(servers)), search=list(dict.fromkeys(search))) if own.written() else None
    )
