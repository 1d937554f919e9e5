"""CHECK of a link that plugins made, as far as their result says how it was: up, its addresses, its routes. What of
that is lost is put back; anything else only the plugins could make again. Runs in a worker's thread.

Of the routes in a result only those count that were there at the first look: sbr and the like move them on.
"""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from ipaddress import ip_network

from podnet_kni_server.cni.result import Result
from podnet_kni_server.datapath import inet, links, observe
from podnet_kni_server.datapath.channel import Channel, Request
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import Address, Finding, Interface, Link, Network, Route
from podnet_kni_server.datapath.worker import Pod

_ADVICE = "CNI plugins made it; delete the Pod to have it anew"
_DEFAULTS = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


@dataclasses.dataclass(frozen=True)
class Looked:
    """What a look gave; `routes` are those that the next one is to find."""

    findings: tuple[Finding, ...]
    routes: frozenset[Route]


def look(pod: Pod, link: Link, made: Result, asked: Sequence[int], former: Collection[Route] | None) -> Looked:
    """What of `link` was not as its plugins left it. `asked` are the families whose default route leads over it,
    `former` the routes of the last look; None: there was none."""
    found = observe.find_link(pod.channel, link.name)
    if found is None:
        gone = any(one.name == link.name for _, one in made.inside())
        lost = (Finding(f"{link.name} is gone", False, _ADVICE),) if gone else ()
        return Looked(lost, frozenset(former or ()))
    own = _addresses(link, made)
    if former is None:
        former = _routes_there(pod.channel, found.index).intersection(_routes(link, made, asked))
    findings = [_carried_out(pod.channel, *repair) for repair in _repairs(pod.channel, link, found, own, former)]
    return Looked(tuple(findings), frozenset(former))


def _carried_out(channel: Channel, what: str, request: Request) -> Finding:
    try:
        channel.run(request)
    except DatapathError as error:
        return Finding(what, False, f"{error}; {_ADVICE}")
    return Finding(what)


def _repairs(
    channel: Channel, link: Link, found: observe.Seen, own: Sequence[Interface], routes: Collection[Route]
) -> Iterator[tuple[str, Request]]:
    """In the order in which they must be done; what is read is read after what comes before has been carried out."""
    index, name = found.index, link.name
    if not found.up:
        yield f"{name} was down", links.set_up(index, name)
    held = observe.parse_addresses(channel.dump(inet.get_addresses())).get(index, [])
    for address in own:
        if address not in held:
            yield f"{name} had lost its address {address}", inet.add_address(index, name, address)
    for route in sorted(set(routes) - _routes_there(channel, index), key=_order):
        yield f"{name} had lost its route to {route.destination}", inet.add_route(index, name, route, own)


def _addresses(link: Link, made: Result) -> list[Interface]:
    own = {i for i, one in made.inside() if one.name == link.name} | {None}
    return [ip.address for ip in made.ips if ip.link in own]


def _routes(link: Link, made: Result, asked: Sequence[int]) -> Iterator[Route]:
    """Default routes only where the Pod's list asks for them; what has a table or the like is for the plugins."""
    yield from link.routes
    for route in made.routes:
        if route.destination.prefixlen and not route.numbers:
            yield from _ways(route.destination, route.gateway, made)
    for version in asked:
        yield from (Route(_DEFAULTS[version], hop) for hop in made.gateways if hop.version == version)


def _ways(destination: Network, gateway: Address | None, made: Result) -> Iterator[Route]:
    """A route without a gateway leads through that of the addresses (CNI, "Result"), or is on the link."""
    yield Route(destination, gateway)
    if gateway is None:
        yield from (Route(destination, hop) for hop in made.gateways if hop.version == destination.version)


def _routes_there(channel: Channel, index: int) -> set[Route]:
    found: set[Route] = set()
    for version in (4, 6):
        for body in filter(inet.is_main, channel.dump(inet.get_routes(version))):
            family, over, text, length, gateway = inet.parse_route(body)
            if over == index and family == inet.family(version):
                found.add(Route(ip_network(f"{text}/{length}") if text else _DEFAULTS[version], gateway))
    return found


def _order(route: Route) -> tuple[int, str]:
    """The longest first, whatever order a set has."""
    return -route.destination.prefixlen, str(route)
