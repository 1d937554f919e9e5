"""Kernel parameters of the Pod's namespace.

Those of the interface go with it. Those of the whole namespace stay as long as the Pod: nobody could say what they
are to be when one of two interfaces that asked for them goes.
"""

from collections.abc import Iterator

from podnet_api import reasons

from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.datapath.worker import Pod


def _read(name: str) -> str | None:
    try:
        with open(f"/proc/sys/{name}") as file:
            return file.read().strip()
    except OSError:
        return None


class Sysctls:
    """See extra.Extra."""

    def apply(self, node: Node, pod: Pod, link: Link) -> None:
        """See Extra."""
        for name, value in link.extras.sysctls.items() if link.extras else ():
            try:
                pod.sysctl(name, value)
            except FileNotFoundError as error:
                message = f"cannot set {name} for {link.name}: the Pod's namespace has no such parameter"
                raise DatapathError(message, reasons.PARAMS_UNSUPPORTED) from error
            except (OSError, ValueError) as error:
                raise DatapathError(f"cannot set {name} for {link.name} to {value!r}: {error}") from error

    def lost(self, node: Node, pod: Pod, link: Link) -> Iterator[str]:
        """See Extra. What cannot be read is taken to be right: some parameters only take. The kernel has its own words
        for some values (lists of ports): what it says after it was told once more is right, too."""
        for name, value in link.extras.sysctls.items() if link.extras else ():
            found = pod.inside(_read, name)
            if found is None or found.split() == value.split():
                continue
            pod.sysctl(name, value)
            if pod.inside(_read, name) != found:
                yield f"had {name} at {found}"

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Extra: nothing stays that could be taken away."""
