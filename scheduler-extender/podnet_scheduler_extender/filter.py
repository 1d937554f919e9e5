"""Filter: which of the nodes that kube-scheduler asks about can take a Pod, and why the others cannot.

Pure. ``extender`` calls ``judge`` for /filter and ``preempt`` for /preempt, ``explain`` for waiting Pods.

Most nodes are far from full, so each check first compares with a bound that needs no look at single
claims, and counts exactly only where that bound does not suffice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from podnet_api import pools

from podnet_scheduler_extender import refusals
from podnet_scheduler_extender.demand import Demand, Need, Resolution
from podnet_scheduler_extender.ledger import Ledger
from podnet_scheduler_extender.refusals import Refusal
from podnet_scheduler_extender.snapshot import Snapshot
from podnet_scheduler_extender.stock import Family, Stock


@dataclass(frozen=True)
class Verdict:
    """The nodes that can take the Pod, in the order asked, and why each other one cannot."""

    fitting: list[str]
    refused: dict[str, Refusal]


def judge(resolution: Resolution, nodes: Iterable[str], snapshot: Snapshot, ledger: Ledger) -> Verdict:
    """The verdict on each of ``nodes``. A claim of the Pod itself must have been dropped before."""
    if resolution.faults:
        return Verdict([], dict.fromkeys(nodes, resolution.faults[0].refusal))
    gate = Gate(resolution.demand, snapshot, ledger)
    verdict = Verdict([], {})
    for node in nodes:
        refusal = gate.refusal(node)
        if refusal is None:
            verdict.fitting.append(node)
        else:
            verdict.refused[node] = refusal
    return verdict


class Gate:
    """The checks for one demand, made ready once and asked for each node."""

    def __init__(self, demand: Demand, snapshot: Snapshot, ledger: Ledger) -> None:
        self._places = [snapshot.on(network) for network in demand.networks]
        self._needs = [_NeedGate(need, snapshot, ledger) for need in demand.needs]

    def refusal(self, node: str) -> Refusal | None:
        """Why ``node`` cannot take the Pod, or None."""
        for place in self._places:
            entry = place.get(node)
            if entry is None or not entry.ready:
                return refusals.NOT_ON_NODE
        for need in self._needs:
            refusal = need.refusal(node)
            if refusal is not None:
                return refusal
        return None


class _NeedGate:
    """The checks for what a Pod needs of one NetworkConfig."""

    def __init__(self, need: Need, snapshot: Snapshot, ledger: Ledger) -> None:
        self._need = need
        self._stock = snapshot.stocks.get(need.config) or Stock()
        self._claims = ledger.on(need.config)
        self._claimed = sum(other.attachments for _, other in self._claims)
        self._place = snapshot.on(need.network)
        self._families = [
            (FamilyGate(self._stock.families[version], version, self._claims), count)
            for version, count in need.leased
            if version in self._stock.families
        ]

    def refusal(self, node: str) -> Refusal | None:
        if not self._attachable(node):
            return refusals.NO_ATTACHMENTS
        for family, count in self._families:
            if not family.has(node, count):
                return refusals.NO_ADDRESSES
        for address in self._need.static:
            refusal = self._static(node, address)
            if refusal is not None:
                return refusal
        return None

    def _attachable(self, node: str) -> bool:
        entry = self._place.get(node)
        capacity = entry.attachments.capacity if entry else 0
        free = capacity - self._stock.attachments.get(node, 0) - self._need.attachments
        if free >= self._claimed:
            return True
        return free >= sum(other.attachments for nodes, other in self._claims if node in nodes)

    def _static(self, node: str, address: pools.Address) -> Refusal | None:
        pool = self._stock.pool
        if pool is None:
            return None
        if self._taken(node, address, pool.per_node):
            return refusals.ADDRESS_TAKEN
        inside = pool.range_of(address)
        owner = self._stock.blocks.get(inside.block_at(int(address))) if inside else None
        return refusals.ADDRESS_ELSEWHERE if owner not in {None, node} and not pool.per_node else None

    def _taken(self, node: str, address: pools.Address, per_node: bool) -> bool:
        """Whether another Pod, bound or in flight, asks for the same address: anywhere, or here if nodes
        give the same addresses."""
        bound = self._stock.static.get(address, set())
        if any(not per_node or place == node for _, place in bound):
            return True
        return any(address in other.static and (not per_node or node in nodes) for nodes, other in self._claims)


class FamilyGate:
    """Addresses of one family, with the claims of Pods in flight."""

    def __init__(self, family: Family, version: int, claims: Iterable[tuple[frozenset[str], Need]]) -> None:
        self._family = family
        self._claims = [(nodes, count) for nodes, other in claims for v, count in other.uses if v == version]
        self._claimed = sum(count for _, count in self._claims)

    def has(self, node: str, count: int) -> bool:
        """Whether ``node`` can still give ``count`` addresses, however the claims turn out."""
        free = self._family.left(node) - count
        if free >= self._claimed * self._family.step:
            return True
        return free >= (self._by_node[node] if self._family.per_node else self._worst(node))

    def _worst(self, node: str) -> int:
        """The most that the claims can take from ``node``.

        A claim that ends on another node takes at most a whole block there, and all claims together at
        most what their nodes would withhold if each of them got all of its claims; one that ends here
        takes a single address.
        """
        step, elsewhere = self._family.step, self._growth_sum - self._growth.get(node, 0)
        return min(self._claimed * step, elsewhere + max(0, self._claimed - -(-elsewhere // step)))

    @cached_property
    def _by_node(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for nodes, count in self._claims:
            for node in nodes:
                counts[node] += count
        return counts

    @cached_property
    def _growth(self) -> dict[str, int]:
        """How much more a node would withhold if it got all of its claims."""
        family = self._family
        return {node: family.withheld(node, count) - family.withheld(node) for node, count in self._by_node.items()}

    @cached_property
    def _growth_sum(self) -> int:
        return sum(self._growth.values())
