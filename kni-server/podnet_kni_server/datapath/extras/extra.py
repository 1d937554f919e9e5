"""What one extra must do. Runs in the worker's thread; whole.py calls it."""

from collections.abc import Iterator
from typing import Protocol

from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.datapath.worker import Pod


class Extra(Protocol):
    """Both calls may come at any time and any number of times; failures are errors.DatapathError."""

    def apply(self, node: Node, pod: Pod, link: Link) -> None:
        """Have what link.extras asks for; the link is there, set up and has its addresses. Nothing asked for:
        nothing done."""
        ...

    def lost(self, node: Node, pod: Pod, link: Link) -> Iterator[str]:
        """What of it is not there any more, in words that follow the link's name; ``apply`` mends all that is told
        here."""
        ...

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """Take away what stays when the link goes. None: the Pod's namespace is gone, and all inside with it."""
        ...
