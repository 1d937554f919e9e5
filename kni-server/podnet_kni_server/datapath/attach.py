"""Attach and detach, step by step. Runs in the worker's thread.

Attach: (1) one batch on the node makes all links, already inside the Pod's namespace and with indices of our
choice; (2) one nftables transaction allows the addresses of guarded ports; (3) one batch inside sets up,
addresses and routes the links and reads them back. What exists is found by the kernel's refusal to make it
twice, so the usual case pays nothing for being idempotent.
"""

import contextlib
import errno
import fcntl
import random
import socket
import sys
from collections.abc import Callable, Iterable, Sequence

from podnet_kni_server.datapath import inet, links, observe, spoof
from podnet_kni_server.datapath.channel import NETFILTER, Channel, Request
from podnet_kni_server.datapath.errors import DatapathError, NetlinkError
from podnet_kni_server.datapath.model import Interface, Link, Observed
from podnet_kni_server.datapath.worker import Pod

_ATTEMPTS = 4
_SIOCGIFINDEX, _IFREQ_SIZE = 0x8933, 40
_DISABLE_IPV6 = "net/ipv6/conf/default/disable_ipv6"
_FIRST_INDEX, _INDEX_BITS = 1 << 20, 30
"""Indices that we choose; the kernel's own count up from 1."""


class _Taken(Exception):
    """A name or an index is in use already."""

    def __init__(self, error: NetlinkError) -> None:
        super().__init__(str(error))
        self.error = error


class Node:
    """The node's side: its channels, and who undoes what."""

    def __init__(self) -> None:
        self.route = Channel()
        self._plain = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._netfilter: Channel | None = None

    @property
    def netfilter(self) -> Channel:
        """The channel to nftables, made when first needed: a kernel may lack it."""
        if self._netfilter is None:
            self._netfilter = Channel(NETFILTER)
        return self._netfilter

    def index_of(self, name: str) -> int:
        """Index of a link of the node, like socket.if_nametoindex but on a socket that stays. Raises: OSError."""
        answer = fcntl.ioctl(self._plain, _SIOCGIFINDEX, name.encode().ljust(_IFREQ_SIZE, b"\0"))
        return int.from_bytes(answer[16:20], sys.byteorder)

    def close(self) -> None:
        """Give the sockets back."""
        self._plain.close()
        self.route.close()
        if self._netfilter is not None:
            self._netfilter.close()


def attach(node: Node, pod: Pod, wanted: Sequence[Link]) -> list[Observed]:
    """Make `wanted` in the Pod's namespace. See interface.Datapath.attach."""
    try:
        return _attach(node, pod, wanted)
    except NetlinkError as error:
        if error.errno != errno.EACCES or all(a.version == 4 for link in wanted for a in link.addresses):
            raise
    # Runtimes switch IPv6 off in a Pod's namespace when the cluster has none: a new link inherits that.
    former = pod.sysctl(_DISABLE_IPV6, "0")
    try:
        return _attach(node, pod, wanted)
    finally:
        pod.sysctl(_DISABLE_IPV6, former)


def _attach(node: Node, pod: Pod, wanted: Sequence[Link]) -> list[Observed]:
    todo = list(wanted)
    for _ in range(_ATTEMPTS):
        try:
            made = _make(node, pod, todo)
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


def _make(node: Node, pod: Pod, todo: list[Link]) -> list[Observed]:
    """Make all of `todo` or leave nothing. Raises: _Taken when something of that name or index exists."""
    undo: list[Callable[[], object]] = []
    try:
        indices = _make_links(node, pod, todo, undo)
        guarded = [link for link in todo if link.anti_spoof and link.kind == "veth"]
        if guarded:
            undo.append(lambda: release(node, guarded))
            node.netfilter.run(*spoof.guard(guarded))
        return _configure(pod.channel, todo, indices, undo)
    except BaseException:
        for step in reversed(undo):
            with contextlib.suppress(DatapathError):
                step()
        raise


def _make_links(
    node: Node, pod: Pod, todo: list[Link], undo: list[Callable[[], object]]
) -> list[int]:  # fmt: skip
    requests: list[Request] = []
    made: list[tuple[int, Channel, int, str]] = []  # place of the request, and how to delete what it makes
    indices: list[int] = []
    for link in todo:
        index = _draw()
        indices.append(index)
        master = _index_of(node, link.master, link)
        if link.kind == "veth":
            host = _draw()
            made.append((len(requests), node.route, host, link.host_name))
            requests.append(links.make_veth(link, host, index, master, pod.fd))
            if link.hairpin or link.isolated:
                requests.append(links.set_port(link, host))
        else:
            made.append((len(requests), pod.channel, index, link.name))
            requests.append(links.make_macvlan(link, index, master, pod.fd))
    answer = node.route.batch(requests)
    for place, channel, index, name in made:
        if place not in answer.errors:
            undo.append(_deletion(channel, index, name))
    for place, _, _, _ in made:
        error = answer.errors.get(place)
        if error is not None and error.errno in (errno.EEXIST, errno.EBUSY):
            raise _Taken(error)
    answer.check()
    return indices


