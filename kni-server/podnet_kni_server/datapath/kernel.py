"""The datapath of a real kernel: interface.Datapath, carried out in the worker's thread. Made by the server's start."""

import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import TypeVar

from podnet_kni_server import devinfo
from podnet_kni_server.datapath import (
    allocation,
    announce,
    attach,
    check_node,
    defaults,
    giveback,
    kinds,
    lending,
    monitor,
    node,
    observe,
    repair,
    sweep,
    whole,
)
from podnet_kni_server.datapath.allocation import Allocation, NoAllocation
from podnet_kni_server.datapath.errors import DatapathError, NetnsMissing
from podnet_kni_server.datapath.lent import Ledger
from podnet_kni_server.datapath.model import (
    Checked,
    Finding,
    Interface,
    Link,
    LinkEvent,
    NodeLink,
    NodeLinkState,
    Observed,
)
from podnet_kni_server.datapath.worker import Pod, Worker

T = TypeVar("T")

_ASK_SECONDS = 60.0
"""Until kinds of links are tried again."""


class KernelDatapath:
    """See interface.Datapath. `node_netns`: path of a namespace that plays the node; None: where we are. `lent`:
    where it is noted which devices Pods have. `allocation`: which devices the kubelet gave to Pods. `files`: what
    device plugins wrote of them."""

    def __init__(
        self,
        node_netns: str | None = None,
        *,
        lent: Ledger | None = None,
        allocation: Allocation | None = None,
        files: devinfo.Files | None = None,
    ) -> None:
        self._lent = lent or Ledger()
        self._files = files or devinfo.Files("/")
        self._allocation = allocation or NoAllocation()
        self._worker = Worker(node_netns)
        # A thread apart: closing a packet socket waits for a grace period of the kernel, some 20 ms.
        self._herald = Worker(node_netns)
        # And another one: deleting links waits for several, and attaching need not wait for that.
        self._remover = Worker(node_netns)
        self._node: attach.Node | None = None
        self._removing: attach.Node | None = None
        """The channels of the remover's thread."""
        self._last: tuple[NodeLink, ...] = ()
        self._kinds: dict[str, str] = {}
        """Asked of the kernel once, and again while one that is needed is lacking: somebody may load a module."""
        self._ask_again = 0.0

    def _channels(self) -> attach.Node:
        """The node's channels. Called in the thread: a socket belongs to the namespace it was made in."""
        if self._node is None:
            _ = self._worker.home
            self._node = attach.Node(self._lent)
        return self._node

    async def attach(self, netns_path: str, links: Sequence[Link]) -> list[Observed]:
        """See interface.Datapath."""
        links = await allocation.resolved(self._allocation, self._lent, links)
        made = await self._worker.quick(self._attach, netns_path, links)
        if all(link.host_name == "" or link.kind == "veth" for link in links):
            return made
        return [allocation.told(self._files, self._lent, *pair) for pair in zip(links, made, strict=True)]

    def _announce(self, due: float, netns_path: str, links: Sequence[Link]) -> None:
        time.sleep(max(0.0, due - time.monotonic()))
        with contextlib.suppress(DatapathError, OSError), self._herald.pod(netns_path) as pod:
            pod.inside(announce.send, links)

    def _announce_soon(self, netns_path: str, links: Sequence[Link]) -> None:
        self._herald.post(self._announce, time.monotonic() + announce.DELAY, netns_path, links)

    def _attach(self, netns_path: str, links: Sequence[Link]) -> list[Observed]:
        channels = self._channels()
        before = channels.made
        with self._worker.pod(netns_path) as pod:
            observed = whole.attach_all(channels, pod, links)
        # Each container of a Pod has its links looked at again: nothing new for the neighbours.
        if channels.made != before or any(link.kind not in whole.BATCH for link in links):
            self._worker.afterwards(functools.partial(self._announce_soon, netns_path, links))
        return observed

    async def detach(self, netns_path: str | None, links: Sequence[Link]) -> None:
        """See interface.Datapath."""
        if any(link.kind != "veth" or link.extras for link in links):
            await self._worker.call(self._detach, netns_path, links)
        else:
            await self._worker.call(_nothing)  # what was given up there may still be making these links
            await self._remover.call(self._remove, links)

    def _remove(self, links: Sequence[Link]) -> None:
        if self._removing is None:
            _ = self._remover.home
            self._removing = attach.Node()
        attach.detach(self._removing, None, links)

    def _detach(self, netns_path: str | None, links: Sequence[Link]) -> None:
        channels = self._channels()
        if netns_path is not None:
            try:
                with self._worker.pod(netns_path) as pod:
                    return whole.detach_all(channels, pod, links)
            except NetnsMissing:
                pass
        return whole.detach_all(channels, None, links)

    async def observe(self, netns_path: str, names: Collection[str] | None) -> list[Observed]:
        """See interface.Datapath."""
        return await self._worker.call(self._observe, netns_path, names)

    def _observe(self, netns_path: str, names: Collection[str] | None) -> list[Observed]:
        with self._worker.pod(netns_path) as pod:
            return observe.read(pod.channel, names)

    async def check(self, netns_path: str, links: Sequence[Link]) -> Checked:
        """See interface.Datapath."""
        return await self._worker.call(self._check, netns_path, links)

    def _check(self, netns_path: str, links: Sequence[Link]) -> Checked:
        channels = self._channels()
        with self._worker.pod(netns_path) as pod:
            return repair.check(channels, pod, links)

    async def check_node(self) -> list[Finding]:
        """See interface.Datapath."""
        return await self._worker.call(lambda: check_node.findings(self._channels().route, self._last))

    async def readdress(self, netns_path: str, link: Link, leaving: Collection[Interface]) -> None:
        """See interface.Datapath."""
        await self._worker.call(self._readdress, netns_path, link, tuple(leaving))
        self._announce_soon(netns_path, [link])

    def _readdress(self, netns_path: str, link: Link, leaving: Collection[Interface]) -> None:
        channels = self._channels()
        with self._worker.pod(netns_path) as pod:
            repair.readdress(channels, pod, link, leaving)

    async def defaults(self, netns_path: str) -> list[str]:
        """See interface.Datapath."""
        return await self._worker.call(self._in_pod, netns_path, repair.defaults)

    async def drop_defaults(self, netns_path: str, kept: Mapping[int, Collection[str]]) -> None:
        """See interface.Datapath."""
        await self._worker.call(self._in_pod, netns_path, lambda pod: defaults.drop(pod, kept))

    async def restore_defaults(self, netns_path: str, routes: Sequence[str]) -> None:
        """See interface.Datapath."""
        await self._worker.call(self._in_pod, netns_path, lambda pod: repair.restore_defaults(pod, routes))

    def _in_pod(self, netns_path: str, work: Callable[[Pod], T]) -> T:
        with self._worker.pod(netns_path) as pod:
            return work(pod)

    async def ensure_node(self, wanted: Sequence[NodeLink]) -> dict[str, NodeLinkState]:
        """See interface.Datapath."""
        return await self._worker.call(self._ensure_node, wanted)

    def _ensure_node(self, wanted: Sequence[NodeLink]) -> dict[str, NodeLinkState]:
        self._ask_kinds({kind for link in wanted for kind in link.needs})
        self._last = tuple(wanted)
        channels = self._channels()
        others = [link for link in wanted if link.kind not in lending.KINDS]
        return node.ensure(channels.route, others, self._kinds) | lending.ensure(channels, wanted)

    def _ask_kinds(self, needed: Collection[str]) -> None:
        """Not each time: attaching waits meanwhile."""
        lacking = not self._kinds or any(self._kinds.get(kind) for kind in needed)
        if needed and lacking and time.monotonic() >= self._ask_again:
            self._kinds = kinds.probe(self._worker)
            self._ask_again = time.monotonic() + _ASK_SECONDS

    async def sweep(self, keep: Collection[str]) -> list[str]:
        """See interface.Datapath."""
        return await self._worker.call(self._sweep, keep)

    def _sweep(self, keep: Collection[str]) -> list[str]:
        channels = self._channels()
        giveback.sweep(channels, frozenset(keep))
        return sweep.sweep(channels, keep)

    def watch_links(self) -> AsyncIterator[LinkEvent]:
        """See interface.Datapath."""
        return monitor.watch(self._worker)

    async def kinds(self) -> dict[str, str]:
        """See interface.Datapath."""
        return await self._worker.call(kinds.probe, self._worker)

    async def close(self) -> None:
        """See interface.Datapath."""
        await self._worker.call(self._close)
        await self._worker.close()
        await self._remover.call(self._close_removing)
        await self._remover.close()
        await self._herald.close()

    def _close(self) -> None:
        if self._node is not None:
            self._node.close()
            self._node = None

    def _close_removing(self) -> None:
        if self._removing is not None:
            self._removing.close()
            self._removing = None


def _nothing() -> None:
    """Waits its turn."""
