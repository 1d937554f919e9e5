"""Score: which of the fitting nodes are better, 0 to 10.

Pure. Eight points for what is free of the scarcest thing on the node (attachments; addresses where each
node has its own), as a fraction of its capacity: where there is plenty all nodes score alike and
kube-scheduler's own spreading decides. Two points for nodes that can give the addresses at once, out of
blocks that they hold: claiming another block costs a request and may use up the pool.

Pods in flight are not looked at: they count alike on all their candidates.
"""

from __future__ import annotations

from collections.abc import Iterable

from podnet_scheduler_extender.demand import Demand, Need
from podnet_scheduler_extender.snapshot import Snapshot
from podnet_scheduler_extender.stock import Stock

HIGHEST = 10
_SPREAD, _NEAR = 8, 2


def scores(demand: Demand, nodes: Iterable[str], snapshot: Snapshot) -> list[tuple[str, int]]:
    """(node, score) for each of ``nodes``."""
    scorers = [_Scorer(need, snapshot) for need in demand.needs]
    return [(node, _score(scorers, node)) for node in nodes]


def _score(scorers: list[_Scorer], node: str) -> int:
    spread = min((scorer.free(node) for scorer in scorers), default=1.0)
    near = min((scorer.near(node) for scorer in scorers), default=1.0)
    return max(0, min(HIGHEST, round(_SPREAD * spread + _NEAR * near)))


class _Scorer:
    """The score for what a Pod needs of one NetworkConfig."""

    def __init__(self, need: Need, snapshot: Snapshot) -> None:
        self._stock = snapshot.stocks.get(need.config) or Stock()
        self._place = snapshot.on(need.network)
        families = [(self._stock.families[v], count) for v, count in need.leased if v in self._stock.families]
        self._own = [family for family, _ in families if family.per_node]
        self._shared = [(family, count) for family, count in families if not family.per_node]

    def free(self, node: str) -> float:
        """The fraction that is free of the scarcest thing on ``node``."""
        entry = self._place.get(node)
        capacity = entry.attachments.capacity if entry else 0
        attachments = _fraction(capacity - self._stock.attachments.get(node, 0), capacity)
        return min([attachments, *(_fraction(family.left(node), family.total) for family in self._own)])

    def near(self, node: str) -> float:
        """1 when the blocks of ``node`` have the addresses, 0 when one must be claimed."""
        for family, count in self._shared:
            if family.held.get(node, 0) - family.used.get(node, 0) < count:
                return 0.0
        return 1.0


def _fraction(part: int, whole: int) -> float:
    return max(0.0, min(1.0, part / whole)) if whole > 0 else 0.0
