"""Makes links of kind routed: a pair of ends, the Pod's with single addresses, the node's with the next hops.

The node routes each address of the Pod to its end and, where asked, answers ARP and NDP for it on an uplink.
A next hop is an address of that end, so that the Pod finds it by ARP and NDP as usual, whatever routes the node
has; and what the node itself sends comes from there, so that the answer finds back.
"""

import dataclasses
import errno
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network

from podnet_kni_server.datapath import attach, inet, links, observe, prepare, proxy
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.errors import DatapathError, NetlinkError
from podnet_kni_server.datapath.makers import upon
from podnet_kni_server.datapath.model import Interface, Link, Route
from podnet_kni_server.datapath.observe import Seen
from podnet_kni_server.datapath.worker import Pod
from podnet_kni_server.details import RoutedDetail

_USUAL_MTU = 1500


class Routed:
    """See maker.Maker."""

    kernel_kind = "veth"

    def make(self, node: Node, pod: Pod, link: Link) -> int:
        """See Maker."""
        found = upon.own_link(pod, link)
        on_node = observe.find_links(node.route, [link.host_name])
        if found is not None and self.fits(link, found, on_node) and upon.looks_so(link, found):
            _complete(node, link, node.index_of(link.host_name))
            return found.index
        self.remove(node, pod, link)
        host, index = prepare.draw(), prepare.draw()
        try:
            sized = dataclasses.replace(link, mtu=link.mtu or _USUAL_MTU)
            node.route.run(links.make_veth(sized, host, index, 0, pod.fd))
            _complete(node, link, host)
        except DatapathError:
            self.remove(node, pod, link)
            raise
        return index

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Maker. Routes go with the node's end, and with it the end in the Pod."""
        uplink = _uplink(node, link)
        if uplink:
            gone = node.route.batch([proxy.delete(uplink, address.ip) for address in link.addresses])
            _check(gone.errors.values(), errno.ENOENT)
        attach.remove_hosts(node, [link.host_name])

    def fits(self, link: Link, found: Seen, on_node: dict[str, Seen]) -> bool:
        """See Maker."""
        host = on_node.get(link.host_name)
        return host is not None and host.up and found.peer == host.index and links.ours(host.name, host.group)


def move(node: Node, link: Link, leaving: Iterable[Interface]) -> None:
    """The node's end, when the link's addresses change: it routes, and answers for, those that it has now."""
    try:
        host = node.index_of(link.host_name)
    except OSError as error:
        raise DatapathError(f"cannot change the addresses of {link.name}: its end on the node is gone") from error
    gone = [inet.delete_route_to(host, link.host_name, ip_network(address.ip)) for address in leaving]
    _check(node.route.batch(gone).errors.values(), errno.ESRCH)
    if uplink := _uplink(node, link):
        unanswered = node.route.batch([proxy.delete(uplink, address.ip) for address in leaving])
        _check(unanswered.errors.values(), errno.ENOENT)
    _complete(node, link, host)


def _complete(node: Node, link: Link, host: int) -> None:
    """What the node's end needs, as far as it is not there."""
    answer = node.route.batch(list(_requests(node, link, host)))
    _check(answer.errors.values(), errno.EEXIST)


def _check(errors: Iterable[NetlinkError], harmless: int) -> None:
    for error in errors:
        if error.errno != harmless:
            raise error


def _requests(node: Node, link: Link, host: int) -> Iterator[Request]:
    detail = _detail(link)
    yield links.change(host, ("let %s forward", link.host_name), links.forwarding())
    for text in detail.gateways:
        yield inet.add_next_hop(host, link.host_name, ip_address(text))
    for address in link.addresses:
        yield inet.add_route(host, link.host_name, Route(ip_network(address.ip)), ())
    if detail.proxy and not (uplink := _uplink(node, link)):
        raise DatapathError(f"cannot answer for {link.name} on {detail.proxy}: the node has no such interface")
    if detail.proxy:
        for address in link.addresses:
            yield proxy.add(uplink, detail.proxy, address.ip)


def _uplink(node: Node, link: Link) -> int:
    """Index of the uplink where the node answers for the Pod; 0: it does not, or the uplink is gone."""
    name = _detail(link).proxy
    try:
        return node.index_of(name) if name else 0
    except OSError:
        return 0


def _detail(link: Link) -> RoutedDetail:
    assert isinstance(link.detail, RoutedDetail), link
    return link.detail
