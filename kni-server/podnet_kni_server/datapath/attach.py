"""Attach and detach, step by step. Runs in the worker's thread.

Attach: (1) one batch on the node makes all links, already inside the Pod's namespace and with indices of our
choice; (2) one nftables transaction allows the addresses of guarded ports; (3) one batch inside sets up,
addresses and routes the links and reads them back. What exists is found by the kernel's refusal to make it
twice, so the usual case pays nothing for being idempotent.
"""

import contextlib
import dataclasses
import errno
import fcntl
import socket
import struct
from collections.abc import Callable, Iterable, Sequence

from podnet_kni_server import faultpoints
from podnet_kni_server.datapath import inet, links, observe, spoof, usual
from podnet_kni_server.datapath.channel import NETFILTER, Answer, Channel, Request, answer_of
from podnet_kni_server.datapath.errors import DatapathError, NetlinkError
from podnet_kni_server.datapath.lent import Ledger
from podnet_kni_server.datapath.model import Address, Interface, Link, Observed
from podnet_kni_server.datapath.prepare import Prepared, prepare
from podnet_kni_server.datapath.worker import Pod

_ATTEMPTS = 4
_SIOCGIFMTU, _SIOCGIFINDEX = 0x8921, 0x8933
_IFREQ = struct.Struct("=16si20x")
_DISABLE_IPV6 = "net/ipv6/conf/default/disable_ipv6"


class _Taken(Exception):
    """A name or an index is in use already."""

    def __init__(self, error: NetlinkError) -> None:
        super().__init__(str(error))
        self.error = error


class Node:
    """The node's side: its channels, and which of its devices Pods have."""

    def __init__(self, lent: Ledger | None = None) -> None:
        self.route = Channel()
        self.lent = lent or Ledger()
        self._plain = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._netfilter: Channel | None = None
        self.made = 0
        """Links made in batches since the start."""

    @property
    def netfilter(self) -> Channel:
        """The channel to nftables, made when first needed: a kernel may lack it."""
        if self._netfilter is None:
            self._netfilter = Channel(NETFILTER)
        return self._netfilter

    def index_of(self, name: str) -> int:
        """Index of a link of the node, like socket.if_nametoindex but on a socket that stays. Raises: OSError."""
        return self._ask(_SIOCGIFINDEX, name)

    def mtu_of(self, name: str) -> int:
        """MTU of a link of the node. Raises: OSError."""
        return self._ask(_SIOCGIFMTU, name)

    def _ask(self, question: int, name: str) -> int:
        number: int = _IFREQ.unpack(fcntl.ioctl(self._plain, question, _IFREQ.pack(name.encode(), 0)))[1]
        return number

    def close(self) -> None:
        """Give the sockets back."""
        self._plain.close()
        self.route.close()
        if self._netfilter is not None:
            self._netfilter.close()


_Way = Callable[[Node, Pod, list[Link], list[Callable[[], object]]], list[Observed]]
"""How links are made; the last argument collects what undoes it."""


def attach(node: Node, pod: Pod, wanted: Sequence[Link]) -> list[Observed]:
    """Make `wanted` in the Pod's namespace. See interface.Datapath.attach."""
    fits = usual.fits(wanted)
    if not fits and any(not link.mtu for link in wanted):
        wanted = [link if link.mtu else dataclasses.replace(link, mtu=_mtu_of(node, link)) for link in wanted]
    try:
        return _attach(node, pod, wanted, fits)
    except NetlinkError as error:
        if error.errno != errno.EACCES or all(a.version == 4 for link in wanted for a in link.addresses):
            raise
    # Runtimes switch IPv6 off in a Pod's namespace when the cluster has none: a new link inherits that.
    former = pod.sysctl(_DISABLE_IPV6, "0")
    try:
        return _attach(node, pod, wanted, fits)
    finally:
        pod.sysctl(_DISABLE_IPV6, former)


def _attach(node: Node, pod: Pod, wanted: Sequence[Link], fits: bool) -> list[Observed]:
    todo = list(wanted)
    for _ in range(_ATTEMPTS):
        try:
            made = _make(node, pod, todo, _make_usual if fits and todo else _make_any)
        except _Taken as taken:
            todo = _clear(node, pod.channel, wanted, taken.error)
            continue
        if len(todo) == len(wanted):
            return made
        return _in_order(wanted, observe.read(pod.channel, {link.name for link in wanted}))
    raise DatapathError(f"cannot make {todo[0].name}: no free interface index in {_ATTEMPTS} attempts")


def _in_order(wanted: Sequence[Link], found: list[Observed]) -> list[Observed]:
    by_name = {one.name: one for one in found}
    return [by_name[link.name] for link in wanted]


def _make(node: Node, pod: Pod, todo: list[Link], way: _Way) -> list[Observed]:
    """Make all of `todo` or leave nothing. Raises: _Taken when something of that name or index exists."""
    undo: list[Callable[[], object]] = []
    try:
        observed = way(node, pod, todo, undo)
        node.made += len(todo)
        return observed
    except BaseException:  # whatever it was, and cancellation: what was made goes
        for step in reversed(undo):
            with contextlib.suppress(DatapathError):
                step()
        raise


