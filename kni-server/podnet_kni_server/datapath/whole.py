"""All links of a Pod, of whatever kind, in the order of its list; all or none. Runs in the worker's thread.

Links of the batch kinds that follow each other are made together by attach.py: the usual Pod has nothing
else, and pays nothing for the rest of this module. Any other kind is made by its maker and then set up
here; extras come last, when every link stands. A link that is under a bond already has the bond's MAC address
and MTU: it is left as it is.
"""

import contextlib
import dataclasses
import errno
import functools
import itertools
import os
from collections.abc import Callable, Iterator, Sequence

from podnet_kni_server.datapath import attach, chardev, guest, inet, links, observe
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.extras import EXTRAS
from podnet_kni_server.datapath.makers import MAKERS
from podnet_kni_server.datapath.makers.maker import Maker
from podnet_kni_server.datapath.model import Link, Observed
from podnet_kni_server.datapath.worker import Pod
from podnet_kni_server.details import UserspaceDetail

BATCH = frozenset(("veth", "macvlan"))
"""Kinds that attach.py makes."""
_PASSTHRU = "passthru"


@dataclasses.dataclass(frozen=True)
class _Made:
    """An attach under way: where, which links were there before it began, and how to undo the others."""

    node: Node
    pod: Pod
    before: frozenset[str]
    bonded: dict[str, observe.Seen] = dataclasses.field(default_factory=dict)
    undo: list[Callable[[], object]] = dataclasses.field(default_factory=list)

    def is_new(self, link: Link) -> bool:
        """Whether this call makes the link: one that was there is not taken away when a later one fails."""
        return link.name not in self.before


def attach_all(node: Node, pod: Pod, wanted: Sequence[Link]) -> list[Observed]:
    """See interface.Datapath.attach."""
    if all(_in_batch(link) and link.extras is None for link in wanted):
        return attach.attach(node, pod, wanted)
    present = observe.list_links(pod.channel)
    made = _Made(node, pod, frozenset(_there(wanted, present)), _bonded(present))
    try:
        observed = [one for group in _groups(wanted) for one in _attach_group(made, group)]
        for link in wanted:
            _apply_extras(made, link)
        return observed
    except BaseException:  # whatever it was, and cancellation: what was made goes
        for step in reversed(made.undo):
            with contextlib.suppress(DatapathError):
                step()
        raise


def _in_batch(link: Link) -> bool:
    # Of a macvlan in mode passthru the kernel says "invalid" when there is one already, as of much else.
    return link.kind in BATCH and link.mode != _PASSTHRU


def _there(wanted: Sequence[Link], present: dict[str, observe.Seen]) -> Iterator[str]:
    for link in wanted:
        shared = isinstance(link.detail, UserspaceDetail) and os.path.exists(link.detail.directory)
        if shared or link.name in present:
            yield link.name


def _bonded(present: dict[str, observe.Seen]) -> dict[str, observe.Seen]:
    """Links of ours that are under a bond of ours."""
    own = [one for one in present.values() if one.group == links.GROUP_POD]
    bonds = {one.index for one in own if one.kind == "bond"}
    return {one.name: one for one in own if one.master in bonds}


def _groups(wanted: Sequence[Link]) -> Iterator[list[Link]]:
    """Runs of links that are made together."""
    for batch, run in itertools.groupby(wanted, _in_batch):
        if batch:
            yield list(run)
        else:
            yield from ([link] for link in run)


def _attach_group(made: _Made, group: list[Link]) -> list[Observed]:
    if not _in_batch(group[0]):
        return [_attach_one(made, group[0])]
    todo = [link for link in group if link.name not in made.bonded]
    found = {one.name: one for one in attach.attach(made.node, made.pod, todo)} if todo else {}
    new = [link for link in todo if made.is_new(link)]
    made.undo.append(lambda: attach.detach(made.node, made.pod.channel, new))
    return [found.get(link.name) or _under_bond(made, link) for link in group]


def _under_bond(made: _Made, link: Link) -> Observed:
    """As it is without the bond."""
    found = observe.put_together(made.bonded[link.name], {})
    return dataclasses.replace(found, mac=link.mac or found.mac, mtu=link.mtu or found.mtu)


