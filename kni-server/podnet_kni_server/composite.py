"""One Datapath out of two: links of kind cni go to an executor of plugins, all others to the kernel.

The order of the Pod's list is kept, and it is all or none across both. The core sees a Datapath.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.interface import Datapath
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


class Executor(Protocol):
    """Attaches by running plugins. Idempotent like a Datapath; failures are errors.DatapathError."""

    async def attach(self, netns_path: str, link: Link) -> Observed:
        """Have ``link`` (its detail is a CniDetail) and answer what the plugins gave; on failure nothing is
        left. A link that is there already, as the executor remembers it, is checked, not added again."""
        ...

    async def detach(self, netns_path: str | None, link: Link) -> None:
        """Take ``link`` away, whether or not it or the namespace (None: known to be gone) still exists."""
        ...

    async def lease(self, netns_path: str, link: Link, found: Observed) -> Observed:
        """Have an address by DHCP on ``link``, which the kernel has as ``found``; answer it with that address."""
        ...

    async def release(self, link: Link) -> None:
        """Give that address back, if there is one."""
        ...

    async def look(self, netns_path: str, link: Link) -> tuple[Finding, ...]:
        """What of ``link`` is not as the plugins left it."""
        ...

    async def states(self, links: Sequence[NodeLink]) -> dict[str, NodeLinkState]:
        """Whether the plugins of these networks, which are all there are, are ready on this node; by NodeLink.key."""
        ...

    async def close(self) -> None:
        """Give back what it holds."""
        ...


class Composite:
    """See datapath.interface.Datapath."""

    def __init__(self, kernel: Datapath, executor: Executor) -> None:
        self._kernel = kernel
        self._executor = executor

    async def attach(self, netns_path: str, links: Sequence[Link]) -> list[Observed]:
        """See Datapath."""
        if all(link.kind != "cni" and link.dhcp is None for link in links):
            return await self._kernel.attach(netns_path, links)
        there = {one.name for one in await self._kernel.observe(netns_path, None)}
        made: list[Link] = []
        observed: list[Observed] = []
        try:
            for plugins, run in itertools.groupby(links, lambda link: link.kind == "cni"):
                group = list(run)
                made += [link for link in group if link.name not in there]
                observed += await self._attach_group(netns_path, plugins, group)
        except DatapathError:
            with contextlib.suppress(DatapathError):
                await self.detach(netns_path, made)
            raise
        return observed

    async def _attach_group(self, netns_path: str, plugins: bool, group: list[Link]) -> list[Observed]:
        if plugins:
            return [await self._executor.attach(netns_path, link) for link in group]
        made = await self._kernel.attach(netns_path, group)
        pairs = zip(group, made, strict=True)
        return [await self._executor.lease(netns_path, one, found) if one.dhcp else found for one, found in pairs]

    async def detach(self, netns_path: str | None, links: Sequence[Link]) -> None:
        """See Datapath. To the end; then the first failure is raised."""
        failures: list[DatapathError] = []
        for plugins, run in itertools.groupby(reversed(links), lambda link: link.kind == "cni"):
            group = list(run)
            for part in [[link] for link in group] if plugins else [group[::-1]]:
                try:
                    await self._detach_part(netns_path, plugins, part)
                except DatapathError as error:
                    failures.append(error)
        if failures:
            raise failures[0]

    async def _detach_part(self, netns_path: str | None, plugins: bool, part: list[Link]) -> None:
        if plugins:
            await self._executor.detach(netns_path, part[0])
            return
        try:
            for link in part:
                if link.dhcp is not None:
                    await self._executor.release(link)
        finally:
            await self._kernel.detach(netns_path, part)

    async def observe(self, netns_path: str, names: Collection[str] | None) -> list[Observed]:
        """See Datapath."""
        return await self._kernel.observe(netns_path, names)

    async def ensure_node(self, wanted: Sequence[NodeLink]) -> dict[str, NodeLinkState]:
        """See Datapath."""
        states = await self._kernel.ensure_node(wanted)
        plugins = [link for link in wanted if link.plugins and states[link.key].ready]
        return states | await self._executor.states(plugins)

    async def check(self, netns_path: str, links: Sequence[Link]) -> Checked:
        """See Datapath. What plugins made is looked at, too; repaired is only what the kernel's datapath made."""
        checked = await self._kernel.check(netns_path, [link for link in links if link.kind != "cni"])
        plugins = [await self._executor.look(netns_path, link) for link in links if link.kind == "cni"]
        return dataclasses.replace(checked, findings=(*checked.findings, *itertools.chain.from_iterable(plugins)))

    async def check_node(self) -> list[Finding]:
        """See Datapath."""
        return await self._kernel.check_node()

    async def readdress(self, netns_path: str, link: Link, leaving: Collection[Interface]) -> None:
        """See Datapath. Addresses of plugins are theirs: nobody asks this of one."""
        await self._kernel.readdress(netns_path, link, leaving)

    async def defaults(self, netns_path: str) -> list[str]:
        """See Datapath."""
        return await self._kernel.defaults(netns_path)

    async def drop_defaults(self, netns_path: str, kept: Mapping[int, Collection[str]]) -> None:
        """See Datapath."""
        await self._kernel.drop_defaults(netns_path, kept)

    async def restore_defaults(self, netns_path: str, routes: Sequence[str]) -> None:
        """See Datapath."""
        await self._kernel.restore_defaults(netns_path, routes)

    async def sweep(self, keep: Collection[str]) -> list[str]:
        """See Datapath."""
        return await self._kernel.sweep(keep)

    def watch_links(self) -> AsyncIterator[LinkEvent]:
        """See Datapath."""
        return self._kernel.watch_links()

    async def kinds(self) -> dict[str, str]:
        """See Datapath."""
        return await self._kernel.kinds()

    async def close(self) -> None:
        """See Datapath."""
        await self._executor.close()
        await self._kernel.close()
