"""Makes what a user-space switch and a Pod share: a directory for a socket, and beside it a file that describes it.

The switch is not told: it finds the description, or the Pod's status, and makes or opens the socket. The kernel
knows nothing of such an interface. Nothing is ever written into the directory itself: it is the Pod's too, who
could have put a link to another file there.
"""

import os
import shutil
from pathlib import Path

import msgspec

from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.datapath.observe import Seen
from podnet_kni_server.datapath.worker import Pod
from podnet_kni_server.details import UserspaceDetail

_PASSABLE, _SHARED = 0o711, 0o777
"""Switch and Pod run as users that we do not know, so both may write here. Other users of the node would have to
know the sandbox's id, which is the name of the directory above."""


class Userspace:
    """See maker.Maker."""

    kernel_kind = ""

    def make(self, node: Node, pod: Pod, link: Link) -> int:
        """See Maker."""
        try:
            _make(link)
        except OSError as error:
            self.remove(node, pod, link)
            raise DatapathError(f"cannot make the directory of {link.name}: {error}") from error
        return 0

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Maker."""
        directory = Path(_detail(link).directory)
        try:
            _description(directory).unlink(missing_ok=True)
            if directory.exists():
                shutil.rmtree(directory)
            if directory.parent.exists() and not any(directory.parent.iterdir()):
                directory.parent.rmdir()
        except OSError as error:
            raise DatapathError(f"cannot remove the directory of {link.name}: {error}") from error

    def fits(self, link: Link, found: Seen, on_node: dict[str, Seen]) -> bool:
        """See Maker: a link of that name in the Pod is not ours."""
        return False


def _make(link: Link) -> None:
    directory = Path(_detail(link).directory)
    for above in (directory.parent.parent, directory.parent):
        above.mkdir(parents=True, exist_ok=True)
        above.chmod(_PASSABLE)
    directory.mkdir(exist_ok=True)
    directory.chmod(_SHARED)
    file = _description(directory)
    temporary = file.with_name(f".{file.name}")
    temporary.write_bytes(description(link))
    os.replace(temporary, file)


def _description(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.json")


def description(link: Link) -> bytes:
    """What stands in the file. Pure."""
    detail = _detail(link)
    return msgspec.json.encode(
        {
            "pod": detail.pod,
            "network": detail.network,
            "interface": link.name,
            "type": detail.protocol,
            "role": detail.role,
            "socket": detail.socket,
            "mac": link.mac,
            "mtu": link.mtu,
            "addresses": [str(address) for address in link.addresses],
        }
    )


def _detail(link: Link) -> UserspaceDetail:
    assert isinstance(link.detail, UserspaceDetail), link
    return link.detail
