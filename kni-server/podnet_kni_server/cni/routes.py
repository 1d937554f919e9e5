"""Default routes and further routes over an interface that plugins made. Runs in a worker's thread.

A network has the default route of a family only where the Pod's list says so. Plugins add theirs beside or over
eth0's: what they added unasked goes again, and what they replaced comes back.
"""

import errno
from collections.abc import Mapping, Sequence

from podnet_kni_server.cni.errors import RequestError
from podnet_kni_server.cni.result import Result
from podnet_kni_server.datapath import inet, observe
from podnet_kni_server.datapath.channel import Channel, Request
from podnet_kni_server.datapath.errors import DatapathError, NetlinkError
from podnet_kni_server.datapath.model import Address, Interface, Link, Route
from podnet_kni_server.datapath.worker import Pod

Defaults = Mapping[int, Sequence[bytes]]
"""The default routes of a namespace, by family, as the kernel told them."""


def defaults(channel: Channel) -> Defaults:
    """Those of the main table."""
    return {v: [body for body in channel.dump(inet.get_routes(v)) if inet.is_default(body)] for v in (4, 6)}


def settle(
    pod: Pod, link: Link, before: Defaults, asked: Sequence[int], gateways: Sequence[Address]
) -> tuple[int, ...]:
    """Make default routes and `link.routes` as they are to be, over the link of that name if there is one.

    `before` are the default routes as they were before the plugins ran. Answers the families whose default route
    was taken away from the plugins' link again. Raises RequestError when a family that is asked for has no gateway.
    """
    found = observe.find_link(pod.channel, link.name)
    index = found.index if found else 0
    taken = tuple(v for v in (4, 6) if v not in asked and _give_back(pod.channel, index, before[v]))
    if index:
        _lead_over(pod.channel, index, link, [_gateway(pod.channel, link, index, v, gateways) for v in asked])
        _add_routes(pod.channel, index, link)
    return taken


def holds(channel: Channel, name: str, wanted: Sequence[Interface]) -> bool:
    """Whether a link has all these addresses."""
    found = observe.find_link(channel, name)
    held = observe.parse_addresses(channel.dump(inet.get_addresses())).get(found.index, []) if found else []
    return all(address in held for address in wanted)


def put(channel: Channel, link: Link, made: Result, gone: Sequence[Interface]) -> None:
    """Put the addresses and routes of a lease upon a link, in place of `gone`. A default route is led over it
    where the link's record says so, and else left out."""
    found = observe.find_link(channel, link.name)
    if found is None:
        raise DatapathError(f"cannot give an address to {link.name}: there is no such interface")
    wanted = [ip.address for ip in made.ips]
    _run(channel, [inet.delete_address(found.index, link.name, a) for a in gone], errno.EADDRNOTAVAIL)
    _run(channel, [inet.add_address(found.index, link.name, a) for a in wanted], errno.EEXIST)
    further = [Route(r.destination, r.gateway) for r in made.routes if r.destination.prefixlen]
    _run(channel, [inet.add_route(found.index, link.name, one, wanted) for one in further], errno.EEXIST)
    if link.dhcp is not None and link.dhcp.default:
        if not made.gateways:
            raise RequestError(f"cannot lead the default route over {link.name}: the DHCP server named no router")
        _lead_over(channel, found.index, link, made.gateways[:1])


def _give_back(channel: Channel, index: int, before: Sequence[bytes]) -> bool:
    """Leave the default route where it was; without one before, that of the plugins may stay."""
    if not before:
        return False
    version = 4 if before[0][0] == inet.AF_INET else 6
    now = [body for body in channel.dump(inet.get_routes(version)) if inet.is_default(body)]
    extra = [body for body in now if body not in before and inet.parse_route(body)[1] == index]
    lost = [body for body in before if body not in now]
    _run(channel, [inet.delete_route(body) for body in extra], errno.ESRCH)
    _run(channel, [inet.restore_route(body) for body in lost], errno.EEXIST)
    return bool(extra)


def _gateway(channel: Channel, link: Link, index: int, version: int, gateways: Sequence[Address]) -> Address:
    """The plugins' gateway of a family, or the one of the default route that they made."""
    made = [inet.parse_route(b) for b in channel.dump(inet.get_routes(version)) if inet.is_default(b)]
    through = [route[4] for route in made if route[1] == index]
    found = next((g for g in (*gateways, *through) if g is not None and g.version == version), None)
    if found is None:
        message = f"isDefaultGW{version} asks for a default route, and its plugins gave no IPv{version} gateway"
        raise RequestError(f"cannot lead the default route over {link.name}: {message}")
    return found


def _lead_over(channel: Channel, index: int, link: Link, gateways: Sequence[Address]) -> None:
    """One default route per family in place of however many there are: plugins add theirs beside eth0's."""
    addresses = observe.parse_addresses(channel.dump(inet.get_addresses())).get(index, [])
    for gateway in gateways:
        former = [body for body in channel.dump(inet.get_routes(gateway.version)) if inet.is_default(body)]
        _run(channel, [inet.delete_route(body) for body in former], errno.ESRCH)
        try:
            channel.run(inet.default_route(index, link.name, gateway, addresses))
        except NetlinkError:
            channel.batch([inet.restore_route(body) for body in former])
            raise


def _add_routes(channel: Channel, index: int, link: Link) -> None:
    addresses = observe.parse_addresses(channel.dump(inet.get_addresses())).get(index, [])
    _run(channel, [inet.add_route(index, link.name, route, addresses) for route in link.routes], errno.EEXIST)


def _run(channel: Channel, requests: Sequence[Request], harmless: int) -> None:
    for error in channel.batch(list(requests)).errors.values():
        if error.errno != harmless:
            raise error
