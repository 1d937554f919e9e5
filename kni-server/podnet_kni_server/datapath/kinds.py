"""Which kinds of links the kernel makes: found out by making one of each in a namespace that is thrown away."""

import errno
import os

from podnet_kni_server.datapath import chardev, links, netlink, observe
from podnet_kni_server.datapath.channel import NETFILTER, Channel, Request
from podnet_kni_server.datapath.errors import NetlinkError
from podnet_kni_server.datapath.worker import Worker

_LOWER = 100
"""Index of the veth that the other kinds are put upon."""
BRIDGE_VLAN = "bridge-vlan"
_VLAN_ID, _VRF_TABLE, _VXLAN_ID = 1, 1, 1
_UPON_LOWER = ("macvlan", "ipvlan", "macvtap", "vlan")
_PLAIN = ("veth", "bridge", "dummy", "bond", "vxlan", "vrf")


def probe(worker: Worker) -> dict[str, str]:
    """Kind -> "" or why not. Besides link kinds: tap (a device file), nftables (anti-spoofing), bridge-vlan (a
    bridge that filters VLANs)."""
    with worker.scratch():
        channel = Channel()
        try:
            answers = {kind: _try(channel, kind) for kind in (*_PLAIN, *_UPON_LOWER)}
            answers[BRIDGE_VLAN] = _try_filtering(channel)
            answers["tap"] = _try_tap()
        finally:
            channel.close()
        answers["nftables"] = _try_nftables()
    return answers


def _try(channel: Channel, kind: str) -> str:
    data = {
        "vlan": netlink.u16(_VLAN_ID, 1),
        "vrf": netlink.u32(_VRF_TABLE, 1),
        "vxlan": netlink.u32(_VXLAN_ID, 1),
    }.get(kind, b"")
    body = links.header(_LOWER if kind == "veth" else 0) + netlink.text(links.IFNAME, f"x{kind}")
    if kind in _UPON_LOWER:
        body += netlink.u32(links.LINK, _LOWER)
    info = netlink.text(links.INFO_KIND, kind) + (netlink.nested(links.INFO_DATA, data) if data else b"")
    request = Request(links.NEWLINK, links.CREATE, body + netlink.nested(links.LINKINFO, info), ("make a %s", kind))
    try:
        channel.run(request)
    except NetlinkError as error:
        return f"kernel lacks {kind}" if error.errno == errno.EOPNOTSUPP else str(error)
    if kind in _UPON_LOWER:
        channel.run(links.delete_named(f"x{kind}"))  # a link with a macvlan takes no ipvlan
    return ""


def _try_filtering(channel: Channel) -> str:
    data = links.bridge_data() + netlink.u8(links.BR_VLAN_FILTERING, 1)
    try:
        channel.run(links.make("xfilter", "bridge", data))
    except NetlinkError as error:
        return "kernel lacks bridge VLAN filtering" if error.errno == errno.EOPNOTSUPP else str(error)
    made = observe.list_links(channel)["xfilter"]
    return "" if links.filters_vlans(made.data) else "kernel lacks bridge VLAN filtering"


def _try_tap() -> str:
    try:
        fd = os.open(chardev.TUN, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return f"the node lacks {chardev.TUN}"
    except OSError as error:
        return "kernel lacks tap" if error.errno == errno.ENODEV else f"cannot open {chardev.TUN}: {error.strerror}"
    os.close(fd)
    return ""


def _try_nftables() -> str:
    try:
        Channel(NETFILTER).close()
    except OSError:
        return "kernel lacks nftables"
    return ""
