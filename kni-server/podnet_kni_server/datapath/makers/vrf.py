"""Makes links of kind vrf: a routing table of its own for links that the Pod has already."""

import errno
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from podnet_kni_server.datapath import attach, inet, links, netlink, observe
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.makers import parts, upon
from podnet_kni_server.datapath.model import Link, Route
from podnet_kni_server.datapath.observe import Seen
from podnet_kni_server.datapath.worker import Pod
from podnet_kni_server.details import VrfDetail

_TABLE = 1
"""IFLA_VRF_TABLE."""


class Vrf:
    """See maker.Maker. Its parts keep their addresses; routes over them stand in its table."""

    kernel_kind = "vrf"

    def make(self, node: Node, pod: Pod, link: Link) -> int:
        """See Maker."""
        detail = _detail(link)
        own = upon.own_link(pod, link)
        found = parts.find(pod, link, detail.parts)
        if own is not None and (not self.fits(link, own, {}) or not parts.hold(pod, own.index, detail.parts)):
            self.remove(node, pod, link)
            own = None
        try:
            if own is None:
                _make(pod, link, found)
            _add_routes(pod, detail, found)
            return own.index if own is not None else observe.need_link(pod.channel, link.name).index
        except DatapathError:
            self.remove(node, pod, link)
            raise

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Maker."""
        if pod is not None:
            parts.release(pod, link.name)
            attach.check_gone(pod.channel.batch([links.delete_named(link.name)]).errors.values())

    def fits(self, link: Link, found: Seen, on_node: dict[str, Seen]) -> bool:
        """See Maker. Its parts are in the Pod, and looked at by make."""
        return found.kind == self.kernel_kind and upon.has(found, _data(link))


def _make(pod: Pod, link: Link, found: list[Seen]) -> None:
    """Up before its parts join: their connected routes move into its table then."""
    mtu = (netlink.u32(links.MTU, link.mtu),) if link.mtu else ()
    pod.channel.run(links.make(link.name, "vrf", _data(link), *mtu, group=links.GROUP_POD))
    index = observe.need_link(pod.channel, link.name).index
    pod.channel.run(links.set_up(index, link.name))
    for part in found:
        held = parts.addresses(pod, part)
        parts.put(pod, index, part, ("put %s into the VRF %s", part.name, link.name), down=False)
        parts.restore(pod, part, held)


def _add_routes(pod: Pod, detail: VrfDetail, found: list[Seen]) -> None:
    answer = pod.channel.batch([request for part in found for request in _routes(pod, detail, part)])
    for error in answer.errors.values():
        if error.errno != errno.EEXIST:
            raise error


def _routes(pod: Pod, detail: VrfDetail, part: Seen) -> Iterator[Request]:
    held = parts.addresses(pod, part)
    for one in detail.routes:
        if one.part == part.name:
            gateway = ip_address(one.gateway) if one.gateway else None
            yield inet.add_route(part.index, part.name, Route(ip_network(one.destination), gateway), held, detail.table)


def _data(link: Link) -> bytes:
    return netlink.u32(_TABLE, _detail(link).table)


def _detail(link: Link) -> VrfDetail:
    assert isinstance(link.detail, VrfDetail), link
    return link.detail
