"""Planning: from a request and its addresses to the interface that the Pod is to have. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Sequence

from podnet_api import kni, pools, reasons

from podnet_kni_server import dhcp, extras, kinds
from podnet_kni_server.datapath import model
from podnet_kni_server.errors import AttachError
from podnet_kni_server.kinds.kind import InterfaceAddress, Request, Shape
from podnet_kni_server.records import InterfaceRecord, LinkRecord, RouteRecord, Sandbox

_NO_UPLINK_MTU = 1500


def interface(
    sandbox: Sandbox,
    request: Request,
    addresses: Sequence[pools.Address],
    mtu: int,
    policy: extras.Policy = extras.DEFAULT,
) -> InterfaceRecord:
    """The interface that answers ``request``; ``addresses`` are those leased from its pool. Raises AttachError."""
    spec = request.config.spec
    kind = kinds.KINDS[kinds.datapath_of(request.config)]
    shape = kind.shape(sandbox, request)
    leased = [_with_prefix(request, address) for address in addresses]
    bound = sorted((*request.static, *leased), key=lambda address: address.version)
    gateways = _gateways(request, shape, bound)
    dns = request.own.dns or spec.dns or kni.Dns()
    link = LinkRecord(
        kind=shape.kind,
        name=request.interface,
        host_name=shape.host_name,
        master=shape.master,
        mac=_mac(sandbox, request, shape),
        mtu=spec.mtu or mtu or (0 if kind.parts(request.config) else _NO_UPLINK_MTU),
        addresses=[str(ipaddress.ip_interface(a.ip) if shape.single else a) for a in bound],
        routes=_routes(request, shape, bound, gateways),
        default_gateways=_default_gateways(sandbox, request, shape, gateways),
        mode=shape.mode,
        hairpin=shape.hairpin,
        isolated=shape.isolated,
        anti_spoof=shape.anti_spoof,
        vlan=shape.vlan,
        dhcp=dhcp.of(sandbox, request),
        detail=shape.detail,
        extras=extras.of(sandbox, request, shape, bound, gateways, policy),
    )
    return InterfaceRecord(
        network=request.network,
        attachment=request.attachment,
        config=request.config.metadata.name,
        link=link,
        default_versions=list(request.default_versions),
        no_other_defaults=request.own.no_other_default_routes,
        gateways=[str(g) for g in gateways],
        nameservers=dns.nameservers,
        search=dns.search,
        dns_options=dns.options,
        resolv_conf=dns.resolv_conf,
    )


def _with_prefix(request: Request, address: pools.Address) -> InterfaceAddress:
    held = request.pool.range_of(address) if request.pool else None
    length = held.network.prefixlen if held else address.max_prefixlen
    return ipaddress.ip_interface(f"{address}/{length}")


def _gateways(request: Request, shape: Shape, bound: Sequence[InterfaceAddress]) -> tuple[pools.Address, ...]:
    if not shape.gateways:
        return tuple(g for a in bound if (g := _gateway(request, a)) is not None)
    versions = {address.version for address in bound}
    return tuple(hop for hop in shape.gateways if hop.version in versions)


def _gateway(request: Request, address: InterfaceAddress) -> pools.Address | None:
    ranges = request.pool.ranges if request.pool else ()
    return next((r.gateway for r in ranges if address.ip in r.network and r.gateway), None)


def _default_gateways(sandbox: Sandbox, request: Request, shape: Shape, gateways: Sequence[pools.Address]) -> list[str]:
    if shape.own_default:
        return []
    versions = [v for v in request.default_versions if not dhcp.leads(request, v)]
    return [_default_gateway(sandbox, request, gateways, version) for version in versions]


def _default_gateway(sandbox: Sandbox, request: Request, gateways: Iterable[pools.Address], version: int) -> str:
    found = next((g for g in gateways if g.version == version), None)
    if found is None:
        message = f"isDefaultGW{version} asks for a default route over {request.network}, which has no IPv{version} "
        raise _refusal(sandbox, message + "gateway", reasons.PARAMS_INVALID)
    return str(found)


def _routes(
    request: Request, shape: Shape, bound: Sequence[InterfaceAddress], hops: Sequence[pools.Address]
) -> list[RouteRecord]:
    """Those of network and attachment. Where addresses have no subnet on the link, the subnets are routed too, and
    everything leads through the next hop; to which there is a route as well, for what it says itself."""
    asked = [(route.destination, route.gateway or "") for route in (*request.config.spec.routes, *request.own.routes)]
    if not shape.single:
        return [RouteRecord(destination=destination, gateway=gateway) for destination, gateway in asked]
    by_version = {hop.version: str(hop) for hop in hops}
    on_link = [RouteRecord(destination=f"{hop}/{hop.max_prefixlen}") for hop in hops if hop.version == 4]
    subnets = [(str(a.network), "") for a in bound if a.network.prefixlen < a.max_prefixlen]
    return on_link + [
        RouteRecord(destination=destination, gateway=by_version.get(6 if ":" in destination else 4, gateway))
        for destination, gateway in dict.fromkeys((*subnets, *asked))
    ]


def _mac(sandbox: Sandbox, request: Request, shape: Shape) -> str:
    """What the attachment asks for; else a locally administered unicast address (IEEE 802: second bit of the
    first octet), the same for every attempt at this interface of this Pod."""
    if request.own.mac or not shape.own_mac:
        return request.own.mac or ""
    digest = hashlib.sha256(f"{sandbox.uid}/{request.interface}".encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x02, *digest[:5]))


def _refusal(sandbox: Sandbox, message: str, reason: str) -> AttachError:
    return AttachError(f"cannot attach Pod {sandbox.pod}: {message}", reason)


def link(record: LinkRecord) -> model.Link:
    """``record`` as the datapath takes it."""
    return model.Link(
        kind=record.kind,
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
        vlan=record.vlan,
        senders=record.senders,
        dhcp=record.dhcp,
        detail=record.detail,
        extras=record.extras,
    )
