"""Which frames an interface receives: every one (promiscuous), every multicast one."""

from collections.abc import Iterator

from podnet_kni_server.datapath import links, netlink, observe
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.datapath.worker import Pod

_IFF_PROMISC, _IFF_ALLMULTI = 0x100, 0x200


_WORDS = {_IFF_PROMISC: "promiscuous", _IFF_ALLMULTI: "all-multicast"}


def _flags(link: Link) -> int:
    wanted = link.extras
    promiscuous = _IFF_PROMISC if wanted and wanted.promiscuous else 0
    return promiscuous | (_IFF_ALLMULTI if wanted and wanted.all_multicast else 0)


class Reception:
    """See extra.Extra."""

    def apply(self, node: Node, pod: Pod, link: Link) -> None:
        """See Extra."""
        if flags := _flags(link):
            body = links.header(0, flags, flags) + netlink.text(links.IFNAME, link.name)
            pod.channel.run(Request(links.NEWLINK, netlink.REQUEST, body, ("have %s receive more", link.name)))

    def lost(self, node: Node, pod: Pod, link: Link) -> Iterator[str]:
        """See Extra. What the kernel tells is what was asked for, not what a bridge or a capture adds."""
        wanted = _flags(link)
        found = observe.need_link(pod.channel, link.name).flags if wanted else 0
        for flag, word in _WORDS.items():
            if wanted & ~found & flag:
                yield f"was no longer {word}"

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Extra: it goes with the link. A device that is given back counts anew where it comes to."""
