"""The seam between core and kernel: kernel.KernelDatapath is the real one, fake.FakeDatapath the shipped fake."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

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


class Datapath(Protocol):
    """Every method is idempotent and may be called at any time; failures are errors.DatapathError.

    Calls are carried out one after another in the order of the calls. Cancelling a call does not stop what
    it does in the kernel: it only drops the answer. So a detach after a cancelled attach finds all of it.
    """

    async def attach(self, netns_path: str, links: Sequence[Link]) -> list[Observed]:
        """Make `links` in the namespace, all or none, and answer what the kernel then has, in the same order.

        A link that is there already is verified, not made again; one of ours that differs is made anew,
        one that is not ours is an error. On failure what this call made is removed, and a default route that
        it replaced is put back.
        """
        ...

    async def detach(self, netns_path: str | None, links: Sequence[Link]) -> None:
        """Remove `links`, whether or not they or the namespace (None: known to be gone) still exist."""
        ...

    async def observe(self, netns_path: str, names: Collection[str] | None) -> list[Observed]:
        """The interfaces of the namespace with these names (None: all but lo) as the kernel has them."""
        ...

    async def check(self, netns_path: str, links: Sequence[Link]) -> Checked:
        """Compare links that were attached with the kernel, put right what differs, and say what did.

        What others added (addresses, routes) is left. A link that is gone is made anew.
        """
        ...

    async def check_node(self) -> list[Finding]:
        """What of the last ensure_node is not as it was left; nothing is changed, the next ensure_node does that."""
        ...

    async def readdress(self, netns_path: str, link: Link, leaving: Collection[Interface]) -> None:
        """Give a link that stands the addresses of `link`, and take `leaving` away; routes and anti-spoofing follow."""
        ...

    async def defaults(self, netns_path: str) -> list[str]:
        """The default routes of the namespace, for restore_defaults."""
        ...

    async def drop_defaults(self, netns_path: str, kept: Mapping[int, Collection[str]]) -> None:
        """Remove the default routes of the namespace, but for those over the interfaces in `kept`, by family."""
        ...

    async def restore_defaults(self, netns_path: str, routes: Sequence[str]) -> None:
        """Put default routes back whose family has none now; one that the kernel refuses is left out."""
        ...

    async def ensure_node(self, wanted: Sequence[NodeLink]) -> dict[str, NodeLinkState]:
        """Make, correct or look at what the networks need on the node; the state of each by NodeLink.key.

        `wanted` is the whole truth: a bridge of ours that is not in it goes, unless Pods still hang on it.
        One network's failure is its own state; the others are set up all the same.
        """
        ...

    async def sweep(self, keep: Collection[str]) -> list[str]:
        """Remove the host ends of ours whose names are not in `keep`, and answer their names."""
        ...

    def watch_links(self) -> AsyncIterator[LinkEvent]:
        """First every link of the node, then each change, as the kernel tells it.

        When the kernel dropped events because nobody read them, every link is told again, and those that
        are gone as absent.
        """
        ...

    async def kinds(self) -> dict[str, str]:
        """Link kind -> "" when the kernel has it, else why not, e.g. "kernel lacks ipvlan"."""
        ...

    async def close(self) -> None:
        """Give back sockets and the thread. Calls under way are carried out first."""
        ...
