"""Preempt: on which nodes would the victims that kube-scheduler chose make room for the Pod.

Pure. kube-scheduler knows nothing of networks: without this it would evict Pods from nodes that cannot
take the Pod even then. A node whose victims do not suffice is left out, also when the list of victims is
empty (kube-scheduler from 1.38 on asks so).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from podnet_scheduler_extender import filter
from podnet_scheduler_extender.demand import Demand, Resolution
from podnet_scheduler_extender.ledger import Ledger
from podnet_scheduler_extender.snapshot import Snapshot

Booked = Callable[[str], tuple[str, Demand] | None]
"""Node and demand of a bound Pod, by uid."""


def nodes_with_room(
    resolution: Resolution,
    victims: Mapping[str, Collection[str]],
    booked: Booked,
    snapshot: Snapshot,
    ledger: Ledger,
) -> set[str]:
    """The nodes that take the Pod once their ``victims`` (uids by node) are gone."""
    return {node for node, uids in victims.items() if _fits(resolution, node, uids, booked, snapshot, ledger)}


def _fits(
    resolution: Resolution, node: str, uids: Collection[str], booked: Booked, snapshot: Snapshot, ledger: Ledger
) -> bool:
    """Takes the victims off the books, looks, and puts them back: nothing can see the books meanwhile."""
    gone = [(uid, found[1]) for uid in uids if (found := booked(uid)) is not None and found[0] == node]
    try:
        for uid, demand in gone:
            for need in demand.needs:
                stock = snapshot.stocks[need.config]
                stock.says(node, stock.said(node) - need.attachments)
                stock.remove(uid, node, need)
        return filter.judge(resolution, [node], snapshot, ledger).fits
    finally:
        for uid, demand in gone:
            for need in demand.needs:
                stock = snapshot.stocks[need.config]
                stock.add(uid, node, need)
                stock.says(node, stock.said(node) + need.attachments)
