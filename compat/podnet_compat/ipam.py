"""``ipam`` of a CNI configuration -> where our addresses come from. Pure; called by ``nad``.

host-local  counts per node, so the scope is ``node`` where the network ends at the node and ``cluster``,
            with a warning, where it leaves it
whereabouts ranges of the cluster
static      addresses that every Pod of the NAD gets; they become parameters of its attachments
dhcp        of a server on the network; the nodes' plugin dhcp keeps the leases

Default routes are left out with a warning: eth0 keeps the Pod's, unless the Pod asks by ``default-route``.
"""

from __future__ import annotations

from dataclasses import dataclass

from podnet_api import kni

from podnet_compat import addresses, host_local, ranges, whereabouts
from podnet_compat.addresses import Address, Interface, Network
from podnet_compat.reader import Reader

DHCP, HOST_LOCAL, STATIC, WHEREABOUTS = "dhcp", "host-local", "static", "whereabouts"
_ROUTE_ATTRIBUTES = ("mtu", "advmss", "priority", "table", "scope")


@dataclass(frozen=True)
class Addressing:
    """What an ``ipam`` says; ``static`` holds at most one address per family."""

    type: str = ""
    pool: kni.Ipam | None = None
    static: tuple[Interface, ...] = ()
    gateways: tuple[Address, ...] = ()
    routes: tuple[kni.Route, ...] = ()
    dns: kni.Dns | None = None
    network: str = ""
    """Of whereabouts: its network_name."""


@dataclass(frozen=True)
class _Route:
    reader: Reader
    destination: Network
    gateway: Address | None


def translate(reader: Reader, *, leaves_node: bool, gateway: bool) -> Addressing:
    """What ``reader``'s object says.

    ``leaves_node``: the datapath connects Pods of several nodes. ``gateway``: the node holds the gateway
    addresses, so each range has one: without a word the first address, as the plugin bridge has it.
    """
    if not reader.written():
        return Addressing()
    kind = reader.string("type")
    makers = {DHCP: _dhcp, HOST_LOCAL: _host_local, WHEREABOUTS: _whereabouts, STATIC: _static}
    if kind not in makers:
        covered = f"only {', '.join(makers)} become native addresses"
        reader.notes.unsupported(reader.at("type"), kind, covered)
        return Addressing()
    made = makers[kind](reader, leaves_node, gateway)
    reader.finish(refuse=True)
    return made


def dns(reader: Reader) -> kni.Dns | None:
    """``dns`` of a CNI result: reported, and in no resolv.conf, which the kubelet writes without asking plugins."""
    servers = []
    for i, text in enumerate(reader.strings("nameservers")):
        try:
            servers.append(str(addresses.address(text)))
        except ValueError as error:
            reader.notes.fault(f"{reader.at('nameservers')}[{i}]", str(error), text)
    search, options = reader.strings("search"), reader.strings("options")
    reader.ignore("domain", why="it is the obsolete form of search (resolv.conf(5))")
    reader.finish(refuse=True)
    found = kni.Dns(nameservers=servers, search=search, options=options, resolv_conf=False)
    return found if servers or search or options else None


def _host_local(reader: Reader, leaves_node: bool, _: bool) -> Addressing:
    sets = host_local.sets(reader)
    if leaves_node:
        message = "host-local counts per node, which gives an address twice on a network of several nodes"
        reader.notes.warn(reader.at("type"), message + "; here each is given once in the cluster")
    pool = ranges.pool(reader, sets, "cluster" if leaves_node else "node")
    gateways = _gateways(pool)
    return Addressing(HOST_LOCAL, pool, (), gateways, _resolved(_routes(reader), gateways))


