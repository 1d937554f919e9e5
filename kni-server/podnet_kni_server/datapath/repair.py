"""Looking after links that were attached: what differs is put right; addresses change in place. Runs in the worker's
thread.

Repairs are those of the common parts of a link (there, up, MTU, MAC, addresses, routes, port of its bridge, anti-spoof
elements); what belongs to a kind alone is left to its maker. What others added stays.
"""

import contextlib
import dataclasses
import errno
from collections.abc import Collection, Iterator, Sequence

from podnet_kni_server.datapath import attach, guest, inet, links, netlink, observe, spoof, whole
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.channel import Channel, Request
from podnet_kni_server.datapath.errors import DatapathError, NetlinkError
from podnet_kni_server.datapath.extras import looking
from podnet_kni_server.datapath.makers import MAKERS, routed
from podnet_kni_server.datapath.model import Checked, Finding, Interface, Link, Route
from podnet_kni_server.datapath.worker import Pod

_TEMPORARY, _DAD_FAILED, _DEPRECATED, _TENTATIVE = 0x01, 0x08, 0x20, 0x40
_UNSETTLED = {inet.AF_INET: _DEPRECATED, inet.AF_INET6: _TEMPORARY | _DAD_FAILED | _DEPRECATED | _TENTATIVE}
"""Flags of an address that is not, or no longer, one to be reached by. The bit of a temporary one means in IPv4 that it
is not the first of its subnet."""
_SCOPE_UNIVERSE = 0
_GUARDED = frozenset(("veth", "tap"))
"""Kinds with a port on a bridge that anti-spoofing looks at."""
_WITHOUT_LINK = frozenset(("userspace", "cni"))

_Route = tuple[int, str, int, str]
"""Of a route over one link: family, destination ("" for the default), its length, gateway or ""."""


@dataclasses.dataclass(frozen=True)
class _Scene:
    """What a Pod and its node have when it is looked at."""

    node: Node
    pod: Pod
    present: dict[str, observe.Seen]
    addresses: list[bytes]
    routes: dict[int, set[_Route]]

    def held(self, index: int) -> list[Interface]:
        """The addresses of a link."""
        return observe.parse_addresses(self.addresses).get(index, [])


@dataclasses.dataclass(frozen=True)
class _Repair:
    """Something to put right: by requests in the Pod, and then by requests on the node."""

    what: str
    inside: tuple[Request, ...] = ()
    on_node: tuple[Request, ...] = ()


def check(node: Node, pod: Pod, wanted: Sequence[Link]) -> Checked:
    """See interface.Datapath.check."""
    scene = _look(node, pod)
    findings: list[Finding] = []
    outside: dict[str, tuple[Interface, ...]] = {}
    for link in looking.settled(wanted):
        if link.kind in _WITHOUT_LINK:
            continue
        found = scene.present.get(link.name)
        if found is None:
            findings += _made_anew(scene, link)
            continue
        here = [_carried_out(scene, repair) for repair in _repairs(scene, guest.own(link), found)]
        here += [*_guarded(scene, link), *_by_maker(scene, link, found)]
        findings += [*here, *(looking.put_again if here else looking.look)(node, pod, link)]
        outside[link.name] = _from_outside(scene, link, found.index)
    return Checked(tuple(findings), {name: found for name, found in outside.items() if found})


def _by_maker(scene: _Scene, link: Link, found: observe.Seen) -> Iterator[Finding]:
    """What belongs to a kind alone. Its maker corrects what the node has for it, too."""
    maker = MAKERS.get(link.kind)
    if maker is None or link.kind in whole.BATCH or found.master in _bonds(scene):
        return
    own = [name for name in (link.host_name, link.master) if name]
    stood = maker.fits(link, found, observe.find_links(scene.node.route, own))
    try:
        stood = stood and maker.make(scene.node, scene.pod, link) == found.index
        if not stood:
            whole.attach_all(scene.node, scene.pod, [link])
    except (DatapathError, OSError) as error:
        yield Finding(f"{link.name} is not as it was made", False, str(error))
    else:
        if not stood:
            yield Finding(f"{link.name} was not as it was made")


def _bonds(scene: _Scene) -> set[int]:
    return {one.index for one in scene.present.values() if one.kind == "bond"}


def _look(node: Node, pod: Pod) -> _Scene:
    # All at once: the Pod has few links, and what stands upon them (a bond, a bridge) is looked at, too.
    present = observe.list_links(pod.channel)
    addresses = pod.channel.dump(inet.get_addresses())
    routes: dict[int, set[_Route]] = {}
    for version in (4, 6):
        with contextlib.suppress(NetlinkError):  # a kernel without IPv6
            for body in filter(inet.is_main, pod.channel.dump(inet.get_routes(version))):
                family, index, destination, length, gateway = inet.parse_route(body)
                routes.setdefault(index, set()).add((family, destination, length, str(gateway or "")))
    return _Scene(node, pod, present, addresses, routes)


