"""Planning: from a Pod's list of networks and the objects it names to the links that it is to have.

Pure. ``requests`` says what is asked for, or raises AttachError with what is missing; ``interface`` turns
one request and its addresses into the link; ``node_links`` says what a network needs on the node itself.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from typing import Literal, Protocol

from podnet_api import kni, multinetwork, names, networks, pools, reasons
from podnet_api.errors import InvalidError

from podnet_kni_server.datapath import model
from podnet_kni_server.errors import AttachError
from podnet_kni_server.records import InterfaceRecord, LinkRecord, RouteRecord, Sandbox

InterfaceAddress = IPv4Interface | IPv6Interface
SUPPORTED = ("bridge", "vxlan", "macvlan")
_NO_UPLINK_MTU = 1500
_VXLAN_PREFIX, _BRIDGE_PREFIX = "px-", "pn-"


class View(Protocol):
    """The objects that a Pod may name, from watch caches. None: absent."""

    def pod_network(self, name: str) -> multinetwork.PodNetwork | None: ...
    def attachment(self, namespace: str, name: str) -> multinetwork.PodNetworkAttachment | None: ...
    def network_config(self, name: str) -> kni.NetworkConfig | None: ...
    def attachment_config(self, namespace: str, name: str) -> kni.AttachmentConfig | None: ...


@dataclass(frozen=True)
class Request:
    """One attachment that a Pod asks for. ``pool`` is None where no addresses are given; ``static`` are
    addresses asked for by the attachment, with the prefix length that the Pod's interface gets."""

    network: str
    attachment: str
    interface: str
    default_versions: tuple[int, ...]
    config: kni.NetworkConfig
    own: kni.AttachmentConfigSpec
    pool: pools.Pool | None
    static: tuple[InterfaceAddress, ...]

    @property
    def leased_versions(self) -> tuple[int, ...]:
        """The families that need an address from the pool: those without a static one."""
        fixed = {address.version for address in self.static}
        return tuple(v for v in self.pool.versions if v not in fixed) if self.pool else ()


def wanted(sandbox: Sandbox) -> tuple[networks.Network, ...]:
    """The Pod's list, or () when it has none.

    Raises AttachError: static Pods pass no admission, so a broken list can come as far as here.
    """
    text = sandbox.annotations.get(names.NETWORKS_ANNOTATION)
    if text is None:
        return ()
    try:
        return networks.parse(text, host_network=sandbox.host_network)
    except InvalidError as error:
        raise AttachError(f"cannot attach Pod {sandbox.pod}: {error}", reasons.INVALID_NETWORKS) from error


def requests(sandbox: Sandbox, view: View) -> tuple[Request, ...]:
    """What ``sandbox`` asks of this node: its list without the default network, which is the cluster's.

    Raises AttachError naming the first object that is missing, disabled or not ours.
    """
    listed = wanted(sandbox)
    interfaces = networks.interface_names(listed)
    asked = tuple(
        _request(sandbox, view, network, interface)
        for network, interface in zip(listed, interfaces, strict=True)
        if not network.is_default_network
    )
    _refuse_twice(sandbox, asked)
    return asked


def _request(sandbox: Sandbox, view: View, network: networks.Network, interface: str) -> Request:
    attachment = _attachment(sandbox, view, network)
    name = attachment.spec.pod_network_name if attachment else network.pod_network_name
    config = _config(sandbox, view, name)
    own = _own_parameters(sandbox, view, attachment)
    pool = _pool(sandbox, config)
    flags = ((4, network.is_default_gw4), (6, network.is_default_gw6))
    return Request(
        network=name,
        attachment=network.pod_network_attachment_name,
        interface=interface,
        default_versions=tuple(version for version, flag in flags if flag),
        config=config,
        own=own,
        pool=pool,
        static=_static(sandbox, own, pool),
    )


