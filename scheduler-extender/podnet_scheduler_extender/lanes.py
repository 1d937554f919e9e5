"""Lanes: one number for each node, all of them packed into one int, so that a sum or a comparison over 5,000
nodes is one operation of the interpreter (some microseconds) instead of a loop (some milliseconds).

Pure. Lane n is the bits from 32 n on and holds less than 2**31, so that the topmost bit is free for borrows. A
mask has 0 or 1 in each lane. ``flags`` are a mask as bytes, one for each node: a quarter of the size, to be kept.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, compress, islice, repeat

import msgspec

_BYTES = 4
_TOP = 8 * _BYTES - 1
_REMEMBERED = 1024
"""Changes of a number that can be asked for later."""
_JOINED = 16
"""So many lists of nodes are kept as JSON; each may be some hundred kilobytes."""
_PIECE, _PIECES = 256, 400
"""Nodes of a piece of a long list, and how many pieces are kept: from Pod to Pod few nodes change sides."""
_LONG = 1000
"""Names. What is shorter is joined sooner than it is put together."""
LARGEST = 1 << 30
"""What is more is taken for this much: sums of two stay below the topmost bit."""


class Index:
    """Which lane belongs to which node. Lanes of nodes that are gone are given to new ones."""

    def __init__(self) -> None:
        self._lanes: dict[str, int] = {}
        self._names: list[str] = []
        self._quoted: list[bytes] = []
        """The names as JSON."""
        self._unused: list[int] = []
        self._live = bytearray()
        """All nodes as flags."""
        self._joined: dict[tuple[bytes, bytes], bytes] = {}
        self._pieces: dict[tuple[int, bytes, bytes], bytes] = {}
        self.generation = 0
        """Another number after each change."""

    def __len__(self) -> int:
        return len(self._names)

    def add(self, node: str) -> None:
        """Give ``node`` a lane."""
        if node in self._lanes:
            return
        self._change()
        if self._unused:
            lane = self._unused.pop()
        else:
            lane = len(self._names)
            self._names.append("")
            self._quoted.append(b"")
            self._live.append(0)
        self._names[lane] = node
        self._quoted[lane] = msgspec.json.encode(node)
        self._live[lane] = 1
        self._lanes[node] = lane

    def remove(self, node: str) -> None:
        """Take the lane of ``node`` away. Claims on it count on the next node there until they end: too much,
        never too little."""
        lane = self._lanes.pop(node, None)
        if lane is not None:
            self._change()
            self._names[lane] = ""
            self._live[lane] = 0
            self._unused.append(lane)

    def _change(self) -> None:
        self.generation += 1
        self._joined.clear()
        self._pieces.clear()

    def lane(self, node: str) -> int | None:
        """The lane of ``node``; None: it has none."""
        return self._lanes.get(node)

    def select(self, nodes: Collection[str]) -> Selection:
        """``nodes`` by their lanes."""
        # Mostly nearly all nodes are asked about. Then it is quickest to look for those that are not.
        absent = self._lanes.keys() - nodes if 2 * len(nodes) > len(self._lanes) else None
        if absent is not None and len(absent) + len(nodes) == len(self._lanes):
            flags = self._live[:]
            for node in absent:
                flags[self._lanes[node]] = 0
            return Selection(bytes(flags), [])
        flags = bytearray(len(self._names) + 1)
        for lane in map(self._lanes.get, nodes, repeat(len(self._names))):
            flags[lane] = 1
        unknown = [node for node in nodes if node not in self._lanes] if flags[-1] else []
        return Selection(bytes(flags[:-1]), unknown)

    def names(self, flags: bytes) -> list[str]:
        """The nodes of ``flags``, in the order of their lanes; ``""`` for one that is gone."""
        return list(compress(self._names, flags))

    def joined(self, flags: bytes, separator: bytes) -> bytes:
        """The same as JSON. Many Pods in turn are told the same nodes."""
        key = (flags, separator)
        found = self._joined.get(key)
        if found is None:
            if len(self._joined) >= _JOINED:
                self._joined.clear()
            found = self._joined[key] = self._join(flags, separator)
        return found

    def _join(self, flags: bytes, separator: bytes) -> bytes:
        if flags.count(1) < _LONG:
            return separator.join(compress(self._quoted, flags))
        pieces = (self._piece(start, flags, separator) for start in range(0, len(flags), _PIECE))
        return separator.join(filter(None, pieces))

    def _piece(self, start: int, flags: bytes, separator: bytes) -> bytes:
        part = flags[start : start + _PIECE]
        key = (start, part, separator)
        found = self._pieces.pop(key, None)
        if found is None:
            found = separator.join(compress(self._quoted[start : start + _PIECE], part))
            if len(self._pieces) >= _PIECES:
                del self._pieces[next(iter(self._pieces))]
        self._pieces[key] = found  # the last one again: those that are not asked for any more come to be the first
        return found

    def by_name(self, packed: int) -> dict[str, int]:
        """Names and numbers of the nodes whose number is not zero."""
        numbers = unpacked(packed, len(self._names))
        return {name: number for name, number in zip(self._names, numbers, strict=True) if number and name}


@dataclass(frozen=True)
class Selection:
    """Some nodes as flags, and the names of those that have no lane."""

    flags: bytes
    unknown: list[str]


@dataclass(frozen=True)
class Chosen:
    """A set of nodes, kept as a byte for each node there is."""

    index: Index
    flags: bytes = b""

    def __len__(self) -> int:
        return sum(self.flags)

    def __contains__(self, node: object) -> bool:
        lane = self.index.lane(node) if isinstance(node, str) else None
        return lane is not None and lane < len(self.flags) and self.flags[lane] == 1

    def __iter__(self) -> Iterator[str]:
        return filter(None, self.index.names(self.flags))


class Lanes:
    """A number for each node of ``index``, zero unless put otherwise."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._numbers = array("I")
        self._packed: int | None = 0
        self._changes: list[int] = []
        self._forgotten = 0

    def put(self, node: str, number: int) -> None:
        """The number of ``node``, which may be unknown: then nothing is kept."""
        lane = self._index.lane(node)
        if lane is None:
            return
        if lane >= len(self._numbers):
            self._numbers.extend(repeat(0, lane + 1 - len(self._numbers)))
        kept = max(0, min(LARGEST, number))
        if kept == self._numbers[lane]:
            return
        self._numbers[lane] = kept
        self._packed = None
        if len(self._changes) >= _REMEMBERED:
            self._forgotten += len(self._changes)
            self._changes.clear()
        self._changes.append(lane)

    @property
    def mark(self) -> int:
        """What ``since`` tells the changes after this moment by."""
        return self._forgotten + len(self._changes)

    def since(self, mark: int) -> list[int] | None:
        """The lanes whose numbers changed after ``mark``; None: too long ago."""
        start = mark - self._forgotten
        return self._changes[start:] if start >= 0 else None

    def column(self) -> array[int]:
        """All of them, to be read at once."""
        missing = len(self._index) - len(self._numbers)
        if missing > 0:
            self._numbers.extend(repeat(0, missing))
        return self._numbers

    @property
    def packed(self) -> int:
        """All of them."""
        if self._packed is None:
            self._packed = int.from_bytes(_little(self._numbers).tobytes(), "little")
        return self._packed


