"""Makes links that stand upon one of the node's: ipvlan, macvtap, and a VLAN device that is the Pod's own."""

import errno
from collections.abc import Callable

from podnet_kni_server.datapath import attach, guest, links, netlink, observe, prepare
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.errors import DatapathError, NetlinkError
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.datapath.observe import Seen
from podnet_kni_server.datapath.worker import Pod


class Upon:
    """See maker.Maker. `data` gives the attributes of the kind."""

    def __init__(self, kernel_kind: str, data: Callable[[Link], bytes]) -> None:
        self.kernel_kind = kernel_kind
        self._data = data

    def make(self, node: Node, pod: Pod, link: Link) -> int:
        """See Maker."""
        link = guest.chosen(link)
        try:
            lower = node.index_of(link.master)
        except OSError as error:
            raise DatapathError(f"cannot make {link.name}: the node has no link {link.master}") from error
        found = own_link(pod, link)
        if found is not None and self._is(link, found, lower) and looks_so(link, found):
            return found.index
        if found is not None:
            pod.channel.run(links.delete(found.index, found.name))
        index = prepare.draw()
        try:
            node.route.run(links.make_upon(link, index, lower, pod.fd, self.kernel_kind, self._data(link)))
        except NetlinkError as error:
            raise _explained(link, error) from error
        return index

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Maker. The link goes with the namespace."""
        if pod is not None:
            attach.check_gone(pod.channel.batch([links.delete_named(link.name)]).errors.values())

    def fits(self, link: Link, found: Seen, on_node: dict[str, Seen]) -> bool:
        """See Maker."""
        lower = on_node.get(link.master)
        return lower is not None and self._is(link, found, lower.index)

    def _is(self, link: Link, found: Seen, lower: int) -> bool:
        return found.kind == self.kernel_kind and found.peer == lower and has(found, self._data(link))


def own_link(pod: Pod, link: Link) -> Seen | None:
    """The link of that name in the Pod. Raises: DatapathError when it is not ours."""
    found = observe.find_link(pod.channel, link.name)
    if found is not None and found.group != links.GROUP_POD:
        raise DatapathError(f"cannot make {link.name}: the Pod has a link of that name that is not ours")
    return found


def has(found: Seen, data: bytes) -> bool:
    """Whether a link has these attributes of its kind."""
    there = netlink.attributes(found.data)
    return all(there.get(kind) == value for kind, value in netlink.attributes(data).items())


def looks_so(link: Link, found: Seen) -> bool:
    """Whether a link has the MAC address and the MTU that are asked for."""
    return link.mac.lower() in ("", found.mac) and link.mtu in (0, found.mtu)


_BUSY = {
    errno.EBUSY: "the kernel uses it for links of another kind, or it is a port of a bridge or bond",
    errno.EINVAL: "it has links already, or cannot carry this one",
    errno.EEXIST: "there is such a link already, perhaps in another Pod",
}


def _explained(link: Link, error: NetlinkError) -> DatapathError:
    why = _BUSY.get(error.errno)
    return DatapathError(f"cannot make {link.name} on {link.master}: {why}: {error}") if why else error
