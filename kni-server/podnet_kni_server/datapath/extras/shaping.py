"""Limits of an interface's rate, at the node's end of the link, where the Pod cannot take them away.

Towards the Pod: a token bucket (tbf) at the node's end. From the Pod: what comes in there goes through an
intermediate device (ifb) with a token bucket first, before the bridge and anti-spoofing see it. The bucket goes with
the link; the device is ours to remove, and its name follows from the link's.
"""

import errno
from collections.abc import Collection, Iterator

from podnet_kni_server.datapath import attach, links, netlink, observe
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.extras import traffic
from podnet_kni_server.datapath.model import HOST_PREFIX, Link
from podnet_kni_server.datapath.worker import Pod
from podnet_kni_server.details import ShapingRecord

_PREFIX = "pnq"
GROUP = 0x706E06
"""Group of the intermediate devices."""
_QUEUE = netlink.u32(13, 1000)
"""IFLA_TXQLEN: what tbf holds back waits here."""


def device_of(host_name: str) -> str:
    """Name of the intermediate device of a link."""
    return _PREFIX + host_name.removeprefix(HOST_PREFIX)


class Shaping:
    """See extra.Extra."""

    def apply(self, node: Node, pod: Pod, link: Link) -> None:
        """See Extra."""
        limits = link.extras.shaping if link.extras else None
        if limits is None:
            return
        try:
            host = node.index_of(link.host_name)
        except OSError as error:
            raise DatapathError(f"cannot limit the rate of {link.name}: it has no end on the node") from error
        if limits.ingress_rate:
            node.route.run(traffic.limit(host, link.host_name, limits.ingress_rate, limits.ingress_burst))
        if limits.egress_rate:
            _limit_incoming(node, link.host_name, host, limits)

    def lost(self, node: Node, pod: Pod, link: Link) -> Iterator[str]:
        """See Extra."""
        limits = link.extras.shaping if link.extras else None
        if limits is None:
            return
        present = observe.find_links(node.route, [link.host_name, device_of(link.host_name)])
        host, device = present.get(link.host_name), present.get(device_of(link.host_name))
        if host is None:
            return  # which is the link's affair
        rates = dict(traffic.parse_limit(body) for body in node.route.dump(traffic.get_limits()))
        if limits.ingress_rate and rates.get(host.index) != limits.ingress_rate // 8:
            yield "had lost the limit of what comes to it"
        held = device is not None and device.up and rates.get(device.index) == limits.egress_rate // 8
        if limits.egress_rate and not (held and device is not None and _is_caught(node, host.index, device.index)):
            yield "had lost the limit of what it sends"

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Extra. What waits in the device is lost, as the link is about to go."""
        if link.extras and link.extras.shaping and link.extras.shaping.egress_rate:
            attach.remove_hosts(node, [device_of(link.host_name)])


def _limit_incoming(node: Node, name: str, host: int, limits: ShapingRecord) -> None:
    device = device_of(name)
    made = node.route.batch([links.make(device, "ifb", b"", _QUEUE, group=GROUP)])
    for error in made.errors.values():
        if error.errno != errno.EEXIST:
            raise error
    index = node.index_of(device)
    if not _is_caught(node, host, index):
        # A filter that is there leads to a device that is gone: what it catches is dropped.
        node.route.batch([traffic.release(host, name)])
    node.route.run(traffic.limit(index, device, limits.egress_rate, limits.egress_burst), links.set_up(index, device))
    caught = node.route.batch([traffic.catch(host, name), traffic.redirect(host, name, index)])
    for error in caught.errors.values():
        if error.errno != errno.EEXIST:
            raise error


def _is_caught(node: Node, host: int, device: int) -> bool:
    """Whether what comes in through `host` goes through `device` first."""
    return any(traffic.target(body) == device for body in node.route.dump(traffic.get_filters(host)))


def sweep(node: Node, keep: Collection[str]) -> list[str]:
    """Remove the devices whose links are not in `keep`, and answer their names."""
    kept = {device_of(name) for name in keep}
    stale = sorted(
        name
        for name, link in observe.list_links(node.route).items()
        if name.startswith(_PREFIX) and link.group in (GROUP, links.GROUP_DOOMED) and name not in kept
    )
    attach.remove_hosts(node, stale)
    return stale