def _attach_one(made: _Made, link: Link) -> Observed:
    if link.name in made.bonded:
        return _under_bond(made, link)
    maker = _maker(link)
    link = guest.chosen(link)
    if made.is_new(link):
        made.undo.append(lambda: maker.remove(made.node, made.pod, link))
    index = maker.make(made.node, made.pod, link)
    if not index:
        return Observed(link.name, link.mac, link.mtu, True, link.addresses, kind=link.kind)
    own = guest.own(link)
    _settle(made, own, index)
    found = guest.reported(link, _read_back(made.pod, own, maker))
    return dataclasses.replace(found, device=chardev.device(made.pod, link, index))


def _maker(link: Link) -> Maker:
    found = MAKERS.get(link.kind)
    if found is None:
        raise DatapathError(f"cannot make {link.name}: this version makes no {link.kind}")
    return found


def _settle(made: _Made, link: Link, index: int) -> None:
    """Set a link up that is there: addresses, routes, default routes. What it has already stays."""
    pod = made.pod
    _address(pod, link, index)
    routes = [inet.add_route(index, link.name, route, link.addresses) for route in link.routes]
    defaults = attach.replace_defaults(pod, [(index, link, gateway) for gateway in link.default_gateways], made.undo)
    for error in pod.channel.batch(routes).errors.values():
        if error.errno != errno.EEXIST:
            raise error
    pod.channel.run(*defaults)


def _address(pod: Pod, link: Link, index: int) -> None:
    held = observe.parse_addresses(pod.channel.dump(inet.get_addresses())).get(index, [])
    first = [links.set_up(index, link.name)]
    first += [inet.add_address(index, link.name, a) for a in link.addresses if a not in held]
    answer = pod.channel.batch(first)
    if any(error.errno == errno.EACCES for error in answer.errors.values()):
        # Runtimes switch IPv6 off in a Pod's namespace when the cluster has none.
        pod.sysctl(f"net/ipv6/conf/{link.name}/disable_ipv6", "0")
        answer = pod.channel.batch([first[place] for place in sorted(answer.errors)])
    answer.check()


def _read_back(pod: Pod, link: Link, maker: Maker) -> Observed:
    found = observe.read(pod.channel, {link.name})
    words = _difference(link, maker, found)
    if words:
        raise DatapathError(f"cannot verify {link.name}: {words}")
    return found[0]


def _difference(link: Link, maker: Maker, found: Sequence[Observed]) -> str:
    if not found:
        return "it is gone"
    one = found[0]
    if maker.kernel_kind not in ("*", one.kind):
        return f"it is a {one.kind or 'physical link'}"
    return observe.state_difference(link, one)


def _apply_extras(made: _Made, link: Link) -> None:
    if link.extras is None:
        return
    for extra in EXTRAS:
        if made.is_new(link):
            made.undo.append(functools.partial(extra.remove, made.node, made.pod, link))
        extra.apply(made.node, made.pod, link)


def apply_extras(node: Node, pod: Pod, link: Link) -> None:
    """Have the extras of a link that stands."""
    for extra in EXTRAS if link.extras else ():
        extra.apply(node, pod, link)


def remove_extras(node: Node, pod: Pod, link: Link) -> None:
    """Take the extras of a link away, as far as they outlive it."""
    for extra in reversed(EXTRAS) if link.extras else ():
        extra.remove(node, pod, link)


def detach_all(node: Node, pod: Pod | None, unwanted: Sequence[Link]) -> None:
    """See interface.Datapath.detach: in reverse, and to the end; then the first failure is raised."""
    failures: list[DatapathError] = []
    for link in reversed(unwanted):
        steps = [extra.remove for extra in reversed(EXTRAS)] if link.extras else []
        steps += [] if _in_batch(link) else [_maker(link).remove]
        for step in steps:
            try:
                step(node, pod, link)
            except DatapathError as error:
                failures.append(error)
    batch = [link for link in unwanted if _in_batch(link)]
    if batch:
        attach.detach(node, pod.channel if pod else None, batch)
    if failures:
        raise failures[0]
