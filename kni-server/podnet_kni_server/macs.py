"""Macs: which interface of this node has which MAC address on a network. Pure and in memory.

Two interfaces of one segment with the same MAC address take each other's frames; the bridge says nothing.
Another node's interfaces cannot be seen from here, and a virtual machine that migrates has its MAC address
on two nodes for a moment; so duplicates across nodes are the controller's to report.
"""

from __future__ import annotations

from podnet_kni_server.errors import AttachError
from podnet_kni_server.leases import Holder


class Macs:
    """By NetworkConfig and MAC address (lower case)."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], Holder] = {}

    def take(self, config: str, mac: str, holder: Holder) -> None:
        """``holder`` is to have ``mac``. Raises AttachError naming who has it."""
        other = self._held.setdefault((config, mac.lower()), holder)
        if other != holder:
            raise AttachError(
                f"cannot give MAC address {mac} on NetworkConfig {config} to Pod {holder.pod}: "
                f"Pod {other.pod} of this node has it; choose another one or remove that Pod"
            )

    def adopt(self, config: str, mac: str, holder: Holder) -> None:
        """Take over what a checkpoint or the kernel says."""
        self._held.setdefault((config, mac.lower()), holder)

    def release(self, sandbox: str) -> None:
        """Free what ``sandbox`` has."""
        self._held = {key: holder for key, holder in self._held.items() if holder.sandbox != sandbox}

    def release_of(self, holder: Holder) -> None:
        """Free what one interface has."""
        self._held = {key: other for key, other in self._held.items() if other != holder}
