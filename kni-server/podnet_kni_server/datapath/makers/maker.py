"""What a maker of one kind of link must do. Runs in the worker's thread; whole.py calls it."""

from typing import Protocol

from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.datapath.observe import Seen
from podnet_kni_server.datapath.worker import Pod


class Maker(Protocol):
    """Both calls may come at any time and any number of times; failures are errors.DatapathError."""

    kernel_kind: str
    """What the kernel calls such a link (IFLA_INFO_KIND); "*": anything, as with a device that was moved."""

    def make(self, node: Node, pod: Pod, link: Link) -> int:
        """Have the link in the Pod with its name, MAC address, MTU and what its kind asks for, and answer its
        index there, or 0 where the kernel has no such link (userspace).

        Addresses, routes and setting it up are whole.py's, as far as they are not a guest's (guest.py). A link of
        that name that is there already and is ours (observe.Seen.group is links.GROUP_POD, or the maker knows
        better) is corrected or made anew; one that is not ours is an error. On failure nothing is left of what
        this call made.
        """
        ...

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """Take the link away, and what make left on the node for it. None: the namespace is gone."""
        ...

    def fits(self, link: Link, found: Seen, on_node: dict[str, Seen]) -> bool:
        """Whether `found`, in the Pod, is `link` as far as the kind alone knows; `on_node`: those of the node's links
        that `link` names (host_name, master), as far as they are there."""
        ...
