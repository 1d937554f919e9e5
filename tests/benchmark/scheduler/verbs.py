"""The extender's own time for one call, from the bytes of a request to the bytes of the answer, in one process.

`python tests/benchmark/scheduler/verbs.py [NODES]`. Each Pod is filtered, scored and 50 calls later bound, so that 50
are always in flight. Each call names all nodes, in another order, as kube-scheduler does. The rows differ in how scarce
things are. Milliseconds of the clock, and of the processor: the
difference is other programs on the machine.
"""

from __future__ import annotations

import contextlib
import gc
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from podnet_api import names
from podnet_scheduler_extender import wire
from podnet_scheduler_extender.fake import NAMESPACE, Cluster, listed

NODES = 5000
CALLS = 400
IN_FLIGHT = 50
_ORDERS = 20


@dataclass(frozen=True)
class Timing:
    """Milliseconds of the calls of one verb in one situation."""

    situation: str
    verb: str
    clock: list[float]
    processor: list[float]


def percentile(numbers: list[float], part: float) -> float:
    """0.5 for the median."""
    return sorted(numbers)[int(part * (len(numbers) - 1))]


@dataclass(frozen=True)
class Situation:
    """How many can attach on a node, the pool, and which part of the nodes carries the network."""

    name: str
    capacity: int
    cidr: str
    part: float = 1.0
    block: int = 28
    fill: int = 0
    """Pods that are bound on each node beforehand."""
    ready: bool = True


SITUATIONS = (
    Situation("plenty", 1000, "10.0.0.0/8"),
    Situation("8 attachments a node", 8, "10.0.0.0/8"),
    Situation("one attachment left", 4, "10.0.0.0/8", fill=3),
    Situation("network on half of the nodes", 1000, "10.0.0.0/8", part=0.5),
    Situation("pool nearly used up", 1000, "10.0.0.0/16", block=32, fill=12),
    Situation("network not ready", 1000, "10.0.0.0/8", ready=False),
)


def measure(situation: Situation, nodes: int, calls: int = CALLS) -> list[Timing]:
    """Time ``calls`` Pods."""
    cluster, orders = _cluster(situation, nodes)
    filtered, scored = Timing(situation.name, "filter", [], []), Timing(situation.name, "prioritize", [], [])
    flying: list[tuple[str, list[str]]] = []
    gc.collect()
    gc.freeze()
    for number in range(calls):
        pod = f"pod-{number}"
        request = _body(orders[number % len(orders)], pod)
        with _timed(filtered):
            answer = wire.encode(cluster.extender.filter(wire.arguments(request)))
        fitting = json.loads(answer)["NodeNames"]
        request = _body(fitting, pod)
        with _timed(scored):
            cluster.extender.prioritize(wire.arguments(request))
        flying.append((pod, fitting))
        if len(flying) > IN_FLIGHT:
            _bind(cluster, *flying.pop(0))
    gc.unfreeze()
    return [filtered, scored]


@contextlib.contextmanager
def _timed(timing: Timing) -> Iterator[None]:
    clock, processor = time.perf_counter(), time.thread_time()
    yield
    timing.processor.append((time.thread_time() - processor) * 1000)
    timing.clock.append((time.perf_counter() - clock) * 1000)


def _cluster(situation: Situation, count: int) -> tuple[Cluster, list[list[str]]]:
    """The cluster, and the names of its nodes in several orders."""
    cluster, chance = Cluster(), random.Random(1)
    cluster.config("blue", {"cidr": situation.cidr}, blockPrefix4=situation.block)
    cluster.network("blue", ready=situation.ready)
    names_ = [f"node-{number:05}.cluster.example" for number in range(count)]
    for number, node in enumerate(names_):
        carries = number < situation.part * count
        cluster.node(node, *(["blue"] if carries else []), capacity=situation.capacity)
        for place in range(situation.fill):
            cluster.pod(f"bound-{node}-{place}", ["blue"], node=node)
    return cluster, [chance.sample(names_, count) for _ in range(_ORDERS)]


def _body(nodes: list[str], pod: str) -> bytes:
    meta = {"name": pod, "namespace": NAMESPACE, "uid": pod}
    meta |= {"annotations": {names.NETWORKS_ANNOTATION: listed(["blue"])}}  # type: ignore[dict-item]
    asked = {"Pod": {"metadata": meta, "spec": {}}, "Nodes": None, "NodeNames": nodes}
    return json.dumps(asked, separators=(",", ":")).encode()


def _bind(cluster: Cluster, pod: str, fitting: list[str]) -> None:
    if fitting:
        cluster.pod(pod, ["blue"], node=fitting[hash(pod) % len(fitting)])


def report(nodes: int) -> list[Timing]:
    """Measure all situations, and print them."""
    print(f"{nodes} names, {IN_FLIGHT} Pods in flight; milliseconds")
    print(f"{'':42}{'clock p50':>10}{'p99':>8}{'processor p50':>15}{'p99':>8}")
    found = []
    for situation in SITUATIONS:
        for timing in measure(situation, nodes):
            clock, processor = ([percentile(n, p) for p in (0.5, 0.99)] for n in (timing.clock, timing.processor))
            words = f"{timing.situation:30}{timing.verb:12}{clock[0]:10.2f}{clock[1]:8.2f}"
            print(f"{words}{processor[0]:15.2f}{processor[1]:8.2f}", flush=True)
            found.append(timing)
    return found


if __name__ == "__main__":
    report(int(sys.argv[1]) if len(sys.argv) > 1 else NODES)
