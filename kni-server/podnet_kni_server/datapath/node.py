"""What networks need on the node: bridges, VXLAN and VLAN devices, uplinks, gateways. Runs in the worker's thread.

ensure() may be called at any time and as often as one likes: it compares with the kernel and corrects. What
is ours carries GROUP_NODE; a bridge that somebody else made is used and never changed nor deleted.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence

from podnet_api import reasons

from podnet_kni_server.datapath import fdb, forward, inet, links, nat, netlink, observe, routing, spoof, vlans
from podnet_kni_server.datapath.channel import Channel
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import Interface, NodeLink, NodeLinkState
from podnet_kni_server.datapath.worker import sysctl

Present = dict[str, observe.Seen]
_OVERHEAD = {4: 50, 6: 70}
"""Bytes that VXLAN adds: outer Ethernet, IP, UDP and its own header."""
_USUAL_MTU = 1500
_LOOPBACK = "lo"
BRIDGING = ("bridge", "vxlan")
"""Kinds of NodeLink that have a bridge."""


def ensure(channel: Channel, wanted: Sequence[NodeLink], kinds: Mapping[str, str]) -> dict[str, NodeLinkState]:
    """See interface.Datapath.ensure_node; `kinds` is what Datapath.kinds answers, as far as links need it."""
    no_guard = _problem(spoof.install) if any(link.kind in BRIDGING for link in wanted) else None
    ways = {link.name for link in wanted if link.kind in BRIDGING}
    routed = any(link.kind == "routed" for link in wanted)
    no_way = _problem(lambda: forward.install(ways | forward.ROUTED if routed else ways))
    no_nat = _problem(lambda: nat.install(wanted))
    states: dict[str, NodeLinkState] = {}
    uses: dict[str, str] = {}
    for link in wanted:
        try:
            _check_kernel(link, kinds)
            _check_use(link, uses)
            mtu = _ensure_one(channel, link, _gateways(link.name, wanted))
            if link.anti_spoof and no_guard:
                raise no_guard
            if link.masquerade and no_nat:
                raise no_nat
            if link.kind in (*BRIDGING, "routed") and no_way:
                raise no_way
        except DatapathError as error:
            states[link.key] = NodeLinkState(False, error.reason, str(error))
        else:
            states[link.key] = NodeLinkState(True, reasons.READY, "", mtu)
    with contextlib.suppress(DatapathError):  # what cannot be removed now is tried again at the next call
        _remove_unwanted(channel, wanted)
    return states


def _check_kernel(link: NodeLink, kinds: Mapping[str, str]) -> None:
    lacking = [kinds[kind] for kind in link.needs if kinds.get(kind)]
    if lacking:
        raise DatapathError(f"cannot set up {link.name}: {', '.join(lacking)}", reasons.KERNEL_LACKS)


def _gateways(bridge: str, wanted: Sequence[NodeLink]) -> tuple[Interface, ...]:
    """Those of all networks of one bridge."""
    return tuple(dict.fromkeys(gateway for link in wanted if link.name == bridge for gateway in link.gateways))


def _check_use(link: NodeLink, uses: dict[str, str]) -> None:
    """Uplinks that are used already, by what is before `link` in the list. Two networks of one bridge share one."""
    name, use = (link.parent or link.uplink, link.name) if link.kind == "bridge" else (link.name, link.use)
    if link.parent or not name or not use:
        return
    if uses.setdefault(name, use) != use:
        raise DatapathError(f"cannot use {name} for {use}: another network uses it for {uses[name]}")


def _problem(step: Callable[[], None]) -> DatapathError | None:
    try:
        step()
    except DatapathError as error:
        return error
    return None


def _ensure_one(channel: Channel, link: NodeLink, gateways: tuple[Interface, ...]) -> int:
    """Set one network up and answer its MTU. Raises: DatapathError with the reason for its state."""
    present = observe.list_links(channel)
    if link.kind == "none":
        return link.mtu
    if link.kind == "routed":
        return _ensure_routed(link, present)
    if link.parent:
        return _ensure_vlan(channel, link, present)
    if link.kind == "uplink":
        return link.mtu or _running(present, link.name).mtu
    if link.kind == "vxlan":
        return _ensure_vxlan(channel, link, present)
    return _ensure_ports(channel, link, present, gateways)


def _ensure_ports(channel: Channel, link: NodeLink, present: Present, gateways: tuple[Interface, ...]) -> int:
    """The bridge, and its uplink as a port."""
    uplink = present.get(link.uplink) if link.uplink else None
    whole = dataclasses.replace(link, gateways=gateways)
    bridge, mtu = _ensure_bridge(channel, whole, present, uplink.mtu if uplink else _USUAL_MTU)
    if link.uplink:
        _enslave(channel, link, present, bridge)
    if link.vlan:
        vlans.ensure(channel, link, bridge, uplink.index if uplink else 0)
    return mtu


def _ensure_vlan(channel: Channel, link: NodeLink, present: Present) -> int:
    """The VLAN of an uplink, and the bridge over it."""
    device = vlans.device(channel, link, _running(present, link.parent), present)
    return _ensure_ports(channel, dataclasses.replace(link, uplink=device), observe.list_links(channel), ())


def _ensure_routed(link: NodeLink, present: Present) -> int:
    mtu = link.mtu or (_running(present, link.uplink).mtu if link.uplink else 0)
    routing.install(link.versions, link.uplink)
    return mtu


def _running(present: Present, name: str) -> observe.Seen:
    found = present.get(name)
    if found is None:
        raise DatapathError(f"cannot use the uplink {name}: the node has no such interface", reasons.UPLINK_MISSING)
    if not found.running:
        raise DatapathError(f"cannot use the uplink {name}: it is down or has no carrier", reasons.UPLINK_DOWN)
    return found


def _ensure_bridge(channel: Channel, link: NodeLink, present: Present, mtu: int) -> tuple[int, int]:
    """Index and MTU of the bridge."""
    found = present.get(link.name)
    if found is not None and found.kind != "bridge":
        raise DatapathError(f"cannot use {link.name} as a bridge: it is a {found.kind or 'physical interface'}")
    if found is None:
        # A bridge without a MAC address of its own takes the lowest of its ports, and changes it with them.
        # And one whose MTU nobody ever changed follows its ports' MTU: it is made with another, then corrected.
        own = netlink.attr(links.ADDRESS, _random_mac()), netlink.u32(links.MTU, (link.mtu or mtu) - 1)
        channel.run(links.make(link.name, "bridge", links.bridge_data(), *own))
        found = observe.list_links(channel)[link.name]
    if found.group != links.GROUP_NODE:
        channel.run(*([] if found.up else [links.set_up(found.index, found.name)]))
        _sync_addresses(channel, found, link.gateways, remove=False)
        return found.index, link.mtu or found.mtu
    _correct_bridge(channel, found, link, link.mtu or mtu)
    _sync_addresses(channel, found, link.gateways, remove=True)
    return found.index, link.mtu or mtu


def _correct_bridge(channel: Channel, found: observe.Seen, link: NodeLink, mtu: int) -> None:
    with contextlib.suppress(OSError):  # the node has no IPv6
        sysctl(f"net/ipv6/conf/{found.name}/accept_dad", "0")
    info = netlink.nested(
        links.LINKINFO,
        netlink.text(links.INFO_KIND, "bridge"),
        netlink.nested(links.INFO_DATA, links.bridge_data()),
    )
    parts = [info] if found.mtu == mtu else [info, netlink.u32(links.MTU, mtu)]
    if not link.gateways:
        parts.append(links.no_link_local())  # the node has no business on the network's wire
    channel.run(links.change(found.index, ("set up the bridge %s", found.name), *parts, up=True))


def _sync_addresses(channel: Channel, bridge: observe.Seen, wanted: Sequence[Interface], remove: bool) -> None:
    present = observe.parse_addresses(channel.dump(inet.get_addresses())).get(bridge.index, [])
    old = [address for address in present if address not in wanted] if remove else []
    new = [address for address in wanted if address not in present]
    channel.run(
        *(inet.delete_address(bridge.index, bridge.name, address) for address in old),
        *(inet.add_address(bridge.index, bridge.name, address) for address in new),
    )


def _enslave(channel: Channel, link: NodeLink, present: Present, bridge: int) -> None:
    """Make the uplink a port. One that carries addresses is refused: the node would lose them."""
    uplink = present.get(link.uplink)
    if uplink is not None and uplink.master != bridge:
        if uplink.master:
            raise DatapathError(f"cannot add {link.uplink} to {link.name}: it belongs to another link already")
        held = observe.parse_addresses(channel.dump(inet.get_addresses())).get(uplink.index, [])
        if held:
            words = ", ".join(str(address) for address in held)
            raise DatapathError(f"cannot add {link.uplink} to {link.name}: the node would lose its address {words}")
        what = ("add %s to %s", link.uplink, link.name)
        channel.run(links.change(uplink.index, what, netlink.u32(links.MASTER, bridge)))
    _running(present, link.uplink)


def _ensure_vxlan(channel: Channel, link: NodeLink, present: Present) -> int:
    if link.local is None:
        raise DatapathError(f"cannot make {link.vxlan_name}: the node's own address is not known")
    underlay = _underlay(channel, link, present)
    room = (_USUAL_MTU if underlay.name == _LOOPBACK else underlay.mtu) - _OVERHEAD[link.local.version]
    bridge, mtu = _ensure_bridge(channel, link, present, room)
    data = links.vxlan_data(link.vni, link.port, link.local)
    found = present.get(link.vxlan_name)
    if found is not None and not _same_vxlan(found, data):
        if found.group != links.GROUP_NODE:
            raise DatapathError(f"cannot make {link.vxlan_name}: another link has that name")
        channel.run(links.delete(found.index, found.name))
        found = None
    if found is None:
        channel.run(links.make(link.vxlan_name, "vxlan", data))
        found = observe.list_links(channel)[link.vxlan_name]
    parts = [links.no_link_local(), netlink.u32(links.MTU, mtu)]
    if found.master != bridge:
        parts.append(netlink.u32(links.MASTER, bridge))
    channel.run(links.change(found.index, ("set up %s on %s", link.vxlan_name, link.name), *parts, up=True))
    peers = {peer for peer in link.peers if peer.version == link.local.version and peer != link.local}
    fdb.sync(channel, found.index, found.name, peers)
    return mtu


def _underlay(channel: Channel, link: NodeLink, present: Present) -> observe.Seen:
    """The link that holds the node's own address."""
    addresses = observe.parse_addresses(channel.dump(inet.get_addresses()))
    for seen in present.values():
        if any(address.ip == link.local for address in addresses.get(seen.index, ())):
            return _running(present, seen.name)
    raise DatapathError(
        f"cannot make {link.vxlan_name}: no interface of the node has the address {link.local}", reasons.UPLINK_MISSING
    )