def _make_usual(node: Node, pod: Pod, todo: list[Link], undo: list[Callable[[], object]]) -> list[Observed]:
    """The same as _make_any in a third of the time, see usual.py."""
    indices = usual.draw(len(todo))
    masters = [_index_of(node, link) for link in todo]
    first = node.route.sequence
    packed = usual.pairs(todo, indices, masters, pod.fd, first)
    told, fine = node.route.carry_out(packed, first + len(todo) - 1)
    if fine:
        undo.append(lambda: node.route.batch([links.delete(host, "") for host, _ in indices]))
    else:
        ways = zip(todo, indices, masters, strict=True)
        requests = [links.make_veth(link, *own, master, pod.fd) for link, own, master in ways]
        made = [(at, True, indices[at][0], link.host_name) for at, link in enumerate(todo)]
        _check_made(node, pod, answer_of(requests, told, first), made, undo)
    guarded = [link for link in todo if link.anti_spoof]
    _guard(node, guarded, spoof.guard(guarded) if guarded else [], undo)
    return _set_up_usual(pod.channel, todo, indices)


def _set_up_usual(inside: Channel, todo: list[Link], indices: list[usual.Indices]) -> list[Observed]:
    first = inside.sequence
    told, fine = inside.carry_out(*usual.settings(todo, indices, first))
    if fine and usual.as_wanted(todo, indices, told):
        return [
            Observed(link.name, link.mac.lower(), link.mtu, True, link.addresses, index, link.kind, host)
            for link, (host, index) in zip(todo, indices, strict=True)
        ]
    prepared = prepare(todo, indices)
    batch = [*prepared.settings, *prepared.reads]
    return _read_back(answer_of(batch, told, first).check(), len(batch), prepared)


def _make_any(node: Node, pod: Pod, todo: list[Link], undo: list[Callable[[], object]]) -> list[Observed]:
    prepared = prepare(todo)
    _make_links(node, pod, prepared, undo)
    _guard(node, prepared.guarded, prepared.guard, undo)
    batch = [*prepared.settings, *_replace_defaults(pod, prepared, undo), *prepared.reads]
    return _read_back(pod.channel.batch(batch).check(), len(batch), prepared)


def _guard(node: Node, guarded: list[Link], transaction: list[Request], undo: list[Callable[[], object]]) -> None:
    faultpoints.reached("kernel.linked")
    if not transaction:
        return
    undo.append(lambda: release(node, guarded))
    guard(node, transaction)
    faultpoints.reached("kernel.guarded")


def _make_links(node: Node, pod: Pod, prepared: Prepared, undo: list[Callable[[], object]]) -> None:
    requests: list[Request] = []
    made: list[tuple[int, bool, int, str]] = []  # place of the request; on the node or inside; what it makes
    for at, (link, (host, index)) in enumerate(zip(prepared.todo, prepared.indices, strict=True)):
        master = _index_of(node, link)
        if link.kind == "veth":
            made.append((len(requests), True, host, link.host_name))
            requests.append(links.make_veth(link, host, index, master, pod.fd))
            if link.hairpin or link.isolated:
                requests.append(links.set_port(link, host))
            if link.vlan:
                requests += links.set_vlan(link, host)
        else:
            prepared.indices[at] = (master, index)
            made.append((len(requests), False, index, link.name))
            requests.append(links.make_macvlan(link, index, master, pod.fd))
    _check_made(node, pod, node.route.batch(requests), made, undo)


def _check_made(
    node: Node, pod: Pod, answer: Answer, made: Sequence[tuple[int, bool, int, str]], undo: list[Callable[[], object]]
) -> None:
    for place, on_node, index, name in made:
        if place not in answer.errors:
            undo.append(_deletion(node, pod, on_node, index, name))
    if answer.errors:
        for place, _, _, _ in made:
            error = answer.errors.get(place)
            if error is not None and error.errno in (errno.EEXIST, errno.EBUSY):
                raise _Taken(error)
        answer.check()


def _deletion(node: Node, pod: Pod, on_node: bool, index: int, name: str) -> Callable[[], object]:
    return lambda: (node.route if on_node else pod.channel).batch([links.delete(index, name)])


def _index_of(node: Node, link: Link) -> int:
    try:
        return node.index_of(link.master)
    except OSError as error:
        raise DatapathError(f"cannot make {link.name}: the node has no link {link.master}") from error


def _mtu_of(node: Node, link: Link) -> int:
    try:
        return node.mtu_of(link.master)
    except OSError as error:
        raise DatapathError(f"cannot make {link.name}: the node has no link {link.master}") from error


def _replace_defaults(pod: Pod, prepared: Prepared, undo: list[Callable[[], object]]) -> list[Request]:
    pairs = zip(prepared.todo, prepared.indices, strict=True)
    return replace_defaults(pod, [(index, link, g) for link, (_, index) in pairs for g in link.default_gateways], undo)


