"""Snapshot: all that ``filter``, ``score`` and ``explain`` read. Nothing changes while one of them runs.

``cache`` keeps what stands here current in place, in constant time for each watch event, and the pure
functions never wait: copying 5,000 nodes for each call would cost more than the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from podnet_api import kni

from podnet_scheduler_extender.demand import Objects
from podnet_scheduler_extender.stock import Stock

Entries = Mapping[str, kni.NodeNetworkEntry]


@dataclass(frozen=True)
class Snapshot:
    """``entries`` says by PodNetwork and node how a network stands there; ``stocks`` what a NetworkConfig
    has left; ``nodes`` are the nodes that have a NodeNetwork."""

    objects: Objects
    entries: Mapping[str, Entries]
    stocks: Mapping[str, Stock]
    nodes: Mapping[str, kni.NodeNetwork]

    def on(self, network: str) -> Entries:
        """The nodes that know ``network``, ready or not."""
        return self.entries.get(network, {})