def _draw() -> int:
    return _FIRST_INDEX + random.getrandbits(_INDEX_BITS)


def _deletion(channel: Channel, index: int, name: str) -> Callable[[], object]:
    return lambda: channel.batch([links.delete(index, name)])


def _index_of(node: Node, master: str, link: Link) -> int:
    try:
        return node.index_of(master)
    except OSError as error:
        raise DatapathError(f"cannot make {link.name}: the node has no link {master}") from error


def _configure(
    pod: Channel, todo: list[Link], indices: list[int], undo: list[Callable[[], object]]
) -> list[Observed]:  # fmt: skip
    requests: list[Request] = []
    for link, index in zip(todo, indices, strict=True):
        name, addresses = link.name, link.addresses
        requests.append(links.set_up(index, name))
        requests += [inet.add_address(index, name, address) for address in addresses]
        requests += [inet.add_route(index, name, route, addresses) for route in link.routes]
    if any(link.default_gateways for link in todo):
        requests += _replace_defaults(pod, todo, indices, undo)
    first_read = len(requests)
    requests += [links.get(index, link.name) for link, index in zip(todo, indices, strict=True)]
    requests.append(inet.get_addresses())
    answer = pod.batch(requests).check()
    addresses_at = len(requests) - 1
    found = observe.parse_addresses(
        (body for place, _, body in answer.data if place == addresses_at),
        known=(address for link in todo for address in link.addresses),
        only=indices,
    )
    made = [
        observe.put_together(observe.parse_link(body), found)
        for place, _, body in answer.data
        if first_read <= place < addresses_at
    ]
    for link, one in zip(todo, made, strict=True):
        observe.verify(link, one)
    return made


def _replace_defaults(
    pod: Channel, todo: list[Link], indices: list[int], undo: list[Callable[[], object]]
) -> list[Request]:  # fmt: skip
    """Default routes over the links, and away with those there are. What there was is kept for undoing."""
    requests: list[Request] = []
    versions: set[int] = set()
    for link, index in zip(todo, indices, strict=True):
        for gateway in link.default_gateways:
            requests.append(inet.default_route(index, link.name, gateway, link.addresses))
            versions.add(gateway.version)
    former: list[bytes] = []
    for version in sorted(versions):
        former += [body for body in pod.dump(inet.get_routes(version)) if inet.is_default(body)]
    if former:
        # First in the list of steps, so last to be undone: the new route must have gone with its link.
        undo.insert(0, lambda: pod.batch([inet.restore_route(body) for body in former]))
    requests += [inet.delete_route(body) for body in former if not inet.has_usual_metric(body)]
    return requests


def _clear(node: Node, pod: Channel, wanted: Sequence[Link], taken: NetlinkError) -> list[Link]:
    """What is left to make: links that are there as wanted are left out, ours that differ are removed."""
    present = observe.list_links(pod)
    addresses = observe.parse_addresses(pod.dump(inet.get_addresses()))
    on_node = observe.list_links(node.route)
    todo: list[Link] = []
    for link in wanted:
        found = present.get(link.name)
        host = on_node.get(link.host_name) if link.host_name else None
        if found is not None and found.group != links.GROUP_POD:
            raise taken
        if found is not None and _as_wanted(node, link, found, addresses, host, on_node):
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
    on_node: dict[str, observe.Seen],
) -> bool:
    if observe.difference(link, observe.put_together(found, addresses)):
        return False
    master = on_node.get(link.master)
    if master is None:
        return False
    if link.kind == "macvlan":
        return found.peer == master.index
    if host is None or found.peer != host.index or host.master != master.index or not host.up:
        return False
    if link.anti_spoof:
        if host.group != links.GROUP_GUARDED:
            return False
        node.netfilter.run(*spoof.guard([link]))
    return True


def release(node: Node, guarded: list[Link]) -> None:
    """Forget the elements of guarded ports. Without a table there are none."""
    answer = node.netfilter.batch(spoof.release(guarded))
    if answer.errors and not all(error.errno == errno.ENOENT for error in answer.errors.values()):
        answer.check()


def detach(node: Node, pod: Channel | None, unwanted: Sequence[Link]) -> None:
    """Remove links; `pod` is None when the namespace is gone, and all inside with it."""
    remove_hosts(node, [link.host_name for link in unwanted if link.kind == "veth"])
    if pod is not None:
        inside = [links.delete_named(link.name) for link in unwanted if link.kind == "macvlan"]
        _check_gone(pod.batch(inside).errors.values())
    guarded = [link for link in unwanted if link.anti_spoof and link.kind == "veth"]
    if guarded:
        release(node, guarded)


def remove_hosts(node: Node, names: Sequence[str]) -> None:
    """Delete host ends by name, whether they exist or not; more than one costs hardly more than one."""
    if len(names) == 1:
        _check_gone(node.route.batch([links.delete_named(names[0])]).errors.values())
    elif names:
        _check_gone(node.route.batch([links.doom(name) for name in names]).errors.values())
        _check_gone(node.route.batch([links.delete_doomed(names)]).errors.values())


def _check_gone(errors: Iterable[NetlinkError]) -> None:
    for error in errors:
        if error.errno != errno.ENODEV:
            raise error
