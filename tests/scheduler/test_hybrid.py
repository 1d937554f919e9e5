"""Pods that nodes count, as the webhook makes them with --hybrid: no call of the extender, and its promises hold."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest
from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import NETWORK, Network, Plane
from podnet_api import names, reasons
from scheduler import story

NODES, CAPACITY, PODS = 4, 25, 150


async def condition(control: Plane, pod: str) -> str:
    """The reason that the extender writes on a Pod."""
    found = (await control.send("GET", f"{planes.PODS}/{pod}"))["status"].get("conditions", [])
    return next((c["reason"] for c in found if c["type"] == names.NETWORKS_READY), "")


@pytest.mark.needs("apiserver")
async def test_no_over_commit_a_reason_and_waking_without_a_call(control: Plane) -> None:
    network = Network(capacity=CAPACITY)
    await control.network(network)
    await control.nodes(NODES + 1, NODES, [network])
    async with story.running(control) as (bindings, port):
        await control.pods("p", PODS, planes.counted(NETWORK), planes.listed(NETWORK))
        await bindings.until(NODES * CAPACITY)
        await story.until(lambda: len(bindings.unschedulable) >= PODS - NODES * CAPACITY)
        assert Counter(bindings.node.values()) == {f"node-{n:05}": CAPACITY for n in range(1, NODES + 1)}
        waiting = next(f"p-{n}" for n in range(PODS) if f"p-{n}" not in bindings.node)
        async with asyncio.timeout(20):
            while await condition(control, waiting) != reasons.NO_ATTACHMENTS_LEFT:
                await asyncio.sleep(0.2)
        await asyncio.sleep(4)  # past the first pauses of kube-scheduler
        gone, before = next(iter(bindings.node)), set(bindings.node)
        started = time.monotonic()
        await control.send("DELETE", f"{planes.PODS}/{gone}?gracePeriodSeconds=0")
        await story.until(lambda: bool(set(bindings.node) - before))
        freed = time.monotonic() - started
        started = time.monotonic()
        await control.node("node-new", [network])
        await bindings.until(NODES * CAPACITY + CAPACITY)
        added = time.monotonic() - started
        assert await control.answers(port, "filter") == 0
    print(f"freed: placed in {freed:.2f} s; node added: {CAPACITY} placed in {added:.2f} s")
    assert max(Counter(bindings.node.values()).values()) == CAPACITY
    assert freed < story.SECONDS
