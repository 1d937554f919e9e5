"""Which frames an interface receives: every one (promiscuous), every multicast one."""

from podnet_kni_server.datapath import links, netlink
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.datapath.worker import Pod

_IFF_PROMISC, _IFF_ALLMULTI = 0x100, 0x200


class Reception:
    """See extra.Extra."""

    def apply(self, node: Node, pod: Pod, link: Link) -> None:
        """See Extra."""
        extras = link.extras
        flags = (_IFF_PROMISC if extras and extras.promiscuous else 0) | (
            _IFF_ALLMULTI if extras and extras.all_multicast else 0
        )
        if flags:
            body = links.header(0, flags, flags) + netlink.text(links.IFNAME, link.name)
            pod.channel.run(Request(links.NEWLINK, netlink.REQUEST, body, ("have %s receive more", link.name)))

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Extra: it goes with the link. A device that is given back counts anew where it comes to."""