def _whereabouts(reader: Reader, _: bool, gateway: bool) -> Addressing:
    routes = _routes(reader)
    listed = [item for items in whereabouts.sets(reader) for item in items]
    implied = [r.gateway for r in routes if r.gateway is not None and not r.destination.prefixlen]
    items = ranges.with_gateways(whereabouts.with_gateway(reader, listed), implied)
    items = ranges.with_first_gateways(reader, items) if gateway else items
    pool = ranges.pool(reader, [[item] for item in items], "cluster", whereabouts.space(reader, listed))
    gateways = _gateways(pool)
    network, told = reader.string("network_name"), dns(reader.child("dns"))
    return Addressing(WHEREABOUTS, pool, (), gateways, _resolved(routes, gateways), told, network)


def _dhcp(reader: Reader, _: bool, gateway: bool) -> Addressing:
    if gateway:
        message = "no server of the network gives addresses where the node is its gateway"
        reader.notes.unsupported(reader.at("type"), DHCP, message)
    reader.refuse("daemonSocketPath", why="podnet runs the daemon by itself")
    reader.refuse("provide", "request", "priority")
    return Addressing(DHCP, kni.Ipam(dhcp=kni.Dhcp()))


def _static(reader: Reader, _: bool, gateway: bool) -> Addressing:
    """No pool: as with the plugin, nobody counts the addresses. Only a node that holds the gateway has to
    know the subnets."""
    found = [_static_address(item) for item in reader.children("addresses")]
    given = tuple(address for address, _ in found if address is not None)
    gateways = tuple(gateway for _, gateway in found if gateway is not None)
    for version in (4, 6):
        if sum(address.version == version for address in given) > 1:
            message = f"a Pod gets one IPv{version} address: several are not covered yet"
            reader.notes.unsupported(reader.at("addresses"), message=message)
    items = [kni.Range(cidr=str(address.network)) for address in given] if gateway else []
    items = ranges.with_first_gateways(reader, ranges.with_gateways(items, gateways))
    pool = ranges.pool(reader, [[item] for item in items], "node")
    gateways = (*_gateways(pool), *gateways)
    return Addressing(STATIC, pool, given, gateways, _resolved(_routes(reader), gateways), dns(reader.child("dns")))


def _static_address(reader: Reader) -> tuple[Interface | None, Address | None]:
    if not reader.has("address"):
        reader.notes.fault(reader.at("address"), "an entry needs an address with a prefix length")
    found = ranges.read(reader, "address", addresses.interface)
    gateway = ranges.read(reader, "gateway", addresses.address)
    reader.finish(refuse=True)
    return found, gateway


def _gateways(pool: kni.Ipam | None) -> tuple[Address, ...]:
    return tuple(addresses.address(r.gateway) for r in (pool.ranges if pool else ()) if r.gateway)


def _routes(reader: Reader) -> list[_Route]:
    return [route for item in reader.children("routes") if (route := _route(item)) is not None]


def _route(reader: Reader) -> _Route | None:
    if not reader.has("dst"):
        reader.notes.fault(reader.at("dst"), "a route needs a destination")
    found = ranges.read(reader, "dst", addresses.interface)
    gateway = ranges.read(reader, "gw", addresses.address)
    reader.refuse(*_ROUTE_ATTRIBUTES)
    reader.finish(refuse=True)
    if found is None:
        return None
    if gateway is not None and gateway.version != found.version:
        reader.notes.fault(reader.at("gw"), f"must be an IPv{found.version} address, as the destination", str(gateway))
    if found.ip != found.network.network_address:
        reader.notes.warn(reader.at("dst"), f"has host bits set: the destination is {found.network}")
    return _Route(reader, found.network, gateway)


def _resolved(routes: list[_Route], gateways: tuple[Address, ...]) -> tuple[kni.Route, ...]:
    """Native routes: CNI sends a route without a gateway over that of the range."""
    made = []
    for route in routes:
        own = next((g for g in gateways if g.version == route.destination.version), None)
        if not route.destination.prefixlen:
            message = "eth0 keeps the default route, unless the Pod asks by 'default-route'"
            route.reader.notes.warn(route.reader.path, message)
            continue
        made.append(kni.Route(destination=str(route.destination), gateway=ranges.text(route.gateway or own)))
    return tuple(made)
