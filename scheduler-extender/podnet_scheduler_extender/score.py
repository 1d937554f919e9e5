"""Score: which of the fitting nodes are better, 0 to 10.

Pure. Four wishes, weighed by ``Weights``:

spread  what is free of the scarcest thing on the node (attachments; addresses where each node has its own), as a
        fraction of its capacity: where there is plenty all nodes score alike and kube-scheduler's own spreading
        decides
pack    the opposite: fill nodes up and leave others empty, for Pods that ask for much at once
near    the node can give the addresses at once, out of blocks that it holds: claiming another block costs a
        request and may use up the pool
local   the devices of all networks of the Pod hang on one NUMA node there, as far as nodes say: then the kubelet's
        topology manager can keep them together with processors. Which NUMA node has processors left nobody tells
        a scheduler, so this is a hint, and counts nothing unless it is given weight

Pods in flight are not looked at: they count alike on all their candidates. Most nodes stand alike, so each
situation is judged once and looked up for the others.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field

from podnet_scheduler_extender.demand import Demand, Need
from podnet_scheduler_extender.lanes import Lanes, Selection
from podnet_scheduler_extender.snapshot import Snapshot
from podnet_scheduler_extender.stock import Stock

HIGHEST = 10


@dataclass(frozen=True)
class Weights:
    """How much each wish counts; only their proportion matters."""

    spread: float = 8
    pack: float = 0
    near: float = 2
    local: float = 0

    def __post_init__(self) -> None:
        if not (min(self.spread, self.pack, self.near, self.local) >= 0 and 0 < self.sum < float("inf")):
            raise ValueError("cannot weigh scores: weights are numbers from 0 on, and not all 0")

    @property
    def sum(self) -> float:
        """All of them."""
        return self.spread + self.pack + self.near + self.local

    def points(self, free: float, near: bool, local: bool) -> int:
        """0 to 10."""
        wishes = self.spread * free + self.pack * (1 - free) + self.near * near + self.local * local
        return round(HIGHEST * wishes / self.sum)


def scores(demand: Demand, asked: Selection, snapshot: Snapshot, weights: Weights) -> tuple[list[str], list[int]]:
    """The nodes of ``asked``, in another order, and the score of each."""
    table = _table(demand, snapshot, weights)
    columns = [asked.of(numbers) for numbers in table.columns or [Lanes(snapshot.index)]]
    points = list(map(table.__getitem__, zip(*columns, strict=True)))
    points += [table[(0,) * len(columns)]] * len(asked.unknown)
    return asked.names(snapshot.index) + asked.unknown, points


@dataclass(frozen=True)
class Reckoned:
    """The score of a node, and what it is made of: the free part of what is scarcest there, from 0 to 1, and
    whether it has the addresses at hand, and whether all devices hang on one NUMA node, as far as that is known (and
    asked: ``Weights.local``)."""

    score: int
    free: float
    near: bool
    local: bool


def reckoned(demand: Demand, asked: Selection, snapshot: Snapshot, weights: Weights) -> dict[str, Reckoned]:
    """The same with reasons, for people."""
    table = _table(demand, snapshot, weights)
    columns = [asked.of(numbers) for numbers in table.columns or [Lanes(snapshot.index)]]
    found = [table.look(numbers) for numbers in zip(*columns, strict=True)]
    return dict(zip(asked.names(snapshot.index), found, strict=True))


def lead(nodes: list[str], points: list[int]) -> list[tuple[str, int]]:
    """How far each node is ahead of the last one; those that are not are left out. kube-scheduler adds the scores
    to its own and takes whom we do not name for 0, so that the same node wins, and mostly there is little to say."""
    last = min(points, default=0)
    if last == max(points, default=0):
        return []
    return [(node, score - last) for node, score in zip(nodes, points, strict=True) if score > last]


def _table(demand: Demand, snapshot: Snapshot, weights: Weights) -> _Table:
    table = _Table(weights)
    for need in demand.needs:
        table.need(need, snapshot)
    if weights.local:
        table.networks(demand.networks, snapshot)
    return table


@dataclass(frozen=True)
class _Part:
    """Where the numbers of one need stand among the columns. ``own`` is (column, total) of addresses that each
    node has for itself, ``shared`` is (column, count) of those that must be at hand."""

    capacity: int
    attached: int
    own: list[tuple[int, int]] = field(default_factory=list)
    shared: list[tuple[int, int]] = field(default_factory=list)

    def free(self, numbers: tuple[int, ...]) -> float:
        capacity = numbers[self.capacity]
        attachments = _fraction(capacity - numbers[self.attached], capacity)
        return min([attachments, *(_fraction(total - numbers[column], total) for column, total in self.own)])

    def near(self, numbers: tuple[int, ...]) -> bool:
        return all(numbers[column] >= count for column, count in self.shared)


class _Table(dict[tuple[int, ...], int]):
    """Points by what stands in the columns for a node."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.columns: list[Lanes] = []
        self._weights = weights
        self._parts: list[_Part] = []
        self._devices: list[int] = []

    def need(self, need: Need, snapshot: Snapshot) -> None:
        """Add the columns for what a Pod needs of one NetworkConfig."""
        stock = snapshot.stocks.get(need.config) or Stock(snapshot.index)
        place = snapshot.places.get(need.network)
        capacity = place.capacity if place else Lanes(snapshot.index)
        part = _Part(self._column(capacity), self._column(stock.attached))
        for version, count in need.leased:
            family = stock.families.get(version)
            if family is not None and family.per_node:
                part.own.append((self._column(family.taken), family.total))
            elif family is not None:
                part.shared.append((self._column(family.spare), count))
        self._parts.append(part)

    def networks(self, networks: Iterable[str], snapshot: Snapshot) -> None:
        """Add the columns of the networks' NUMA nodes."""
        places = [snapshot.places[network] for network in networks if network in snapshot.places]
        self._devices = [self._column(place.numa) for place in places]

    def _column(self, numbers: Lanes) -> int:
        self.columns.append(numbers)
        return len(self.columns) - 1

    def __missing__(self, numbers: tuple[int, ...]) -> int:
        self[numbers] = self.look(numbers).score
        return self[numbers]

    def look(self, numbers: tuple[int, ...]) -> Reckoned:
        """What the numbers of a node are worth."""
        free = min((part.free(numbers) for part in self._parts), default=1.0)
        near = all(part.near(numbers) for part in self._parts)
        known = [numbers[column] for column in self._devices if numbers[column]]
        local = not known or functools.reduce(operator.and_, known) != 0
        return Reckoned(self._weights.points(free, near, local), free, near, local)


def _fraction(part: int, whole: int) -> float:
    return max(0.0, min(1.0, part / whole)) if whole > 0 else 0.0