def _made_anew(scene: _Scene, link: Link) -> Iterator[Finding]:
    """A device that a program in the Pod drives has no link, then as before."""
    try:
        whole.attach_all(scene.node, scene.pod, [link])
    except (DatapathError, OSError) as error:
        yield Finding(f"{link.name} is gone", False, str(error))
    else:
        if observe.find_link(scene.pod.channel, link.name) is not None:
            yield Finding(f"{link.name} was gone")


def _carried_out(scene: _Scene, repair: _Repair) -> Finding:
    try:
        _run(scene.pod.channel, repair.inside)
        _run(scene.node.route, repair.on_node)
    except DatapathError as error:
        return Finding(repair.what, False, str(error))
    return Finding(repair.what)


def _run(channel: Channel, requests: Sequence[Request]) -> None:
    """What is there already is as wanted."""
    for error in channel.batch(requests).errors.values():
        if error.errno != errno.EEXIST:
            raise error


def _repairs(scene: _Scene, link: Link, found: observe.Seen) -> Iterator[_Repair]:
    """In the order in which they must be done: a link that is down takes no route."""
    index, name = found.index, link.name
    if not found.up:
        yield _Repair(f"{name} was down", (links.set_up(index, name),))
    alone = not found.master  # a bond or a bridge in the Pod decides for its parts
    if alone and link.mtu and found.mtu != link.mtu:
        what = ("set the MTU of %s", name)
        yield _Repair(f"{name} had MTU {found.mtu}", (links.change(index, what, netlink.u32(links.MTU, link.mtu)),))
    own_mac = link.mac and link.kind in whole.BATCH and link.mode != "passthru"  # there it is the uplink's
    if alone and own_mac and found.mac != link.mac.lower():
        own = netlink.attr(links.ADDRESS, links.mac_bytes(link.mac))
        yield _Repair(f"{name} had MAC {found.mac}", (links.change(index, ("set the MAC of %s", name), own),))
    held = scene.held(index)
    for address in link.addresses:
        if address not in held:
            yield _Repair(f"{name} had lost its address {address}", (inet.add_address(index, name, address),))
    yield from _route_repairs(scene, link, index)
    if link.kind == "veth":
        yield from _port_repairs(scene, link, found)


def _route_repairs(scene: _Scene, link: Link, index: int) -> Iterator[_Repair]:
    there = scene.routes.get(index, set())
    for route in link.routes:
        if _as_read(route) not in there:
            request = inet.add_route(index, link.name, route, link.addresses)
            if route.destination.version == 4:  # another link of the Pod may have a route to the same subnet
                request = request._replace(flags=netlink.REQUEST | netlink.CREATE | netlink.APPEND)
            yield _Repair(f"{link.name} had lost its route to {route.destination}", (request,))
    for gateway in link.default_gateways:
        if (inet.family(gateway.version), "", 0, str(gateway)) not in there:
            request = inet.default_route(index, link.name, gateway, link.addresses)
            yield _Repair(f"{link.name} had lost the default route through {gateway}", (request,))


def _as_read(route: Route) -> _Route:
    destination = route.destination
    text = str(destination.network_address) if destination.prefixlen else ""
    return inet.family(destination.version), text, destination.prefixlen, str(route.gateway or "")


def _port_repairs(scene: _Scene, link: Link, found: observe.Seen) -> Iterator[_Repair]:
    """The host end, by the name that it should have: an index may be another link's by now."""
    host = _host(scene, link)
    if host is None or host.index != found.peer:
        return
    master = scene.node.index_of(link.master) if _exists(scene, link.master) else 0
    if master and host.master != master:
        join = links.change(host.index, ("add %s to %s", host.name, link.master), netlink.u32(links.MASTER, master))
        wanted = _as_port(link)
        port = (links.set_port(wanted, host.index),) if wanted.hairpin or wanted.isolated else ()
        yield _Repair(f"{link.name} had left the bridge {link.master}", (), (join, *port))
    elif master and (wrong := _settings(link, host)):
        yield _Repair(f"the port of {link.name} {wrong}", (), (links.set_port(_as_port(link), host.index),))
    group = links.GROUP_GUARDED if link.anti_spoof else links.GROUP_PORT
    if host.group != group:
        own = links.change(host.index, ("set the group of %s", host.name), netlink.u32(links.GROUP, group))
        yield _Repair(f"the host end of {link.name} had another group", (), (own,))
    if not host.up:
        yield _Repair(f"the host end of {link.name} was down", (), (links.set_up(host.index, host.name),))


