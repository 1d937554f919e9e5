"""A routing table of a network's own in the Pod: what comes from the interface's addresses leaves through it.

The table has the routes of the network and, where the network has gateways, a default route. Without one, what it
does not know is looked up in the main table. Routes go with the link, rules do not.
"""

import errno
import os
import struct
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network

from podnet_kni_server.datapath import inet, netlink, observe
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.errors import NetlinkError
from podnet_kni_server.datapath.model import Address, Interface, Link, Route
from podnet_kni_server.datapath.worker import Pod

_NEWRULE, _DELRULE, _GETRULE = 32, 33, 34
_FIB_RULE = struct.Struct("=BBBBBBBBI")
_SRC, _PRIORITY, _TABLE = 2, 6, 15
_TO_TABLE = 1
PRIORITY = 2000
"""After a VRF's rule (1000), before the main table's (32766)."""
_Key = tuple[int, str, int, str]
"""Of a route: family, destination ("" for the default), its length, gateway or ""."""
_DEFAULTS = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


class Policy:
    """See extra.Extra."""

    def apply(self, node: Node, pod: Pod, link: Link) -> None:
        """See Extra."""
        table = link.extras.table if link.extras else 0
        if not table:
            return
        index = observe.need_link(pod.channel, link.name).index
        requests = [inet.add_route(index, link.name, route, link.addresses, table) for route in routes(link)]
        requests += [_rule(_NEWRULE, address, table) for address in link.addresses]
        _check(pod.channel.batch(requests).errors.values(), errno.EEXIST)

    def lost(self, node: Node, pod: Pod, link: Link) -> Iterator[str]:
        """See Extra."""
        table = link.extras.table if link.extras else 0
        if not table:
            return
        index = observe.need_link(pod.channel, link.name).index
        there = _routes_there(pod, table, index)
        for route in routes(link):
            if _key(route) not in there:
                yield f"had lost its own route to {route.destination}"
        ruled = _rules_there(pod, table)
        for address in link.addresses:
            if address.ip not in ruled:
                yield f"had lost the rule for what comes from {address.ip}"

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Extra."""
        table = link.extras.table if link.extras else 0
        if table and pod is not None:
            rules = [_rule(_DELRULE, address, table) for address in link.addresses]
            _check(pod.channel.batch(rules).errors.values(), errno.ENOENT)


def routes(link: Link) -> Iterator[Route]:
    """What the table has. Pure."""
    yield from dict.fromkeys((*_connected(link), *link.routes))
    for text in link.extras.gateways if link.extras else ():
        gateway = ip_address(text)
        yield Route(_DEFAULTS[gateway.version], gateway)


def _connected(link: Link) -> Iterator[Route]:
    for address in link.addresses:
        if address.network.prefixlen < address.max_prefixlen:
            yield Route(address.network)


def _rule(kind: int, address: Interface, table: int) -> Request:
    """From this address: that table."""
    body = _FIB_RULE.pack(inet.family(address.version), 0, address.max_prefixlen, 0, 0, 0, 0, _TO_TABLE, 0)
    body += netlink.attr(_SRC, address.ip.packed) + netlink.u32(_PRIORITY, PRIORITY) + netlink.u32(_TABLE, table)
    flags = netlink.REQUEST | (netlink.CREATE | netlink.EXCL if kind == _NEWRULE else 0)
    what = "add" if kind == _NEWRULE else "delete"
    return Request(kind, flags, body, (f"{what} the rule for what comes from %s", address.ip))


def _routes_there(pod: Pod, table: int, index: int) -> set[_Key]:
    """Of the table, over the link."""
    found: set[_Key] = set()
    for version in _dumped(pod):
        for body in pod.channel.dump(inet.get_routes(version)):
            family, link, destination, length, gateway = inet.parse_route(body)
            if inet.table_of(body) == table and link == index:
                found.add((family, destination, length, str(gateway or "")))
    return found


def _key(route: Route) -> _Key:
    destination = route.destination
    text = str(destination.network_address) if destination.prefixlen else ""
    return inet.family(destination.version), text, destination.prefixlen, str(route.gateway or "")


def _rules_there(pod: Pod, table: int) -> set[Address]:
    """The addresses from which the table is asked."""
    found: set[Address] = set()
    for version in _dumped(pod):
        head = _FIB_RULE.pack(inet.family(version), 0, 0, 0, 0, 0, 0, 0, 0)
        for body in pod.channel.dump(Request(_GETRULE, netlink.DUMP, head, ("list the rules",))):
            asked, source = parse_rule(body)
            if asked == table and source is not None:
                found.add(source)
    return found


def parse_rule(body: bytes) -> tuple[int, Address | None]:
    """The table that a rule that was read asks, and the address from which; None: from several, or whatever."""
    own = netlink.attributes(body, _FIB_RULE.size)
    source = own.get(_SRC)
    return netlink.number(own.get(_TABLE, b"")), ip_address(source) if source is not None else None


def _dumped(pod: Pod) -> Iterator[int]:
    """The families that the kernel has: without IPv6 it would answer for all of them."""
    yield 4
    if pod.inside(os.path.exists, "/proc/sys/net/ipv6"):
        yield 6


def _check(errors: Iterable[NetlinkError], harmless: int) -> None:
    for error in errors:
        if error.errno != harmless:
            raise error
