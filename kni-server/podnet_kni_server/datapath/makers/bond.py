"""Makes links of kind bond: over links that the Pod has already."""

from podnet_kni_server.datapath import attach, guest, links, netlink, observe
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.makers import parts, upon
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.datapath.observe import Seen
from podnet_kni_server.datapath.worker import Pod
from podnet_kni_server.details import BondDetail

_MODE, _MIIMON, _FAIL_OVER_MAC, _XMIT_HASH = 1, 3, 13, 14
"""linux/if_link.h, IFLA_BOND_*; the words stand there in the order of their numbers (linux/if_bonding.h)."""
_MODES = ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb")
_HASHES = ("layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac")
_FAIL_OVERS = ("none", "active", "follow")


class Bond:
    """See maker.Maker. Its parts lose their addresses, and survive it."""

    kernel_kind = "bond"

    def make(self, node: Node, pod: Pod, link: Link) -> int:
        """See Maker."""
        link, detail = guest.chosen(link), _detail(link)
        own = upon.own_link(pod, link)
        found = parts.find(pod, link, detail.parts)
        if own is not None and self.fits(link, own, {}) and parts.hold(pod, own.index, detail.parts):
            return _correct(pod, link, own)
        self.remove(node, pod, link)
        try:
            pod.channel.run(links.make(link.name, "bond", _data(detail), *_common(link), group=links.GROUP_POD))
            index = observe.need_link(pod.channel, link.name).index
            for part in found:
                parts.flush(pod, part)
                parts.put(pod, index, part, ("put %s into the bond %s", part.name, link.name), down=True)
        except DatapathError:
            self.remove(node, pod, link)
            raise
        return index

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Maker."""
        if pod is not None:
            parts.release(pod, link.name)
            attach.check_gone(pod.channel.batch([links.delete_named(link.name)]).errors.values())

    def fits(self, link: Link, found: Seen, on_node: dict[str, Seen]) -> bool:
        """See Maker. Its parts are in the Pod, and looked at by make."""
        return found.kind == self.kernel_kind and upon.has(found, _data(_detail(link)))


def _data(detail: BondDetail) -> bytes:
    return b"".join(
        (
            netlink.u8(_MODE, _MODES.index(detail.mode)),
            netlink.u32(_MIIMON, detail.miimon),
            netlink.u8(_XMIT_HASH, _HASHES.index(detail.xmit_hash_policy)),
            netlink.u8(_FAIL_OVER_MAC, _FAIL_OVERS.index(detail.fail_over_mac)),
        )
    )


def _common(link: Link) -> tuple[bytes, ...]:
    mac = (netlink.attr(links.ADDRESS, links.mac_bytes(link.mac)),) if link.mac else ()
    return (*mac, netlink.u32(links.MTU, link.mtu)) if link.mtu else mac


def _correct(pod: Pod, link: Link, own: Seen) -> int:
    if not upon.looks_so(link, own):
        pod.channel.run(links.change(own.index, ("correct %s", link.name), *_common(link)))
    return own.index


def _detail(link: Link) -> BondDetail:
    assert isinstance(link.detail, BondDetail), link
    return link.detail
