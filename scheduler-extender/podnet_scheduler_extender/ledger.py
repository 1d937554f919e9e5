"""Ledger: Pods in flight. kube-scheduler binds a Pod some time after the filter call and never says where.

Pure. A claim stands for a Pod that was told several candidate nodes: it counts on each of them for what a
node has, and once for what a whole pool has. It ends when the watch shows the Pod bound, finished or
deleted (``cache`` calls ``drop``), when the Pod is filtered again, or after ``ttl`` seconds.

Whoever checks and records must do so without waiting in between; then two Pods never get the last
address. After a restart bound Pods come back by LIST; claims do not, and the node server is the last
judge of that short while.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from podnet_scheduler_extender import lanes
from podnet_scheduler_extender.demand import Demand, Need
from podnet_scheduler_extender.lanes import Chosen

TTL = 30.0


@dataclass(frozen=True)
class Claim:
    """``nodes`` are the candidates, ``until`` is when it ends by itself."""

    nodes: Chosen
    demand: Demand
    until: float


class Claims:
    """The claims on one NetworkConfig, and their sums: in all, and packed by node (see ``lanes``)."""

    def __init__(self) -> None:
        self.by_uid: dict[str, tuple[Chosen, Need]] = {}
        self.attachments = 0
        self.addresses: Counter[int] = Counter()
        """By family."""
        self.packed_attachments = 0
        self.packed_addresses: Counter[int] = Counter()

    def add(self, uid: str, nodes: Chosen, need: Need, mask: int) -> None:
        """``mask`` is that of ``nodes``."""
        self.by_uid[uid] = (nodes, need)
        self._count(need, mask, 1)

    def remove(self, uid: str, mask: int) -> None:
        """Undo ``add``."""
        self._count(self.by_uid.pop(uid)[1], mask, -1)

    def _count(self, need: Need, mask: int, sign: int) -> None:
        self.attachments += sign * need.attachments
        self.packed_attachments += sign * need.attachments * mask
        for version, count in need.uses:
            self.addresses[version] += sign * count
            self.packed_addresses[version] += sign * count * mask


_NONE = Claims()


class Ledger:
    """All claims, by uid."""

    def __init__(self, ttl: float = TTL) -> None:
        self._ttl = ttl
        self._claims: dict[str, Claim] = {}
        self._on: dict[str, Claims] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def __contains__(self, uid: str) -> bool:
        return uid in self._claims

    def get(self, uid: str) -> Claim | None:
        """The claim of a Pod."""
        return self._claims.get(uid)

    def on(self, config: str) -> Claims:
        """The claims on a NetworkConfig."""
        return self._on.get(config, _NONE)

    def record(self, uid: str, nodes: Chosen, demand: Demand, now: float) -> None:
        """The Pod ``uid`` was told ``nodes``. Replaces its earlier claim; no node: no claim."""
        self.drop(uid)
        if 1 not in nodes.flags or not demand.needs:
            return
        self._claims[uid] = Claim(nodes, demand, now + self._ttl)
        mask = lanes.mask_of(nodes.flags)
        for need in demand.needs:
            self._on.setdefault(need.config, Claims()).add(uid, nodes, need, mask)

    def drop(self, uid: str) -> bool:
        """End the claim of a Pod; whether there was one."""
        claim = self._claims.pop(uid, None)
        if claim is None:
            return False
        mask = lanes.mask_of(claim.nodes.flags)
        for need in claim.demand.needs:
            claims = self._on[need.config]
            claims.remove(uid, mask)
            if not claims.by_uid:
                del self._on[need.config]
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