def _attachment(sandbox: Sandbox, view: View, network: networks.Network) -> multinetwork.PodNetworkAttachment | None:
    name = network.pod_network_attachment_name
    if not name:
        return None
    found = view.attachment(sandbox.namespace, name)
    if found is None:
        message = f"PodNetworkAttachment {sandbox.namespace}/{name} does not exist"
        raise _refusal(sandbox, message, reasons.ATTACHMENT_NOT_FOUND)
    return found


def _config(sandbox: Sandbox, view: View, name: str) -> kni.NetworkConfig:
    """The NetworkConfig behind PodNetwork ``name``."""
    network = view.pod_network(name)
    if network is None:
        raise _refusal(sandbox, f"PodNetwork {name} does not exist", reasons.NETWORK_NOT_FOUND)
    if not network.spec.enabled:
        raise _refusal(sandbox, f"PodNetwork {name} is disabled", reasons.NETWORK_DISABLED)
    if network.spec.provider != names.PROVIDER:
        message = f"PodNetwork {name} is served by {network.spec.provider}, not by the KNI server"
        raise _refusal(sandbox, message, reasons.NETWORK_NOT_READY)
    config = view.network_config(kni.config_name(network))
    if config is None:
        message = f"NetworkConfig {kni.config_name(network)!r} of PodNetwork {name} does not exist"
        raise _refusal(sandbox, message, reasons.PARAMS_NOT_FOUND)
    if datapath_of(config) not in SUPPORTED:
        message = f"datapath {datapath_of(config)} of NetworkConfig {config.metadata.name} is not supported"
        raise _refusal(sandbox, message, reasons.DATAPATH_UNSUPPORTED)
    return config


def datapath_of(config: kni.NetworkConfig) -> str:
    """The key of the datapath that ``config`` sets, or ``""``."""
    present = {
        "bridge": config.spec.bridge,
        "vxlan": config.spec.vxlan,
        "macvlan": config.spec.macvlan,
        "vlan": config.spec.vlan,
        "ipvlan": config.spec.ipvlan,
        "routed": config.spec.routed,
        "hostDevice": config.spec.host_device,
        "sriov": config.spec.sriov,
        "tap": config.spec.tap,
        "macvtap": config.spec.macvtap,
        "bond": config.spec.bond,
        "vrf": config.spec.vrf,
        "cni": config.spec.cni,
    }
    return next((key for key in kni.DATAPATHS if present[key] is not None), "")


def _own_parameters(
    sandbox: Sandbox, view: View, attachment: multinetwork.PodNetworkAttachment | None
) -> kni.AttachmentConfigSpec:
    if attachment is None or not attachment.spec.parameters_refs:
        return kni.AttachmentConfigSpec()
    ref = attachment.spec.parameters_refs[0]
    found = view.attachment_config(sandbox.namespace, ref.name)
    if found is None or (ref.group, ref.kind) != (names.KNI_GROUP, "AttachmentConfig"):
        message = f"{ref.kind} {sandbox.namespace}/{ref.name} of PodNetworkAttachment {attachment.metadata.name}"
        raise _refusal(sandbox, f"{message} does not exist", reasons.PARAMS_NOT_FOUND)
    _refuse_unsupported(sandbox, found)
    return found.spec


def _refuse_unsupported(sandbox: Sandbox, config: kni.AttachmentConfig) -> None:
    """What this version cannot do must fail, never be dropped."""
    spec = config.spec
    given = {
        "bandwidth": spec.bandwidth,
        "sysctls": spec.sysctls,
        "portMappings": spec.port_mappings,
        "cniArgs": spec.cni_args,
        "deviceID": spec.device_id,
    }
    unsupported = [key for key, value in given.items() if value]
    if unsupported:
        fields = ", ".join(f"spec.{key}" for key in unsupported)
        message = f"{fields} of AttachmentConfig {sandbox.namespace}/{config.metadata.name} is not supported"
        raise _refusal(sandbox, message, reasons.PARAMS_UNSUPPORTED)


