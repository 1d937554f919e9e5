"""VLANs on the node: of an uplink (VLAN devices), and of a bridge that filters them. node.py calls this."""

from collections.abc import Collection, Mapping

from podnet_kni_server.datapath import links, netlink, observe
from podnet_kni_server.datapath.channel import Channel
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import NodeLink


def find(present: Mapping[str, observe.Seen], parent: observe.Seen, vid: int) -> observe.Seen | None:
    """The VLAN device of `parent` with this identifier, whatever its name."""
    data = netlink.attributes(links.vlan_data(vid))
    for link in present.values():
        has = netlink.attributes(link.data)
        if link.kind == "vlan" and link.peer == parent.index and all(has.get(k) == v for k, v in data.items()):
            return link
    return None


def device(channel: Channel, link: NodeLink, parent: observe.Seen, present: Mapping[str, observe.Seen]) -> str:
    """Have the VLAN device of `link` over `parent`, up, and answer its name. One that somebody else made, under any
    name, is used."""
    found = find(present, parent, link.vid)
    if found is None and link.uplink in present:
        raise DatapathError(f"cannot make {link.uplink}: another link has that name")
    if found is None:
        data = links.vlan_data(link.vid)
        channel.run(links.make(link.uplink, "vlan", data, netlink.u32(links.LINK, parent.index)))
        found = observe.list_links(channel)[link.uplink]
    parts = [] if found.up else [b""]
    if found.group == links.GROUP_NODE:
        parts = [links.no_link_local(), netlink.u32(links.MTU, parent.mtu)]
    if parts:
        channel.run(links.change(found.index, ("set up %s", found.name), *parts, up=True))
    return found.name


def ensure(channel: Channel, link: NodeLink, bridge: int, uplink: int) -> None:
    """Have the bridge filter VLANs, its uplink carry that of `link` tagged, and its gateways stand in it.

    A bridge that somebody else made and that does not filter is refused: its other ports would lose their VLANs.
    """
    found = observe.list_links(channel)[link.name]
    if not links.filters_vlans(found.data):
        if found.group != links.GROUP_NODE:
            raise DatapathError(f"cannot use {link.name} for VLAN {link.vlan}: the bridge does not filter VLANs")
        _filter(channel, found)
    there = dict(links.parse_vlans(body) for body in channel.dump(links.get_vlans()))
    what = ("put %s into VLAN %s", link.uplink, link.vlan)
    if uplink and link.vlan not in there.get(uplink, {}):
        channel.run(links.set_vlans(uplink, ((link.vlan, links.TAGGED_VLAN),), what))
    if link.gateways and there.get(bridge, {}).get(link.vlan) != links.ACCESS_VLAN:
        access = ((link.vlan, links.ACCESS_VLAN),)
        channel.run(links.set_vlans(bridge, access, ("put %s into VLAN %s", link.name, link.vlan), of_bridge=True))


def remove_unwanted(channel: Channel, present: Mapping[str, observe.Seen], wanted: Collection[tuple[str, int]]) -> None:
    """Take VLANs that no network needs away from uplinks of bridges of ours; `wanted`: bridges and their VLANs."""
    ours = {
        one.index: one.name for one in present.values()
        if one.kind == "bridge" and one.group == links.GROUP_NODE and links.filters_vlans(one.data)
    }  # fmt: skip
    there = dict(links.parse_vlans(body) for body in channel.dump(links.get_vlans())) if ours else {}
    for port in present.values():
        if port.master not in ours or links.ours(port.name, port.group):
            continue
        for vid, flags in there.get(port.index, {}).items():
            if flags == links.TAGGED_VLAN and (ours[port.master], vid) not in wanted:
                what = ("take %s out of VLAN %s", port.name, vid)
                channel.run(links.set_vlans(port.index, ((vid, flags),), what, kind=links.DELLINK))


def _filter(channel: Channel, bridge: observe.Seen) -> None:
    data = netlink.u8(links.BR_VLAN_FILTERING, 1)
    info = netlink.nested(
        links.LINKINFO, netlink.text(links.INFO_KIND, "bridge"), netlink.nested(links.INFO_DATA, data)
    )  # fmt: skip
    channel.run(links.change(bridge.index, ("have %s filter VLANs", bridge.name), info))