def _same_vxlan(found: observe.Seen, data: bytes) -> bool:
    if found.kind != "vxlan":
        return False
    has = netlink.attributes(found.data)
    return all(has.get(kind) == value for kind, value in netlink.attributes(data).items())


def _remove_unwanted(channel: Channel, wanted: Sequence[NodeLink]) -> None:
    """Delete bridges, VXLAN and VLAN devices of ours that no network needs; a bridge with Pods on it stays whole."""
    present = observe.list_links(channel)
    names = {name for link in wanted for name in link.names}
    busy = {port.master for port in present.values() if links.ours(port.name, port.group) or _of_container(port)}
    for link in present.values():
        unwanted = link.group == links.GROUP_NODE and link.name not in names
        if unwanted and link.index not in busy and (link.kind == "bridge" or link.master not in busy):
            channel.run(links.delete(link.index, link.name))
    vlans.remove_unwanted(channel, present, {(link.name, link.vlan) for link in wanted if link.kind == "bridge"})


def _of_container(port: observe.Seen) -> bool:
    """Whether a link has the name that CNI plugins and container engines give to the node's end of a veth: somebody
    else's containers may hang on a bridge that we made."""
    return port.kind == "veth" and port.name.startswith("veth")


def _random_mac() -> bytes:
    drawn = bytearray(os.urandom(6))
    drawn[0] = drawn[0] & 0xFC | 0x02  # unicast, locally administered
    return bytes(drawn)
