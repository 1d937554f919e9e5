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
situation is judged once and looked up for the others; and from one call to the next few nodes change, so the points
of all nodes are kept, and only those of the changed ones reckoned again.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import compress, repeat

from podnet_scheduler_extender import lanes
from podnet_scheduler_extender.demand import Demand, Need
from podnet_scheduler_extender.lanes import Lanes, Selection
from podnet_scheduler_extender.snapshot import Snapshot
from podnet_scheduler_extender.stock import Stock

HIGHEST = 10
_BOARDS = 64
"""So many demands have their points kept."""
_SITUATIONS = 10_000
"""So many situations are remembered for a demand."""


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


class Scores:
    """The points of all nodes for what Pods have asked for of late."""

    def __init__(self) -> None:
        self._boards: dict[tuple[Demand, Weights], _Board] = {}

    def on(self, demand: Demand, snapshot: Snapshot, weights: Weights) -> tuple[bytes, int]:
        """The points of each node by its lane, and those of a node that has none."""
        key, table = (demand, weights), _table(demand, snapshot, weights)
        board = self._boards.get(key)
        if board is None or not board.table.same(table):
            while len(self._boards) >= _BOARDS:
                del self._boards[next(iter(self._boards))]
            board = self._boards[key] = _Board(table)
        return board.current(len(snapshot.index)), board.table[(0,) * len(table.columns)]


def lead(points: bytes, elsewhere: int, asked: Selection) -> list[tuple[int, bytes, list[str]]]:
    """How far nodes are ahead of the last one: (points, flags, names without a lane). Those that are not are left
    out: kube-scheduler adds the scores to its own and takes whom we do not name for 0, so that the same node wins,
    and mostly there is little to say."""
    found = set(compress(points, asked.flags))
    if asked.unknown:
        found.add(elsewhere)
    last = min(found, default=0)
    return [
        (value - last, lanes.equal(points, value, asked.flags), asked.unknown if value == elsewhere else [])
        for value in sorted(found)
        if value > last
    ]


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
    columns = [compress(numbers.column(), asked.flags) for numbers in table.columns or [Lanes(snapshot.index)]]
    found = [table.look(numbers) for numbers in zip(*columns, strict=True)]
    return dict(zip(snapshot.index.names(asked.flags), found, strict=True))


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

    def same(self, other: _Table) -> bool:
        """Whether both read the same numbers in the same way."""
        columns = list(map(id, self.columns)) == list(map(id, other.columns))
        return columns and (self._parts, self._devices) == (other._parts, other._devices)

    def _column(self, numbers: Lanes) -> int:
        self.columns.append(numbers)
        return len(self.columns) - 1

    def __missing__(self, numbers: tuple[int, ...]) -> int:
        if len(self) >= _SITUATIONS:
            self.clear()
        self[numbers] = self.look(numbers).score
        return self[numbers]

    def look(self, numbers: tuple[int, ...]) -> Reckoned:
        """What the numbers of a node are worth."""
        free = min((part.free(numbers) for part in self._parts), default=1.0)
        near = all(part.near(numbers) for part in self._parts)
        known = [numbers[column] for column in self._devices if numbers[column]]
        local = not known or functools.reduce(operator.and_, known) != 0
        return Reckoned(self._weights.points(free, near, local), free, near, local)


class _Board:
    """The points of all nodes by one table."""

    def __init__(self, table: _Table) -> None:
        self.table = table
        self._points = bytearray()
        self._marks = [column.mark for column in table.columns]

    def current(self, count: int) -> bytes:
        """The points of the first ``count`` lanes, as the numbers are now."""
        columns = self.table.columns
        told = [column.since(mark) for column, mark in zip(columns, self._marks, strict=True)]
        self._marks = [column.mark for column in columns]
        changed = {lane for lanes_ in told if lanes_ is not None for lane in lanes_}
        numbers = [column.column() for column in columns]
        if None in told or len(self._points) < count or len(changed) > count // 4:
            rows = zip(*numbers, strict=True) if numbers else repeat((), count)
            self._points = bytearray(map(self.table.__getitem__, rows))
        else:
            for lane in changed:
                self._points[lane] = self.table[tuple(column[lane] for column in numbers)]
        return bytes(self._points)


def _fraction(part: int, whole: int) -> float:
    return max(0.0, min(1.0, part / whole)) if whole > 0 else 0.0
