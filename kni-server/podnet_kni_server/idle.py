"""Idle blocks: how long a node keeps a part of a pool that it has no lease in. Pure; times are seconds of any clock.

Giving a block back and claiming one again is a write each, so a block stays for a while in which it may be needed
again: twice as long, up to eight times, in a pool where one had to be claimed soon after another had gone back, as
where jobs come every few minutes. Single addresses are those of small pools, where others may be waiting: they go back
soon. So do blocks of a pool that is used up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from podnet_api import pools

IDLE_SECONDS = 60.0
IDLE_SECONDS_SINGLE = 10.0
_SOON = 10
"""A claim is soon after a give-back within so many times IDLE_SECONDS."""
_LONGEST = 8
"""The most by which IDLE_SECONDS is multiplied."""

Spot = tuple[str, pools.Network]
"""NetworkConfig and block."""


@dataclass
class _Pace:
    """How blocks of one family of a pool come and go. ``grown``: since one was given back; ``asked``: when it was last
    asked whether the pool is used up, which looks at the blocks of all nodes."""

    factor: int = 1
    held: int = 0
    gave: float = float("-inf")
    asked: float = float("-inf")
    grown: bool = True


class Idle:
    """Remembers since when blocks have been idle, and how their pools come and go."""

    def __init__(self) -> None:
        self._since: dict[Spot, float] = {}
        self._paces: dict[tuple[str, int], _Pace] = {}

    def look(self, config: str, held: Collection[pools.Network], idle: Collection[pools.Network], now: float) -> None:
        """What this node holds of a pool at ``now``, and which of it has no lease."""
        for version in (4, 6):
            self._count(config, version, sum(one.version == version and not _is_single(one) for one in held), now)
        for spot in [spot for spot in self._since if spot[0] == config and spot[1] not in idle]:
            del self._since[spot]
        for network in idle:
            self._since.setdefault((config, network), now)

    def _count(self, config: str, version: int, held: int, now: float) -> None:
        pace = self._paces.setdefault((config, version), _Pace())
        if held > pace.held:
            soon = now - pace.gave < _SOON * IDLE_SECONDS
            pace.factor = min(2 * pace.factor, _LONGEST) if soon and not pace.grown else pace.factor if soon else 1
            pace.grown = True
        pace.held = held

    def rested(self, config: str, network: pools.Network, now: float, used_up: Callable[[], bool]) -> bool:
        """Whether a block has been idle for long enough. ``used_up``: whether nobody can claim another of its pool."""
        idle = now - self._since.get((config, network), now)
        if _is_single(network):
            return idle >= IDLE_SECONDS_SINGLE
        if idle < IDLE_SECONDS:
            return False
        pace = self._paces.setdefault((config, network.version), _Pace())
        if idle >= IDLE_SECONDS * pace.factor:
            return True
        if now - pace.asked < IDLE_SECONDS:
            return False
        pace.asked = now
        return used_up()

    def gave(self, config: str, network: pools.Network, now: float) -> None:
        """A block goes back. Where none was claimed since the one before, the next need not wait as long."""
        self._since.pop((config, network), None)
        if _is_single(network):
            return
        pace = self._paces.setdefault((config, network.version), _Pace())
        if not pace.grown:
            pace.factor = max(1, pace.factor // 2)
        pace.held, pace.gave, pace.grown = max(0, pace.held - 1), now, False


def _is_single(network: pools.Network) -> bool:
    return network.prefixlen == network.max_prefixlen
