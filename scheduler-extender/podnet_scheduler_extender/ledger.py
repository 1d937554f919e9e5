"""Ledger: Pods in flight. kube-scheduler binds a Pod some time after the filter call and never says where.

Pure. A claim stands for a Pod that was told several candidate nodes: it counts on each of them for what a
node has, and once for what a whole pool has. It ends when the watch shows the Pod bound, finished or
deleted (``cache`` calls ``drop``), when the Pod is filtered again, or after ``ttl`` seconds.

Whoever checks and records must do so without waiting in between; then two Pods never get the last
address. After a restart bound Pods come back by LIST; claims do not, and the node server is the last
judge of that short while.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from podnet_scheduler_extender.demand import Demand, Need

TTL = 30.0


@dataclass(frozen=True)
class Claim:
    """``nodes`` are the candidates, ``until`` is when it ends by itself."""

    nodes: frozenset[str]
    demand: Demand
    until: float


class Ledger:
    """All claims, by uid."""

    def __init__(self, ttl: float = TTL) -> None:
        self._ttl = ttl
        self._claims: dict[str, Claim] = {}
        self._needs: dict[str, dict[str, tuple[frozenset[str], Need]]] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def __contains__(self, uid: str) -> bool:
        return uid in self._claims

    def get(self, uid: str) -> Claim | None:
        """The claim of a Pod."""
        return self._claims.get(uid)

    def on(self, config: str) -> Collection[tuple[frozenset[str], Need]]:
        """Candidates and need of every claim on a NetworkConfig."""
        return self._needs.get(config, {}).values()

    def record(self, uid: str, nodes: Iterable[str], demand: Demand, now: float) -> None:
        """The Pod ``uid`` was told ``nodes``. Replaces its earlier claim; no node: no claim."""
        self.drop(uid)
        claim = Claim(frozenset(nodes), demand, now + self._ttl)
        if not claim.nodes or not demand.needs:
            return
        self._claims[uid] = claim
        for need in demand.needs:
            self._needs.setdefault(need.config, {})[uid] = (claim.nodes, need)

    def drop(self, uid: str) -> bool:
        """End the claim of a Pod; whether there was one."""
        claim = self._claims.pop(uid, None)
        if claim is None:
            return False
        for need in claim.demand.needs:
            claims = self._needs[need.config]
            del claims[uid]
            if not claims:
                del self._needs[need.config]
        return True

    def expire(self, now: float) -> int:
        """End the claims whose time is over; how many. The oldest stand first, because all live equally long."""
        over = []
        for uid, claim in self._claims.items():
            if claim.until > now:
                break
            over.append(uid)
        return sum(self.drop(uid) for uid in over)

    @property
    def next_expiry(self) -> float | None:
        """When the oldest claim ends by itself."""
        return next((claim.until for claim in self._claims.values()), None)