def _pool(sandbox: Sandbox, config: kni.NetworkConfig) -> pools.Pool | None:
    try:
        return pools.pool_of(config)
    except ValueError as error:
        message = f"ipam of NetworkConfig {config.metadata.name}: {error}"
        raise _refusal(sandbox, message, reasons.PARAMS_INVALID) from error


def _static(sandbox: Sandbox, own: kni.AttachmentConfigSpec, pool: pools.Pool | None) -> tuple[InterfaceAddress, ...]:
    try:
        return tuple(_static_address(text, pool) for text in own.addresses)
    except ValueError as error:
        raise _refusal(sandbox, f"static address: {error}", reasons.PARAMS_INVALID) from error


def _static_address(text: str, pool: pools.Pool | None) -> InterfaceAddress:
    """An address without a prefix length takes that of its range."""
    if "/" in text:
        return ipaddress.ip_interface(text)
    address = ipaddress.ip_address(text)
    ranges = pool.ranges if pool else ()
    length = next((r.network.prefixlen for r in ranges if address in r.network), address.max_prefixlen)
    return ipaddress.ip_interface(f"{text}/{length}")


def _refuse_twice(sandbox: Sandbox, asked: Sequence[Request]) -> None:
    """A network may be named once, also through attachments (KEP-3698, active validation)."""
    seen = set()
    for request in asked:
        if request.network in seen:
            message = f"PodNetwork {request.network} is named twice; a Pod attaches to a network once"
            raise _refusal(sandbox, message, reasons.DUPLICATE_NETWORK)
        seen.add(request.network)


def _refusal(sandbox: Sandbox, message: str, reason: str) -> AttachError:
    return AttachError(f"cannot attach Pod {sandbox.pod}: {message}", reason)


def interface(sandbox: Sandbox, request: Request, addresses: Sequence[pools.Address], mtu: int) -> InterfaceRecord:
    """The interface that answers ``request``; ``addresses`` are those leased from its pool."""
    spec = request.config.spec
    leased = [_with_prefix(request, address) for address in addresses]
    bound = sorted((*request.static, *leased), key=lambda address: address.version)
    gateways = tuple(g for a in bound if (g := _gateway(request, a)) is not None)
    link = LinkRecord(
        kind="macvlan" if spec.macvlan else "veth",
        name=request.interface,
        host_name="" if spec.macvlan else model.host_name(sandbox.id, request.interface),
        master=spec.uplink.interface if spec.macvlan and spec.uplink else bridge_name(request.config),
        mac=request.own.mac or _mac(sandbox, request),
        mtu=spec.mtu or mtu or _NO_UPLINK_MTU,
        addresses=[str(a) for a in bound],
        routes=[_route(r) for r in (*spec.routes, *request.own.routes)],
        default_gateways=[_default_gateway(sandbox, request, gateways, v) for v in request.default_versions],
        mode=spec.macvlan.mode if spec.macvlan else "bridge",
        hairpin=bool(spec.bridge and spec.bridge.hairpin),
        isolated=bool((spec.bridge and spec.bridge.port_isolation) or (spec.vxlan and spec.vxlan.port_isolation)),
        anti_spoof=spec.anti_spoof and not spec.macvlan,
    )
    return InterfaceRecord(
        network=request.network,
        attachment=request.attachment,
        config=request.config.metadata.name,
        link=link,
        gateways=[str(g) for g in gateways],
        nameservers=spec.dns.nameservers if spec.dns else [],
        search=spec.dns.search if spec.dns else [],
    )


def _with_prefix(request: Request, address: pools.Address) -> InterfaceAddress:
    held = request.pool.range_of(address) if request.pool else None
    length = held.network.prefixlen if held else address.max_prefixlen
    return ipaddress.ip_interface(f"{address}/{length}")


