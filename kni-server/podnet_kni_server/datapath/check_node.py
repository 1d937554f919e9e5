"""Whether the node still has what its networks were given. Reads only: node.ensure puts right what is found."""

from collections.abc import Iterator, Sequence

from podnet_kni_server.datapath import fdb, inet, observe
from podnet_kni_server.datapath.channel import Channel
from podnet_kni_server.datapath.model import Finding, NodeLink

Present = dict[str, observe.Seen]


def findings(channel: Channel, wanted: Sequence[NodeLink]) -> list[Finding]:
    """What of `wanted` is missing or changed."""
    bridged = [link for link in wanted if link.kind in ("bridge", "vxlan")]
    # By name: a node has a link for each of its Pods' interfaces, and listing them all holds the kernel's lock.
    names = {name for link in bridged for name in (link.name, link.uplink, link.vxlan_name) if name}
    present = observe.find_links(channel, names)
    return [finding for link in bridged for finding in _of_link(channel, present, link)]


def _of_link(channel: Channel, present: Present, link: NodeLink) -> Iterator[Finding]:
    bridge = present.get(link.name)
    if bridge is None:
        yield Finding(f"the bridge {link.name} is gone")
        return
    if not bridge.up:
        yield Finding(f"the bridge {link.name} is down")
    yield from _missing_gateways(channel, bridge, link)
    for port in filter(None, (link.uplink, link.vxlan_name)):
        yield from _of_port(present, port, bridge)
    if link.vxlan_name in present and link.local is not None:
        yield from _missing_peers(channel, present[link.vxlan_name].index, link)


def _missing_gateways(channel: Channel, bridge: observe.Seen, link: NodeLink) -> Iterator[Finding]:
    if not link.gateways:
        return
    held = observe.parse_addresses(channel.dump(inet.get_addresses())).get(bridge.index, [])
    for gateway in link.gateways:
        if gateway not in held:
            yield Finding(f"the bridge {link.name} has lost its address {gateway}")


def _of_port(present: Present, name: str, bridge: observe.Seen) -> Iterator[Finding]:
    found = present.get(name)
    if found is None:
        yield Finding(f"{name} of the bridge {bridge.name} is gone")
    elif found.master != bridge.index:
        yield Finding(f"{name} has left the bridge {bridge.name}")


def _missing_peers(channel: Channel, index: int, link: NodeLink) -> Iterator[Finding]:
    parsed = (fdb.parse_peer(body, index) for body in channel.dump(fdb.get(index, link.vxlan_name)))
    present = {peer for peer in parsed if peer is not None}
    for peer in sorted(link.peers, key=int):
        if link.local is not None and peer.version == link.local.version and peer not in present | {link.local}:
            yield Finding(f"{link.vxlan_name} has lost its forwarding entry to {peer}")