def replace_defaults(
    pod: Pod, wanted: Sequence[tuple[int, Link, Address]], undo: list[Callable[[], object]]
) -> list[Request]:
    """Default routes over the links with these indices, and away with those there are. What there was is kept
    for undoing."""
    requests = [inet.default_route(index, link.name, gateway, link.addresses) for index, link, gateway in wanted]
    former: list[bytes] = []
    for version in sorted({gateway.version for _, _, gateway in wanted}):
        former += [body for body in pod.channel.dump(inet.get_routes(version)) if inet.is_default(body)]
    if former:
        # First in the list of steps, so last to be undone: the new route must have gone with its link.
        undo.insert(0, lambda: pod.channel.batch([inet.restore_route(body) for body in former]))
    return requests + [inet.delete_route(body) for body in former if not inet.has_usual_metric(body)]


def guard(node: Node, transaction: list[Request]) -> None:
    """Carry out a transaction of anti-spoofing."""
    try:
        node.netfilter.run(*transaction)
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise
        spoof.install()  # somebody flushed the node's rules
        node.netfilter.run(*transaction)


def _read_back(answer: Answer, size: int, prepared: Prepared) -> list[Observed]:
    """What the kernel tells at the end of the batch of `size` messages. Raises: when it is not what was wanted."""
    first_read, last = size - len(prepared.reads), size - 1
    bodies = [body for place, _, body in answer.data if first_read <= place < last]
    addresses = [body for place, _, body in answer.data if place == last]
    return [
        observe.confirm(link, index, lower, body, addresses)
        for link, (lower, index), body in zip(prepared.todo, prepared.indices, bodies, strict=True)
    ]


def _clear(node: Node, pod: Channel, wanted: Sequence[Link], taken: NetlinkError) -> list[Link]:
    """What is left to make: links that are there as wanted are left out, ours that differ are removed."""
    present = observe.list_links(pod)
    addresses = observe.parse_addresses(pod.dump(inet.get_addresses()))
    on_node = observe.find_links(node.route, [link.host_name for link in wanted if link.host_name])
    todo: list[Link] = []
    for link in wanted:
        found = present.get(link.name)
        host = on_node.get(link.host_name) if link.host_name else None
        if found is not None and found.group != links.GROUP_POD:
            raise taken
        if found is not None and _as_wanted(node, link, found, addresses, host):
            continue
        if found is not None:
            pod.batch([links.delete(found.index, link.name)])
        elif host is not None:
            if not links.ours(host.name, host.group):
                raise taken
            node.route.batch([links.delete(host.index, host.name)])
        todo.append(link)
    return todo


def _as_wanted(
    node: Node,
    link: Link,
    found: observe.Seen,
    addresses: dict[int, list[Interface]],
    host: observe.Seen | None,
) -> bool:
    if observe.difference(link, observe.put_together(found, addresses)):
        return False
    try:
        master = node.index_of(link.master)
    except OSError:
        return False
    if link.kind == "macvlan":
        return found.peer == master
    if host is None or found.peer != host.index or host.master != master or not host.up:
        return False
    if link.vlan and vlans_of(node, host.index) != {link.vlan: links.ACCESS_VLAN}:
        return False
    if link.anti_spoof:
        if host.group != links.GROUP_GUARDED:
            return False
        guard(node, spoof.guard([link]))
    return True


def vlans_of(node: Node, index: int) -> dict[int, int]:
    """The VLANs of a port on the node, with their flags."""
    return dict(links.parse_vlans(body) for body in node.route.dump(links.get_vlans())).get(index, {})


def release(node: Node, guarded: list[Link]) -> None:
    """Forget the elements of guarded ports. Without a table there are none."""
    answer = node.netfilter.batch(spoof.release(guarded))
    if answer.errors and not all(error.errno == errno.ENOENT for error in answer.errors.values()):
        answer.check()


def detach(node: Node, pod: Channel | None, unwanted: Sequence[Link]) -> None:
    """Remove links; `pod` is None when the namespace is gone, and all inside with it."""
    remove_hosts(node, [link.host_name for link in unwanted if link.kind == "veth"])
    faultpoints.reached("kernel.unlinked")
    if pod is not None:
        inside = [links.delete_named(link.name) for link in unwanted if link.kind == "macvlan"]
        check_gone(pod.batch(inside).errors.values())
    guarded = [link for link in unwanted if link.anti_spoof and link.kind == "veth"]
    if guarded:
        release(node, guarded)


def remove_hosts(node: Node, names: Sequence[str]) -> None:
    """Delete host ends by name, whether they exist or not; more than one costs hardly more than one."""
    if len(names) == 1:
        check_gone(node.route.batch([links.delete_named(names[0])]).errors.values())
    elif names:
        check_gone(node.route.batch([links.doom(name) for name in names]).errors.values())
        check_gone(node.route.batch([links.delete_doomed(names)]).errors.values())


def check_gone(errors: Iterable[NetlinkError]) -> None:
    """Raises: the first of `errors`, of deleting links, that says more than that there is no such link."""
    for error in errors:
        if error.errno != errno.ENODEV:
            raise error
