"""Makes links of kind tap: a tap device in the Pod, on a wire to a port of a bridge of the node.

The wire is a veth pair, and in the Pod a small bridge that joins its end and the tap: a tap cannot leave the
namespace where a guest is to open it, and no bridge has ports in two. MAC address and addresses are the guest's
(guest.py); the port on the node lets nobody else's through.
"""

import dataclasses
import fcntl
import hashlib
import os
import struct

from podnet_kni_server.datapath import attach, chardev, links, netlink, observe, prepare, spoof
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.makers import upon
from podnet_kni_server.datapath.model import HOST_PREFIX, Link
from podnet_kni_server.datapath.observe import Seen
from podnet_kni_server.datapath.worker import Pod
from podnet_kni_server.details import TapDetail

_INNER_PREFIX, _BRIDGE_PREFIX = "pni", "pnb"
_TUNSETIFF, _TUNSETPERSIST, _TUNSETOWNER, _TUNSETGROUP = 0x400454CA, 0x400454CB, 0x400454CC, 0x400454CE
_TAP, _NO_INFO, _VNET_HEADER, _MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
_IFREQ = struct.Struct("16sH22x")


class Tap:
    """See maker.Maker."""

    kernel_kind = "tun"

    def make(self, node: Node, pod: Pod, link: Link) -> int:
        """See Maker."""
        found = upon.own_link(pod, link)
        if found is not None and self._stands(node, pod, link, found):
            if link.anti_spoof:
                attach.guard(node, spoof.guard([link]))
            return found.index
        self.remove(node, pod, link)
        try:
            _lay_wire(node, pod, link)
            return _make_tap(pod, link)
        except BaseException:  # whatever it was, and cancellation: what was made goes
            self.remove(node, pod, link)
            raise

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Maker. The Pod's end of the wire goes with the node's."""
        attach.remove_hosts(node, [link.host_name])
        if pod is not None:
            gone = pod.channel.batch([links.delete_named(name) for name in (_bridge(link), link.name)])
            attach.check_gone(gone.errors.values())
        if link.anti_spoof:
            attach.release(node, [link])

    def fits(self, link: Link, found: Seen, on_node: dict[str, Seen]) -> bool:
        """See Maker. What is in the Pod besides the tap cannot be seen from here."""
        host, master = on_node.get(link.host_name), on_node.get(link.master)
        if host is None or master is None or found.kind != self.kernel_kind or not found.master:
            return False
        guarded = host.group == links.GROUP_GUARDED
        return host.up and host.master == master.index and guarded == link.anti_spoof

    def _stands(self, node: Node, pod: Pod, link: Link, tap: Seen) -> bool:
        on_node = observe.find_links(node.route, [link.host_name, link.master])
        present = observe.find_links(pod.channel, [_inner(link), _bridge(link)])
        inner, bridge = present.get(_inner(link)), present.get(_bridge(link))
        if inner is None or bridge is None or not self.fits(link, tap, on_node):
            return False
        up = inner.up and bridge.up and tap.mtu == (link.mtu or tap.mtu)
        return up and inner.peer == on_node[link.host_name].index and inner.master == tap.master == bridge.index


def _inner(link: Link) -> str:
    return _INNER_PREFIX + link.host_name.removeprefix(HOST_PREFIX)


def _bridge(link: Link) -> str:
    return _BRIDGE_PREFIX + link.host_name.removeprefix(HOST_PREFIX)


def _mac(name: str) -> str:
    """A MAC address for a part of the wire: the guest's own must not be on this side of the tap."""
    digest = hashlib.sha256(name.encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x02, *digest[:5]))


def _lay_wire(node: Node, pod: Pod, link: Link) -> None:
    try:
        master, mtu = node.index_of(link.master), link.mtu or node.mtu_of(link.master)
    except OSError as error:
        raise DatapathError(f"cannot make {link.name}: the node has no link {link.master}") from error
    host, inner = prepare.draw(), prepare.draw()
    wire = dataclasses.replace(link, name=_inner(link), mac=_mac(_inner(link)), mtu=mtu)
    requests = [links.make_veth(wire, host, inner, master, pod.fd)]
    requests += links.set_vlan(link, host) if link.vlan else []
    node.route.run(*requests)
    if link.anti_spoof:
        attach.guard(node, spoof.guard([link]))
    own = netlink.attr(links.ADDRESS, links.mac_bytes(_mac(_bridge(link)))), netlink.u32(links.MTU, mtu)
    pod.channel.run(links.make(_bridge(link), "bridge", links.bridge_data(), *own, group=links.GROUP_POD))


def _make_tap(pod: Pod, link: Link) -> int:
    try:
        pod.inside(_open, link)
    except OSError as error:
        raise DatapathError(f"cannot make the tap device {link.name}: {error.strerror}") from error
    tap, inner, bridge = (observe.need_link(pod.channel, name) for name in (link.name, _inner(link), _bridge(link)))
    size = netlink.u32(links.MTU, link.mtu or inner.mtu)
    port = netlink.u32(links.MASTER, bridge.index), links.no_link_local()
    what = "set up the wire of %s", link.name
    pod.channel.run(
        links.change(bridge.index, what, links.no_link_local(), up=True),
        links.change(inner.index, what, *port, up=True),
        links.change(tap.index, what, netlink.u32(links.GROUP, links.GROUP_POD), size, *port, up=True),
    )
    return tap.index


def _open(link: Link) -> None:
    """Have the device, to stay when it is closed."""
    detail = link.detail
    assert isinstance(detail, TapDetail), link
    flags = _TAP | _NO_INFO | _VNET_HEADER | (_MULTI_QUEUE if detail.multi_queue else 0)
    fd = os.open(chardev.TUN, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, _IFREQ.pack(link.name.encode(), flags))
        for request, value in ((_TUNSETOWNER, detail.owner), (_TUNSETGROUP, detail.group), (_TUNSETPERSIST, 1)):
            if value is not None:
                fcntl.ioctl(fd, request, _signed(value))
    finally:
        os.close(fd)


def _signed(number: int) -> int:
    """As ioctl takes an int: user ids above 2^31 are negative there."""
    return number - (1 << 32) if number >= 1 << 31 else number
