"""Explain: the verdict on a waiting Pod in words, with names. For its condition, its Events and /explain.

Pure. The words stay the same while the situation does: no counts that move, names in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from podnet_api.meta import Model

from podnet_scheduler_extender import filter, refusals, score
from podnet_scheduler_extender.demand import Demand, Need, Resolution
from podnet_scheduler_extender.filter import Verdict
from podnet_scheduler_extender.ledger import Ledger
from podnet_scheduler_extender.refusals import Refusal
from podnet_scheduler_extender.snapshot import Snapshot

_NAMES = 5
_LONGEST = 1000


@dataclass(frozen=True)
class Explanation:
    """Whether some node fits; if none, why: ``reason`` is a word of podnet_api.reasons."""

    fits: bool
    reason: str = ""
    message: str = ""


def explain(resolution: Resolution, offered: Collection[str] | None, snapshot: Snapshot, ledger: Ledger) -> Explanation:
    """The verdict on a Pod over the nodes that kube-scheduler last offered; None: over all nodes."""
    if resolution.faults:
        faults = list(dict.fromkeys(fault.message for fault in resolution.faults))
        return _no(resolution.faults[0].refusal, "; ".join(faults))
    nodes = sorted(snapshot.nodes) if offered is None else sorted(offered)
    verdict = filter.judge(resolution, nodes, snapshot, ledger)
    if verdict.fits:
        return Explanation(True)
    return _no(*_why(resolution, verdict, snapshot))


def _no(refusal: Refusal, message: str) -> Explanation:
    return Explanation(False, refusal.reason, _cut(message, _LONGEST - len(refusal.advice)) + "; " + refusal.advice)


def _why(resolution: Resolution, verdict: Verdict, snapshot: Snapshot) -> tuple[Refusal, str]:
    """The refusal that most of the nodes share which have all networks; else where the networks are."""
    full = {node: why for node, why in verdict.refused.items() if why is not refusals.NOT_ON_NODE}
    if not full:
        return refusals.NOT_ON_NODE, _whereabouts(resolution.demand.networks, snapshot)
    counts = Counter(why for why in refusals.REASONS for node in full if full[node] is why)
    refusal = counts.most_common(1)[0][0]
    parts = [f"{why.text}: {_list(n for n, w in full.items() if w is why)}" for why in counts]
    texts = [text for need in resolution.demand.needs for text in (*_holders(need, snapshot), _stock(need, snapshot))]
    details = "; ".join(text for text in texts if text)
    return refusal, "no node with the networks has room for the Pod: " + "; ".join(parts) + _brackets(details)


def _brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _holders(need: Need, snapshot: Snapshot) -> Iterator[str]:
    """Who has the addresses that the Pod asks for by number."""
    stock = snapshot.stocks.get(need.config)
    for address in need.static if stock else ():
        assert stock is not None
        block = stock.pool.claim_of(address) if stock.pool else None
        for pod, node in sorted((snapshot.name_of(uid), node) for uid, node in stock.static.get(address, ())):
            yield f"Pod {pod} on {node} has {address}"
        if block in stock.kept:
            yield f"{address} is kept for a Pod of a StatefulSet"
        elif block in stock.blocks and address not in stock.static:
            yield f"{address} belongs to {stock.blocks[block]}"


def _stock(need: Need, snapshot: Snapshot) -> str:
    """What the pool of a NetworkConfig holds in all."""
    stock = snapshot.stocks.get(need.config)
    families = stock.families if stock else {}
    sizes = [f"{families[v].total} IPv{v} addresses" for v, _ in need.uses if v in families]
    whose = " on each node" if any(families[v].per_node for v, _ in need.uses if v in families) else ""
    return f"the pool of {need.network} has {' and '.join(sizes)}{whose}" if sizes else ""


def _whereabouts(networks: Iterable[str], snapshot: Snapshot) -> str:
    """Each network and its nodes. A node with all of them that was not asked about has other faults."""
    ready = [{node for node, entry in snapshot.on(network).items() if entry.ready} for network in networks]
    common = set.intersection(*ready) if ready else set()
    if common:
        return f"the networks are on {_list(common)}, which kube-scheduler refuses for other reasons"
    return "no node has all networks of the Pod: " + "; ".join(_where(network, snapshot) for network in networks)


def _where(network: str, snapshot: Snapshot) -> str:
    entries = snapshot.on(network)
    ready = [node for node, entry in entries.items() if entry.ready]
    if ready:
        return f"{network} is on {_list(ready)}"
    if not entries:
        return f"{network} is on no node"
    node = min(entries)
    entry = entries[node]
    detail = f"{node}: {entry.reason}" + (f", {entry.message}" if entry.message else "")
    return f"{network} is ready on no node ({detail})"


def _list(nodes: Iterable[str]) -> str:
    ordered = sorted(nodes)
    text = ", ".join(ordered[:_NAMES])
    return text if len(ordered) <= _NAMES else f"{text} and {len(ordered) - _NAMES} more"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


class NetworkNumbers(Model, frozen=True, kw_only=True, omit_defaults=False):
    """What a node has of one network, and how much of it bound Pods use. Pods in flight count besides."""

    network: str
    attachments_used: int
    attachments_capacity: int
    addresses_left: dict[str, int]
    """By family, ``IPv4`` and ``IPv6``: what a Pod on this node could get."""


class NodeVerdict(Model, frozen=True, kw_only=True, omit_defaults=False):
    """One node. ``why`` is ``fits`` or a sentence of ``refusals``; ``score`` (0 to 10, only of those that fit) is
    made of ``free``, the free part of what is scarcest, ``near``, whether addresses are at hand, and ``local``,
    whether devices hang on one NUMA node as far as that is known (and has weight)."""

    node: str
    fits: bool
    why: str
    score: int | None
    free: float | None
    near: bool | None
    local: bool | None
    networks: list[NetworkNumbers]


class Report(Model, frozen=True, kw_only=True, omit_defaults=False):
    """The answer of /explain as JSON; fields are added to it and never changed or removed. ``standing`` says where
    a Pod went that is not to be placed any more; then there are no nodes. ``reason`` is one of podnet_api.reasons."""

    pod: str
    standing: str = ""
    fits: bool = True
    reason: str = ""
    message: str = ""
    nodes: list[NodeVerdict] = []


def report(
    pod: str,
    explanation: Explanation,
    verdict: Verdict,
    resolution: Resolution,
    snapshot: Snapshot,
    weights: score.Weights,
) -> Report:
    """On a Pod that is to be placed: the verdict, and numbers for each node."""
    scores = score.reckoned(resolution.demand, snapshot.index.select(verdict.fitting), snapshot, weights)
    words = dict.fromkeys(verdict.fitting, "fits") | {node: why.text for node, why in verdict.refused.items()}
    nodes = [_node(node, words[node], scores.get(node), resolution.demand, snapshot) for node in sorted(words)]
    return Report(pod=pod, fits=explanation.fits, reason=explanation.reason, message=explanation.message, nodes=nodes)


def _node(node: str, why: str, found: score.Reckoned | None, demand: Demand, snapshot: Snapshot) -> NodeVerdict:
    return NodeVerdict(
        node=node,
        fits=why == "fits",
        why=why,
        score=found.score if found else None,
        free=round(found.free, 3) if found else None,
        near=found.near if found else None,
        local=found.local if found else None,
        networks=[numbers for need in demand.needs if (numbers := _numbers(need, node, snapshot))],
    )


def _numbers(need: Need, node: str, snapshot: Snapshot) -> NetworkNumbers | None:
    entry, stock = snapshot.on(need.network).get(node), snapshot.stocks.get(need.config)
    if entry is None or stock is None:
        return None
    left = {f"IPv{v}": stock.families[v].left(node) for v, _ in need.uses if v in stock.families}
    return NetworkNumbers(
        network=need.network,
        attachments_used=stock.in_use(node),
        attachments_capacity=entry.attachments.capacity,
        addresses_left=left,
    )


def page(report: Report) -> str:
    """``report`` for people: the verdict, then a line for each node."""
    first = report.standing or ("fits" if report.fits else f"{report.reason}: {report.message}")
    return "\n".join([f"Pod {report.pod}: {first}", *(_line(node) for node in report.nodes)]) + "\n"


def _line(node: NodeVerdict) -> str:
    parts = []
    if node.score is not None and node.free is not None:
        hand = "at hand" if node.near else "to be claimed first"
        apart = "" if node.local else ", devices on several NUMA nodes"
        parts.append(f"score {node.score}: {node.free:.0%} free, addresses {hand}{apart}")
    for found in node.networks:
        used = f"{found.network}: {found.attachments_used} of {found.attachments_capacity} attachments in use"
        parts.append(", ".join([used, *(f"{n} {v} addresses left" for v, n in found.addresses_left.items())]))
    return f"  {node.node}: {node.why}{_brackets('; '.join(parts))}"
