"""The extender itself: each verb as one function from request to answer, without waiting anywhere.

``app`` calls it for kube-scheduler, ``wake`` for the waiting Pods. That nothing here awaits is what makes
check and record one step: between the verdict of a filter call and its claim nothing else runs.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
from podnet_api import core, names

from podnet_scheduler_extender import demand, explain, filter, lanes, preempt, score, wire
from podnet_scheduler_extender.cache import State
from podnet_scheduler_extender.demand import Resolution
from podnet_scheduler_extender.explain import Explanation, Report
from podnet_scheduler_extender.filter import Verdict
from podnet_scheduler_extender.lanes import Selection
from podnet_scheduler_extender.ledger import Ledger
from podnet_scheduler_extender.metrics import Metrics
from podnet_scheduler_extender.waiting import Action, Waiting

log = logging.getLogger(__name__)

_NOTHING = Resolution(demand.Demand(), (), frozenset())
_WEIGHTS = score.Weights()


@dataclass(frozen=True)
class _Told:
    """The nodes that /filter has answered, as JSON and by their lanes, which hold while ``generation`` does."""

    names: bytes
    selection: Selection
    generation: int


@functools.lru_cache(maxsize=64)
def _shared(flags: bytes) -> bytes:
    """The same object for the same nodes: thousands of Pods may wait."""
    return flags


class Extender:
    """State, ledger and waiting Pods, and the verbs over them. ``clock`` is a monotonic clock."""

    def __init__(self, clock: Callable[[], float], ledger: Ledger, weights: score.Weights = _WEIGHTS) -> None:
        self._clock = clock
        self.weights = weights
        self.ledger = ledger
        self.waiting = Waiting()
        self.metrics = Metrics()
        self._told: _Told | None = None
        self._scores = score.Scores()
        self._turn = 0
        self.changed: Callable[[], None] = lambda: None
        """Called when a waiting Pod might have another verdict now."""
        self.state = State(self._settled, lambda: self.changed())

    def filter(self, args: wire.Args) -> wire.FilterResult:
        """/filter. Raises BadRequestError."""
        pod, nodes = wire.pod_of(args), wire.named_nodes(args)
        resolution = self._resolution(pod)
        verdict = self._check_and_record(pod.metadata.uid, resolution, nodes)
        self._count(pod, verdict)
        answer = self._answer(args, verdict)
        self._told = _Told(answer.names, Selection(verdict.chosen.flags, []), self.state.snapshot.index.generation)
        return answer

    def _answer(self, args: wire.Args, verdict: Verdict) -> wire.FilterResult:
        """In the form of the question. Where all fit their names go back as they came."""
        refused: dict[bool, list[tuple[str, wire.Join]]] = {True: [], False: []}
        for why, lost in verdict.lost.items():
            refused[why.static].append((why.text, self._joining(lost)))
        failed, unresolvable = wire.failures(refused[False]), wire.failures(refused[True])
        if not wire.by_name(args):
            return wire.FilterResult(b"null", wire.fitting_nodes(args, verdict.fitting), failed, unresolvable)
        told = Selection(verdict.chosen.flags, [])
        fitting = bytes(args.node_names) if verdict.whole else wire.listed(self._joining(told))
        return wire.FilterResult(fitting, b"null", failed, unresolvable)

    def _joining(self, nodes: Selection) -> wire.Join:
        """Their names as JSON."""
        index, unknown = self.state.snapshot.index, [msgspec.json.encode(name) for name in nodes.unknown]

        def join(separator: bytes) -> bytes:
            known = [index.joined(nodes.flags, separator)] if 1 in nodes.flags else []
            return separator.join(known + unknown)

        return join

    def _check_and_record(self, uid: str, resolution: Resolution, nodes: list[str]) -> Verdict:
        """The critical section. Of a Pod that the watch shows bound already, the books speak."""
        now = self._clock()
        self.ledger.expire(now)
        dropped = self.ledger.drop(uid)
        verdict = filter.narrowed(filter.judge(resolution, nodes, self.state.snapshot, self.ledger), self._turn)
        self._turn = verdict.chosen.flags.rfind(1) + 1
        if self.state.booked(uid) is None:
            self.ledger.record(uid, verdict.chosen, resolution.demand, now)
        if verdict.fits:
            self.waiting.forget(uid)
        else:
            self.waiting.refused(uid, _shared(verdict.asked or bytes(len(self.state.snapshot.index))))
        if dropped or not verdict.fits:
            self.changed()
        return verdict

    def prioritize(self, args: wire.Args) -> bytes:
        """/prioritize, as JSON. Raises BadRequestError."""
        snapshot, asked = self.state.snapshot, self._selection(args)
        points, elsewhere = self._scores.on(self._resolution(wire.pod_of(args)).demand, snapshot, self.weights)
        ahead = score.lead(points, elsewhere, asked)
        return wire.priorities((lead, self._joining(Selection(flags, others))) for lead, flags, others in ahead)

    def _selection(self, args: wire.Args) -> Selection:
        """The nodes of a request; mostly they are what /filter has just answered."""
        index = self.state.snapshot.index
        if (told := self._told) and told.generation == index.generation and args.says(told.names):
            return told.selection
        return index.select(wire.named_nodes(args))

    def preempt(self, args: wire.PreemptionArgs) -> wire.PreemptionResult:
        """/preempt. Raises BadRequestError."""
        pod, candidates = wire.pod_of(args), args.candidates()
        self.ledger.drop(pod.metadata.uid)
        victims = {node: [victim.uid for victim in found.pods or []] for node, found in candidates.items()}
        resolution, snapshot = self._resolution(pod), self.state.snapshot
        kept = preempt.nodes_with_room(resolution, victims, self.state.booked, snapshot, self.ledger)
        log.info("preempt Pod %s: %d of %d nodes", pod, len(kept), len(candidates))
        return wire.PreemptionResult({node: found for node, found in candidates.items() if node in kept})

    def explain(self, namespace: str, name: str) -> Report | None:
        """/explain: on a Pod with networks, or None when there is none of that name."""
        tracked = self.state.find(namespace, name)
        if tracked is None:
            return None
        pod, standing = f"{namespace}/{name}", self._standing(tracked.pod)
        if standing:
            return Report(pod=pod, standing=standing)
        resolution, snapshot = tracked.resolution, self.state.snapshot
        verdict = filter.judge(resolution, sorted(snapshot.nodes), snapshot, self.ledger)
        return explain.report(pod, self._explain(tracked.pod), verdict, resolution, snapshot, self.weights)

    def sweep(self, most: int) -> Iterator[list[Action]]:
        """What is to be done about the waiting Pods now, at most ``most`` things: comes last, after nothing for each
        step on the way (see ``Waiting.sweep``). Those in flight are left out."""
        now = self._clock()
        self.ledger.expire(now)
        known: dict[tuple[int, bytes | None], tuple[Resolution, Explanation]] = {}

        def verdict(pod: core.Pod) -> Explanation:
            uid = pod.metadata.uid
            tracked = self.state.tracked(uid)
            resolution = tracked.resolution if tracked else _NOTHING
            key = (id(resolution), self.waiting.offered(uid))
            if key not in known:  # replicas ask for the same thing, and share its resolution
                known[key] = (resolution, self._explain(pod))
            return known[key][1]

        pods = (tracked.pod for tracked in self.state.waiting() if tracked.pod.metadata.uid not in self.ledger)
        return self.waiting.sweep(pods, verdict, now, most)

    def next_due(self) -> float | None:
        """Seconds until a sweep is due although nothing changes."""
        now = self._clock()
        times = [time for time in (self.ledger.next_expiry, self.waiting.next_due(now)) if time is not None]
        return max(0.0, min(times) - now) if times else None

    def _explain(self, pod: core.Pod) -> Explanation:
        tracked = self.state.tracked(pod.metadata.uid)
        resolution = tracked.resolution if tracked else _NOTHING
        flags = self.waiting.offered(pod.metadata.uid)
        offered = None if flags is None else list(lanes.Chosen(self.state.snapshot.index, flags))
        return explain.explain(resolution, offered, self.state.snapshot, self.ledger)

    def _standing(self, pod: core.Pod) -> str:
        """Where a Pod went, or ``""`` when that is open."""
        if pod.finished:
            return pod.status.phase
        if pod.spec.node_name:
            return f"on node {pod.spec.node_name}"
        claim = self.ledger.get(pod.metadata.uid)
        return f"in flight, told {len(claim.nodes)} nodes: {', '.join(sorted(claim.nodes)[:5])}" if claim else ""

    def _resolution(self, pod: wire.Pod) -> Resolution:
        text = pod.annotation(names.NETWORKS_ANNOTATION)
        if text is None:
            return _NOTHING
        owned = demand.Owned(pod.stateful_set, pod.metadata.name) if pod.stateful_set else None
        return self.state.resolve(pod.metadata.namespace, text, host_network=pod.spec.host_network, owned=owned)

    def _settled(self, uid: str) -> None:
        self.waiting.forget(uid)
        if self.ledger.drop(uid):
            self.changed()

    def _count(self, pod: wire.Pod, verdict: Verdict) -> None:
        counts = {why.text: lost.flags.count(1) + len(lost.unknown) for why, lost in verdict.lost.items()}
        for text, count in counts.items():
            self.metrics.refused.labels(text).inc(count)
        if log.isEnabledFor(logging.INFO):
            fitting = len(verdict.fitting)
            refused = "".join(f", {count} {text}" for text, count in counts.items())
            log.info("filter Pod %s: %d of %d nodes fit%s", pod, fitting, fitting + sum(counts.values()), refused)
