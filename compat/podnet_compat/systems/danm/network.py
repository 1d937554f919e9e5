"""DanmNet, TenantNetwork, ClusterNetwork -> PodNetwork and NetworkConfig. Pure.

ipvlan, macvlan  native, on the host device; with a VLAN the network vlan, with a VXLAN the network vxlan
sriov            native, functions of the device pool
anything else    the CNI plugins of the nodes' own file ``<NetworkID>.conf``
"""

from __future__ import annotations

from dataclasses import dataclass, field

from podnet_api import kni
from podnet_api import names as api_names
from podnet_api.faults import FaultType
from podnet_api.kni import NetworkConfigSpec

from podnet_compat import ranges
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.danm import addressing, keys, tenants
from podnet_compat.systems.danm.addressing import Addressing
from podnet_compat.systems.danm.tenants import Details

_DYNAMIC = ("ipvlan", "macvlan", "sriov")
_MACVLAN_MTU = 1500
"""What DANM sets on every macvlan (getMacvlanCniConfig)."""


@dataclass(frozen=True)
class Network:
    """A network as Pods see it. ``spec`` is None with a fault."""

    origin: Source
    name: str
    spec: NetworkConfigSpec | None
    prefix: str = ""
    allowed: tuple[str, ...] = ()
    addressing: Addressing = field(default_factory=Addressing)
    has_table: bool = False

    @property
    def by_plugins(self) -> bool:
        """Whether a static CNI configuration of the nodes attaches it."""
        return self.spec is not None and self.spec.cni is not None


def translate(origin: Source, objects: Objects) -> Made:
    """The native objects of one network. Raises InvalidError with every fault."""
    notes = Notes()
    found = read(origin, objects, notes)
    base.check(origin, notes)
    assert found.spec is not None
    return base.native(origin, found.name, found.spec, notes)


def read(origin: Source, objects: Objects, notes: Notes) -> Network:
    """The network in ``origin``, with faults and warnings in ``notes``."""
    name = base.network_name(keys.NAME, "metadata.name", origin.name, origin.namespace, notes)
    spec = origin.part("spec", notes)
    origin.check_top(notes, "spec")
    options = spec.child("Options")
    kind = (spec.string("NetworkType") or "ipvlan").lower()
    details = _details(origin, objects, spec, options, kind)
    subnets = addressing.read(options)
    table = options.integer("rt_tables", 1)
    prefix = options.string("container_prefix")
    allowed = _allowed(origin, spec)
    made = _spec(kind, details, subnets, table, options)
    options.ignore("alloc", "alloc6", why="it is DANM's own count of what it gave")
    options.finish(refuse=True)
    spec.finish(refuse=True)
    return Network(origin, name, made, prefix, allowed, subnets, bool(table))


def _details(origin: Source, objects: Objects, spec: Reader, options: Reader, kind: str) -> Details:
    given = Details(
        _interface(options, "host_device"),
        options.string("device_pool"),
        spec.string("NetworkID"),
        options.integer("vlan", 1, 4094),
        options.integer("vxlan", 1, 16777214),
    )
    if given.vlan and given.vxlan:
        options.notes.fault(options.at("vxlan"), "VLAN ID and VxLAN ID exclude each other", given.vxlan)
    if given.device and given.pool:
        options.notes.fault(options.at("device_pool"), "host_device and device_pool exclude each other", given.pool)
    if origin.kind == keys.TENANT_NETWORK:
        config = tenants.find(objects, origin.group)
        given = tenants.complete(given, kind, kind in _DYNAMIC, config, spec.notes)
    if not given.network_id and not spec.notes.faulty(spec.at("NetworkID")):
        spec.notes.fault(spec.at("NetworkID"), "is mandatory", type_=FaultType.REQUIRED)
    return given


def _interface(options: Reader, key: str) -> str:
    name = options.string(key)
    problem = api_names.interface_name_problem(name) if name else ""
    if problem:
        options.notes.fault(options.at(key), problem, name)
    return "" if problem else name


def _allowed(origin: Source, spec: Reader) -> tuple[str, ...]:
    tenants_ = tuple(spec.strings("AllowedTenants"))
    at = spec.at("AllowedTenants")
    if tenants_ and origin.kind != keys.CLUSTER_NETWORK:
        spec.notes.fault(at, "is for a ClusterNetwork only", list(tenants_))
    elif tenants_:
        named = ", ".join(tenants_)
        message = f"Pods are checked when they are translated; native Pods of others than {named} may attach"
        spec.notes.warn(at, message)
    return tenants_