def _as_port(link: Link) -> Link:
    """Ports of the node lead back to the Pod itself (extras.ports)."""
    return dataclasses.replace(link, hairpin=link.hairpin or bool(link.extras and link.extras.ports))


def _settings(link: Link, host: observe.Seen) -> str:
    """What of a bridge port's settings is not as wanted."""
    wanted, (hairpin, isolated) = _as_port(link), links.port_of(host.slave)
    words = ["had another hairpin mode"] if hairpin != wanted.hairpin else []
    return " and ".join([*words, "had another isolation"] if isolated != link.isolated else words)


def _host(scene: _Scene, link: Link) -> observe.Seen | None:
    try:
        index = scene.node.index_of(link.host_name)
    except OSError:
        return None
    data = scene.node.route.batch([links.get(index, link.host_name)]).data
    return observe.parse_link(data[0][2]) if data else None


def _exists(scene: _Scene, name: str) -> bool:
    try:
        return scene.node.index_of(name) > 0
    except OSError:
        return False


def _guarded(scene: _Scene, link: Link) -> Iterator[Finding]:
    if not link.anti_spoof or link.kind not in _GUARDED:
        return
    answer = scene.node.netfilter.batch(spoof.present(link))
    if not answer.errors:
        return
    what = f"{link.name} had lost its entries of the anti-spoofing sets"
    try:
        attach.guard(scene.node, spoof.guard([link]))
    except DatapathError as error:
        yield Finding(what, False, str(error))
    else:
        yield Finding(what)


def _from_outside(scene: _Scene, link: Link, index: int) -> tuple[Interface, ...]:
    found: list[Interface] = []
    for body in scene.addresses:
        settled = not body[2] & _UNSETTLED.get(body[0], 0) and body[3] == _SCOPE_UNIVERSE
        address = inet.parse_address(body) if settled and inet.link_of_address(body) == index else None
        if address is not None and address not in link.addresses:
            found.append(address)
    return tuple(sorted(found, key=lambda one: (one.version, int(one))))


def readdress(node: Node, pod: Pod, link: Link, leaving: Collection[Interface]) -> None:
    """See interface.Datapath.readdress. What leaves goes first: the kernel takes every secondary address along with
    its primary, so that whatever is to stay is added again."""
    found = observe.find_link(pod.channel, link.name)
    if found is None and _is_driven_by_a_program(node, link):
        return  # which has the addresses, too: they are told
    if found is None:
        raise DatapathError(f"cannot change the addresses of {link.name}: it is gone")
    guarded = link.anti_spoof and link.kind in _GUARDED
    if guarded and leaving:
        attach.release(node, [dataclasses.replace(link, addresses=tuple(leaving))])
    if guarded:
        attach.guard(node, spoof.guard([link]))
    if link.kind == "routed":
        routed.move(node, link, leaving)
    link = guest.own(link)
    index, name = found.index, link.name
    if any(address.version == 6 for address in link.addresses):
        pod.sysctl(f"net/ipv6/conf/{name}/disable_ipv6", "0")  # switched off where the cluster has no IPv6
    whole.remove_extras(node, pod, dataclasses.replace(link, addresses=tuple(leaving)))
    gone = pod.channel.batch([inet.delete_address(index, name, address) for address in leaving])
    for error in gone.errors.values():
        if error.errno != errno.EADDRNOTAVAIL:
            raise error
    _run(pod.channel, [inet.add_address(index, name, address) for address in link.addresses])
    routes = [inet.add_route(index, name, route, link.addresses) for route in link.routes]
    routes += [inet.default_route(index, name, gateway, link.addresses) for gateway in link.default_gateways]
    _run(pod.channel, routes)
    whole.apply_extras(node, pod, link)


def _is_driven_by_a_program(node: Node, link: Link) -> bool:
    lent = node.lent.get(link.host_name) if link.kind == "sriov" else None
    return lent is not None and not lent.name


def defaults(pod: Pod) -> list[str]:
    """See interface.Datapath.defaults."""
    bodies = [body for version in (4, 6) for body in pod.channel.dump(inet.get_routes(version))]
    return [body.hex() for body in bodies if inet.is_default(body)]


def restore_defaults(pod: Pod, routes: Sequence[str]) -> None:
    """See interface.Datapath.restore_defaults."""
    there = {bytes.fromhex(one)[0] for one in defaults(pod)}
    bodies = [bytes.fromhex(one) for one in routes]
    pod.channel.batch([inet.restore_route(body) for body in bodies if body[0] not in there])