def _gateway(request: Request, address: InterfaceAddress) -> pools.Address | None:
    ranges = request.pool.ranges if request.pool else ()
    return next((r.gateway for r in ranges if address.ip in r.network and r.gateway), None)


def _default_gateway(sandbox: Sandbox, request: Request, gateways: Iterable[pools.Address], version: int) -> str:
    found = next((g for g in gateways if g.version == version), None)
    if found is None:
        message = f"isDefaultGW{version} asks for a default route over {request.network}, which has no IPv{version} "
        raise _refusal(sandbox, message + "gateway", reasons.PARAMS_INVALID)
    return str(found)


def _route(route: kni.Route) -> RouteRecord:
    return RouteRecord(destination=route.destination, gateway=route.gateway or "")


def _mac(sandbox: Sandbox, request: Request) -> str:
    """A locally administered unicast address (IEEE 802: second bit of the first octet), the same for
    every attempt at this interface of this Pod."""
    digest = hashlib.sha256(f"{sandbox.uid}/{request.interface}".encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x02, *digest[:5]))


def bridge_name(config: kni.NetworkConfig) -> str:
    """Name of the network's bridge on the node."""
    if config.spec.bridge and config.spec.bridge.name:
        return config.spec.bridge.name
    return _device_name(_BRIDGE_PREFIX, config.metadata.name)


def _device_name(prefix: str, config: str) -> str:
    readable = prefix + config
    return readable if len(readable) <= model.NAME_LIMIT else prefix + pools.pool_hash(config)


def link(record: LinkRecord) -> model.Link:
    """``record`` as the datapath takes it."""
    kind: Literal["veth", "macvlan"] = "macvlan" if record.kind == "macvlan" else "veth"
    return model.Link(
        kind=kind,
        name=record.name,
        host_name=record.host_name,
        master=record.master,
        mac=record.mac,
        mtu=record.mtu,
        addresses=tuple(ipaddress.ip_interface(a) for a in record.addresses),
        routes=tuple(
            model.Route(
                ipaddress.ip_network(r.destination, strict=False),
                ipaddress.ip_address(r.gateway) if r.gateway else None,
            )
            for r in record.routes
        ),
        default_gateways=tuple(ipaddress.ip_address(g) for g in record.default_gateways),
        mode=record.mode,
        hairpin=record.hairpin,
        isolated=record.isolated,
        anti_spoof=record.anti_spoof,
    )


def node_link(config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]) -> model.NodeLink:
    """What ``config`` needs on this node. ``local`` and ``peers`` are addresses of nodes, for overlays."""
    spec = config.spec
    uplink = spec.uplink.interface if spec.uplink else ""
    if spec.macvlan:
        return model.NodeLink(kind="uplink", name=uplink)
    if spec.vxlan:
        return model.NodeLink(
            kind="vxlan",
            name=bridge_name(config),
            vxlan_name=_device_name(_VXLAN_PREFIX, config.metadata.name),
            vni=spec.vxlan.vni,
            port=spec.vxlan.port,
            local=local,
            peers=frozenset(peers),
            mtu=spec.mtu or 0,
            anti_spoof=spec.anti_spoof,
        )
    gateways = _bridge_gateways(config)
    return model.NodeLink(
        kind="bridge",
        name=bridge_name(config),
        uplink=uplink,
        mtu=spec.mtu or 0,
        gateways=gateways,
        masquerade=tuple(g.network for g in gateways) if spec.bridge and spec.bridge.ip_masq else (),
        anti_spoof=spec.anti_spoof,
    )


def _bridge_gateways(config: kni.NetworkConfig) -> tuple[InterfaceAddress, ...]:
    if not (config.spec.bridge and config.spec.bridge.gateway and config.spec.ipam):
        return ()
    ranges = [(r, ipaddress.ip_network(r.cidr)) for r in config.spec.ipam.ranges if r.gateway]
    return tuple(ipaddress.ip_interface(f"{r.gateway}/{network.prefixlen}") for r, network in ranges)