def _spec(kind: str, details: Details, subnets: Addressing, table: int, options: Reader) -> NetworkConfigSpec | None:
    if kind not in _DYNAMIC:
        return _static(kind, details, subnets, table, options)
    if details.network_id:
        options.notes.warn("spec.NetworkID", "has no effect: it names interfaces that DANM makes on the nodes")
    path = _sriov(details, options) if kind == "sriov" else _on_device(kind, details, options)
    if path is None:
        return None
    if options.has("rt_tables"):
        options.notes.warn(options.at("rt_tables"), "becomes policyRouting, which numbers its tables itself")
    pool = ranges.pool(options, [[item] for item in subnets.ranges], "cluster")
    return NetworkConfigSpec(
        ipvlan=path.ipvlan,
        macvlan=path.macvlan,
        vlan=path.vlan,
        vxlan=path.vxlan,
        sriov=path.sriov,
        uplink=path.uplink,
        mtu=path.mtu,
        ipam=pool,
        routes=list(subnets.routes),
        anti_spoof=False,
        policy_routing=bool(table),
    )


def _on_device(kind: str, details: Details, options: Reader) -> NetworkConfigSpec | None:
    """ipvlan or macvlan on a host device."""
    notes = options.notes
    if details.pool:
        notes.unsupported(options.at("device_pool"), details.pool, f"NetworkType {kind} needs host_device")
        return None
    if not details.device:
        if not notes.faulty(options.at("host_device")):
            notes.fault(options.at("host_device"), f"NetworkType {kind} needs it", type_=FaultType.REQUIRED)
        return None
    if details.vxlan:
        message = "the VXLAN goes between the nodes' own addresses, without multicast over this device"
        notes.warn(options.at("host_device"), message)
        _say_port(kind, "vxlan", options)
        return NetworkConfigSpec(vxlan=kni.Vxlan(vni=details.vxlan))
    uplink = kni.Uplink(interface=details.device)
    if details.vlan:
        _say_port(kind, "vlan", options)
        return NetworkConfigSpec(vlan=kni.Vlan(vid=details.vlan), uplink=uplink)
    if kind == "macvlan":
        return NetworkConfigSpec(macvlan=kni.Macvlan(), uplink=uplink, mtu=_MACVLAN_MTU)
    return NetworkConfigSpec(ipvlan=kni.Ipvlan(), uplink=uplink)


def _say_port(kind: str, key: str, options: Reader) -> None:
    message = f"Pods get a port of a bridge, with a MAC address of its own, where DANM has {kind}"
    options.notes.warn(options.at(key), message)


def _sriov(details: Details, options: Reader) -> NetworkConfigSpec | None:
    if details.device or not details.pool:
        key = "host_device" if details.device else "device_pool"
        options.notes.fault(options.at(key), "an SR-IOV network has a device_pool and no host_device", details.device)
        return None
    if details.vxlan:
        options.notes.warn(options.at("vxlan"), "has no effect on an SR-IOV network, as with DANM")
    return NetworkConfigSpec(sriov=kni.Sriov(resource=details.pool, vlan=details.vlan))


def _static(kind: str, details: Details, subnets: Addressing, table: int, options: Reader) -> NetworkConfigSpec | None:
    """The nodes' own configuration; the network's subnets are for DANM's IPAM, which plugins do not ask."""
    config = base.plugin_file(details.network_id)
    spec_at = "spec.NetworkID"
    message = f"names the file {details.network_id}.conf on the nodes: podnet looks for the `name` in it"
    options.notes.warn(spec_at, f"{message}, which must be the same")
    options.notes.warn("spec.NetworkType", f"the plugins of that file attach it, {kind} or others")
    for key in ("cidr", "net6", "allocation_pool", "allocation_pool_v6"):
        if options.has(key):
            options.notes.warn(options.at(key), "has no effect: the plugins of the file give the addresses")
    for key in ("host_device", "device_pool", "vlan", "vxlan"):
        if options.has(key):
            options.notes.warn(options.at(key), "has no effect: the plugins of the file say it")
    if table:
        options.notes.warn(options.at("rt_tables"), "has no effect: plugins make their own tables")
    return NetworkConfigSpec(cni=kni.Cni(config=config), routes=list(subnets.routes), anti_spoof=False)
