"""Snapshot: all that ``filter``, ``score`` and ``explain`` read. Nothing changes while one of them runs.

``cache`` keeps what stands here current in place, in constant time for each watch event, and the pure
functions never wait: copying 5,000 nodes for each call would cost more than the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from podnet_api import kni

from podnet_scheduler_extender.demand import Objects
from podnet_scheduler_extender.lanes import Index, Lanes
from podnet_scheduler_extender.stock import Stock

Entries = Mapping[str, kni.NodeNetworkEntry]


class Place:
    """One PodNetwork on the nodes that know it: by ``entries``, and the same for all nodes at once."""

    def __init__(self, index: Index) -> None:
        self.entries: dict[str, kni.NodeNetworkEntry] = {}
        self.ready = Lanes(index)
        self.capacity = Lanes(index)
        self.numa = Lanes(index)
        """NUMA nodes of its devices, each a bit; 0: not known."""

    def put(self, node: str, entry: kni.NodeNetworkEntry) -> None:
        """How the network stands on ``node``."""
        self.entries[node] = entry
        self.ready.put(node, entry.ready)
        self.capacity.put(node, entry.attachments.capacity)
        self.numa.put(node, sum(1 << number for number in set(entry.numa_nodes)))

    def remove(self, node: str) -> None:
        """The network is not on ``node`` any more."""
        self.entries.pop(node, None)
        self.ready.put(node, 0)


@dataclass(frozen=True)
class Snapshot:
    """``places`` says by PodNetwork how it stands on the nodes; ``stocks`` what a NetworkConfig has left;
    ``nodes`` are the nodes that have a NodeNetwork, and ``index`` their lanes."""

    objects: Objects
    places: Mapping[str, Place]
    stocks: Mapping[str, Stock]
    nodes: Mapping[str, kni.NodeNetwork]
    index: Index
    name_of: Callable[[str], str] = str
    """From the uid of a bound Pod to its ``namespace/name``."""

    def on(self, network: str) -> Entries:
        """The nodes that know ``network``, ready or not."""
        return self.places[network].entries if network in self.places else {}