def _little(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers


def unpacked(packed: int, count: int) -> array[int]:
    """The first ``count`` numbers."""
    numbers = array("I", packed.to_bytes(_BYTES * count, "little"))
    return _little(numbers)


@lru_cache(maxsize=8)
def ones(count: int) -> int:
    """1 in each of ``count`` lanes."""
    return ((1 << (8 * _BYTES * count)) - 1) // ((1 << (8 * _BYTES)) - 1)


@lru_cache(maxsize=8)
def _tops(count: int) -> int:
    return ones(count) << _TOP


def at_least(left: int, right: int, count: int) -> int:
    """The mask of those of ``count`` lanes in which ``left`` is not less than ``right``."""
    return (((left | _tops(count)) - right) >> _TOP) & ones(count)


@lru_cache(maxsize=128)
def mask_of(flags: bytes) -> int:
    """Flags as a mask."""
    wide = bytearray(_BYTES * len(flags))
    wide[::_BYTES] = flags
    return int.from_bytes(wide, "little")


def flags_of(mask: int, count: int) -> bytes:
    """A mask as flags."""
    return mask.to_bytes(_BYTES * count, "little")[::_BYTES]


def equal(values: bytes, value: int, flags: bytes) -> bytes:
    """Of the nodes of ``flags`` those where ``values``, a byte for each node, has ``value``; as flags."""
    same = int.from_bytes(values.translate(_EQUAL[value]), "little") & int.from_bytes(flags, "little")
    return same.to_bytes(len(flags), "little")


_EQUAL = [bytes(number == value for number in range(256)) for value in range(256)]


def some(mask: int, most: int, start: int, count: int) -> int:
    """At most ``most`` of the nodes in ``mask``: the next ones from lane ``start`` of ``count`` on, round about."""
    flags = flags_of(mask, count)
    chosen = bytearray(count)
    for lane in islice(compress(chain(range(start, count), range(start)), flags[start:] + flags[:start]), most):
        chosen[lane] = 1
    return mask_of(bytes(chosen))
