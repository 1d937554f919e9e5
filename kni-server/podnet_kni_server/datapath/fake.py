"""A Datapath in memory, for tests of what calls one. It keeps the promises of the Protocol without a kernel."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from podnet_api import reasons

from podnet_kni_server.datapath.errors import DatapathError, NetnsMissing
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


class FakeDatapath:
    """Links by namespace path, host ends by name; faults and delays on demand.

    Set `fail_link` to the name of a Pod interface whose making fails (once with `fail_times` = 1), or
    `fail_at` to the number (from 1) of the link, counted over the life of the fake, that fails.
    """

    def __init__(self) -> None:
        self.namespaces: dict[str, dict[str, Link]] = {}
        self.host_ends: dict[str, Link] = {}
        self.node: dict[str, NodeLink] = {}
        self.node_states: dict[str, NodeLinkState] = {}
        """What ensure_node answers for a key, instead of ready."""
        self.missing: set[str] = set()
        """Namespaces that are not there."""
        self.calls: list[tuple[str, object]] = []
        self.delay = 0.0
        self.damage: dict[str, list[Finding]] = {}
        self.outside: dict[str, tuple[Interface, ...]] = {}
        self.fail_readdress = 0
        self.fail_link = ""
        self.fail_at = 0
        self.fail_times = -1
        self.fail_detach = ""
        self.kinds_answer: dict[str, str] = {"bridge": "", "vxlan": "", "macvlan": "", "veth": ""}
        self._made = 0
        self._events: list[asyncio.Queue[LinkEvent]] = []
        self._state: dict[str, LinkEvent] = {}
        self._turn = asyncio.Lock()

    async def attach(self, netns_path: str, links: Sequence[Link]) -> list[Observed]:
        """See interface.Datapath."""
        return await asyncio.shield(asyncio.ensure_future(self._attach(netns_path, tuple(links))))

    async def _attach(self, netns_path: str, links: tuple[Link, ...]) -> list[Observed]:
        async with self._turn:
            self.calls.append(("attach", (netns_path, links)))
            await asyncio.sleep(self.delay)
            if netns_path in self.missing:
                raise NetnsMissing(f"cannot attach to {netns_path}: there is no such namespace")
            present = self.namespaces.setdefault(netns_path, {})
            made: list[Link] = []
            try:
                for link in links:
                    self._make(present, link, made)
            except DatapathError:
                self._remove(present, made)
                raise
            return [_observed(present[link.name]) for link in links]

    def _make(self, present: dict[str, Link], link: Link, made: list[Link]) -> None:
        if link.name in present:
            if present[link.name] != link:
                raise DatapathError(f"cannot make {link.name}: it is there already and differs")
            return
        self._made += 1
        if self.fail_times and (self.fail_link == link.name or self.fail_at == self._made):
            self.fail_times -= 1
            raise DatapathError(f"cannot make {link.name}: told to fail")
        present[link.name] = link
        if link.host_name:
            self.host_ends[link.host_name] = link
        made.append(link)

    def _remove(self, present: dict[str, Link], links: Sequence[Link]) -> None:
        for link in links:
            present.pop(link.name, None)
            self.host_ends.pop(link.host_name, None)

    async def detach(self, netns_path: str | None, links: Sequence[Link]) -> None:
        """See interface.Datapath."""
        async with self._turn:
            self.calls.append(("detach", (netns_path, tuple(links))))
            await asyncio.sleep(self.delay)
            if self.fail_detach:
                raise DatapathError(f"cannot detach: {self.fail_detach}")
            if netns_path is not None:
                self._remove(self.namespaces.get(netns_path, {}), links)
                return
            ends = {link.host_name for link in links if link.host_name}
            for present in self.namespaces.values():  # a pair goes with its host end
                self._remove(present, [link for link in present.values() if link.host_name in ends])

    async def observe(self, netns_path: str, names: Collection[str] | None) -> list[Observed]:
        """See interface.Datapath."""
        if netns_path in self.missing:
            raise NetnsMissing(f"cannot look into {netns_path}: there is no such namespace")
        present = self.namespaces.get(netns_path, {})
        return [_observed(link) for name, link in present.items() if names is None or name in names]

    async def check(self, netns_path: str, links: Sequence[Link]) -> Checked:
        """See interface.Datapath. `damage` holds what a check finds, once, by the name of the interface."""
        if netns_path in self.missing:
            raise NetnsMissing(f"cannot look into {netns_path}: there is no such namespace")
        self.calls.append(("check", (netns_path, tuple(links))))
        found = [finding for link in links for finding in self.damage.pop(link.name, [])]
        return Checked(
            tuple(found), {link.name: self.outside[link.name] for link in links if link.name in self.outside}
        )

    async def check_node(self) -> list[Finding]:
        """See interface.Datapath. What is found under the name "" is about the node."""
        return self.damage.pop("", [])

    async def readdress(self, netns_path: str, link: Link, leaving: Collection[Interface]) -> None:
        """See interface.Datapath. Fails as often as `fail_readdress` says."""
        self.calls.append(("readdress", (netns_path, link, tuple(leaving))))
        if self.fail_readdress:
            self.fail_readdress -= 1
            raise DatapathError(f"cannot change the addresses of {link.name}: told to fail")
        self.namespaces[netns_path][link.name] = link
        self.host_ends[link.host_name] = link

    async def defaults(self, netns_path: str) -> list[str]:
        """See interface.Datapath."""
        return ["default of " + netns_path]

    async def drop_defaults(self, netns_path: str, kept: Mapping[int, Collection[str]]) -> None:
        """See interface.Datapath."""
        self.calls.append(("drop_defaults", (netns_path, tuple((v, tuple(sorted(kept[v]))) for v in sorted(kept)))))

    async def restore_defaults(self, netns_path: str, routes: Sequence[str]) -> None:
        """See interface.Datapath."""
        self.calls.append(("restore_defaults", (netns_path, tuple(routes))))

    async def ensure_node(self, wanted: Sequence[NodeLink]) -> dict[str, NodeLinkState]:
        """See interface.Datapath. Ready with the wanted MTU (or 1500), unless `node_states` says otherwise."""
        self.calls.append(("ensure_node", tuple(wanted)))
        self.node = {link.key: link for link in wanted}
        return {
            link.key: self.node_states.get(link.key, NodeLinkState(True, reasons.READY, "", link.mtu or 1500))
            for link in wanted
        }

    async def sweep(self, keep: Collection[str]) -> list[str]:
        """See interface.Datapath. Host ends without a Pod can be put into `host_ends` by a test."""
        self.calls.append(("sweep", frozenset(keep)))
        stale = sorted(set(self.host_ends) - set(keep))
        for name in stale:
            link = self.host_ends.pop(name)
            for present in self.namespaces.values():
                if present.get(link.name) == link:
                    del present[link.name]
        return stale

    async def watch_links(self) -> AsyncIterator[LinkEvent]:
        """See interface.Datapath. `tell` makes the events."""
        queue: asyncio.Queue[LinkEvent] = asyncio.Queue()
        for event in self._state.values():
            queue.put_nowait(event)
        self._events.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._events.remove(queue)

    def tell(self, event: LinkEvent) -> None:
        """Let every watcher see `event`, now or when it begins."""
        self._state[event.name] = event
        for queue in self._events:
            queue.put_nowait(event)

    def drop_netns(self, netns_path: str) -> None:
        """The namespace goes away, and its links with it, as the kernel does it."""
        self._remove(dict(self.namespaces.get(netns_path, {})), list(self.namespaces.get(netns_path, {}).values()))
        self.namespaces.pop(netns_path, None)
        self.missing.add(netns_path)

    async def kinds(self) -> dict[str, str]:
        """See interface.Datapath."""
        return dict(self.kinds_answer)

    async def close(self) -> None:
        """See interface.Datapath."""


def _observed(link: Link) -> Observed:
    return Observed(link.name, link.mac, link.mtu or 1500, True, link.addresses, kind=link.kind)
