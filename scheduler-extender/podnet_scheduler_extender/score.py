"""Score: which of the fitting nodes are better, 0 to 10.

Pure. Eight points for what is free of the scarcest thing on the node (attachments; addresses where each
node has its own), as a fraction of its capacity: where there is plenty all nodes score alike and
kube-scheduler's own spreading decides. Two points for nodes that can give the addresses at once, out of
blocks that they hold: claiming another block costs a request and may use up the pool.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from podnet_scheduler_extender.demand import Demand, Need
from podnet_scheduler_extender.ledger import Ledger
from podnet_scheduler_extender.snapshot import Snapshot
from podnet_scheduler_extender.stock import Family, Stock

HIGHEST = 10
_SPREAD, _NEAR = 8, 2


def scores(demand: Demand, nodes: Iterable[str], snapshot: Snapshot, ledger: Ledger) -> list[tuple[str, int]]:
    """(node, score) for each of ``nodes``."""
    scorers = [_Scorer(need, snapshot, ledger) for need in demand.needs]
    return [(node, _score(scorers, node)) for node in nodes]


def _score(scorers: list[_Scorer], node: str) -> int:
    spread = min((scorer.free(node) for scorer in scorers), default=1.0)
    near = min((scorer.near(node) for scorer in scorers), default=1.0)
    return max(0, min(HIGHEST, round(_SPREAD * spread + _NEAR * near)))


class _Scorer:
    """The score for what a Pod needs of one NetworkConfig."""

    def __init__(self, need: Need, snapshot: Snapshot, ledger: Ledger) -> None:
        self._need = need
        self._stock = snapshot.stocks.get(need.config) or Stock()
        self._place = snapshot.on(need.network)
        self._claims = ledger.on(need.config)

    def free(self, node: str) -> float:
        """The fraction that is free of the scarcest thing on ``node``."""
        entry = self._place.get(node)
        capacity = entry.attachments.capacity if entry else 0
        claimed = sum(other.attachments for nodes, other in self._claims if node in nodes)
        attachments = _fraction(capacity - self._stock.attachments.get(node, 0) - claimed, capacity)
        return min([attachments, *(_fraction(f.left(node), f.total) for f, _ in self._families() if f.per_node)])

    def near(self, node: str) -> float:
        """1 when the blocks of ``node`` have the addresses, 0 when one must be claimed."""
        pooled = ((family, count) for family, count in self._families() if not family.per_node)
        return float(all(f.held.get(node, 0) - f.used.get(node, 0) >= count for f, count in pooled))

    def _families(self) -> Iterator[tuple[Family, int]]:
        for version, count in self._need.leased:
            if version in self._stock.families:
                yield self._stock.families[version], count


def _fraction(part: int, whole: int) -> float:
    return max(0.0, min(1.0, part / whole)) if whole > 0 else 0.0
