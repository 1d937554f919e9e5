"""Subnets and routes of a DANM network (``spec.Options``) -> a pool and routes. Pure; called by ``network``.

DANM gives addresses of ``cidr`` within ``allocation_pool``, and keeps back the gateways of the routes. A route to
0.0.0.0/0 or ::/0 is the default route. A route that cannot be read has no effect there (addRouteForLink).
"""

from __future__ import annotations

from dataclasses import dataclass

from podnet_api import kni

from podnet_compat import addresses, ranges
from podnet_compat.addresses import Address, Network
from podnet_compat.reader import Reader


@dataclass(frozen=True)
class Addressing:
    """What the subnets of a network come to. ``gateways``: the families whose default route leads over it."""

    subnets: tuple[Network, ...] = ()
    ranges: tuple[kni.Range, ...] = ()
    routes: tuple[kni.Route, ...] = ()
    gateways: frozenset[int] = frozenset()

    def subnet(self, version: int) -> Network | None:
        """The subnet of a family."""
        return next((net for net in self.subnets if net.version == version), None)


def read(options: Reader) -> Addressing:
    """Both families of ``spec.Options``."""
    found = [_family(options, 4, "cidr", "allocation_pool", "routes")]
    found.append(_family(options, 6, "net6", "allocation_pool_v6", "routes6"))
    return Addressing(
        tuple(net for one in found for net in one.subnets),
        tuple(item for one in found for item in one.ranges),
        tuple(route for one in found for route in one.routes),
        frozenset(version for one in found for version in one.gateways),
    )


def _family(options: Reader, version: int, key: str, pool_key: str, routes_key: str) -> Addressing:
    subnet = _subnet(options, key, version)
    pool = options.child(pool_key)
    pool.ignore("lastIp", why="it is DANM's own memory of what it gave last")
    if subnet is None:
        if not options.has(key):
            _check_l2(options, pool, routes_key, key)
        return Addressing()
    led = parse_routes(options, routes_key, subnet)
    default = next((gateway for net, gateway in led if not net.prefixlen), None)
    made = _range(pool, subnet, default, [gateway for _, gateway in led])
    made_routes = tuple(kni.Route(destination=str(net), gateway=str(via)) for net, via in led if net.prefixlen)
    return Addressing((subnet,), (made,), made_routes, frozenset({version} if default else ()))


def _check_l2(options: Reader, pool: Reader, routes_key: str, key: str) -> None:
    """What needs a subnet is refused without, as DANM's webhook does."""
    for name in ("start", "end", "cidr"):
        if pool.string(name):
            options.notes.fault(pool.at(name), f"needs {key}", pool.string(name))
    if options.mapping(routes_key):
        options.notes.fault(options.at(routes_key), f"needs {key}: there are no IP routes on an L2 network")
    pool.finish(refuse=True)


def _subnet(options: Reader, key: str, version: int) -> Network | None:
    found = ranges.read(options, key, addresses.interface)
    if found is None:
        return None
    if found.version != version:
        options.notes.fault(options.at(key), f"must be an IPv{version} subnet", str(found))
        return None
    if found.ip != found.network.network_address:
        options.notes.warn(options.at(key), f"has host bits set: the subnet is {found.network}")
    return found.network


def parse_routes(holder: Reader, key: str, subnet: Network | None) -> list[tuple[Network, Address]]:
    """The routes at ``key`` by destination; ``subnet`` is where their gateways must be (None: unknown)."""
    found = {}
    for destination, gateway in sorted(holder.mapping(key).items()):
        path = f"{holder.at(key)}[{destination}]"
        try:
            net = addresses.interface(destination)
            via = addresses.address(gateway if isinstance(gateway, str) else "")
        except ValueError as error:
            holder.notes.warn(path, f"has no effect, as with DANM: {error}: {gateway!r}")
            continue
        if subnet is not None and via not in subnet:
            holder.notes.fault(path, f"must be a gateway in {subnet}", str(via))
        elif net.version != via.version or (subnet is not None and net.version != subnet.version):
            holder.notes.fault(path, "must lead to a subnet of the gateway's family", str(via))
        elif net.network in found:
            holder.notes.fault(path, f"is a second route to {net.network}", str(via))
        else:
            if net.ip != net.network.network_address:
                holder.notes.warn(path, f"has host bits set: the destination is {net.network}")
            found[net.network] = via
    return sorted(found.items(), key=lambda item: (item[0].version, int(item[0].network_address), item[0].prefixlen))


def _range(pool: Reader, subnet: Network, default: Address | None, gateways: list[Address]) -> kni.Range:
    """The range of one family. An ``allocation_pool_v6`` may narrow it by a subnet of its own."""
    part = ranges.read(pool, "cidr", addresses.interface) if subnet.version == 6 else None
    inner = part.network if part else subnet
    if part and not (inner.version == subnet.version and inner[0] in subnet and inner[-1] in subnet):
        pool.notes.fault(pool.at("cidr"), f"must be a part of {subnet}", str(part))
        inner = subnet
    start, end = ranges.inside(pool, "start", inner), ranges.inside(pool, "end", inner)
    if start and end and int(end) <= int(start):
        pool.notes.fault(pool.at("start"), f"must be below end, {end}", str(start))
    pool.finish(refuse=True)
    if part and start and end:
        pool.notes.warn(pool.at("cidr"), "has no effect: start and end say more")
    if inner != subnet and inner.num_addresses > 2:
        start, end = start or inner[1], end or inner[-2]
    others = [str(via) for via in dict.fromkeys(gateways) if via != default and _given(via, start, end)]
    return kni.Range(
        cidr=str(subnet), start=ranges.text(start), end=ranges.text(end), gateway=ranges.text(default), exclude=others
    )


def _given(address: Address, start: Address | None, end: Address | None) -> bool:
    """Whether a pool between the two would give ``address``."""
    return not ((start and int(address) < int(start)) or (end and int(address) > int(end)))
