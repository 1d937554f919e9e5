"""A Pod that waits is placed within two seconds of what it waited for, with a real kube-scheduler that nobody polls."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import NETWORK, Network, Plane
from scheduler import story

OTHER = "other"
ONE_ADDRESS = {"cidr": "10.0.0.0/24", "start": "10.0.0.10", "end": "10.0.0.10"}
Step = Callable[[Plane, str], Coroutine[Any, Any, None]]
"""On the plane, with the network and the node of this name."""


async def network_made(control: Plane, name: str) -> None:
    await control.network(Network(name))


async def network_not_ready(control: Plane, name: str) -> None:
    await control.network(Network(name), ready=False)
    await control.carry(name, Network(name), ready=True)


async def network_ready(control: Plane, name: str) -> None:
    await control.ready(name)


async def network_on_a_node(control: Plane, name: str) -> None:
    await control.carry(name, Network(name), ready=True)


async def uplink_down(control: Plane, name: str) -> None:
    await control.network(Network(name))
    await control.carry(name, Network(name), ready=False)


async def last_address_taken(control: Plane, name: str) -> None:
    await control.network(Network(name, range=ONE_ADDRESS))
    await control.carry(name, Network(name), ready=True)
    await control.pod(f"holder-{name}", planes.managed(name) | {"nodeName": "elsewhere"}, planes.listed(name))


async def address_freed(control: Plane, name: str) -> None:
    await control.send("DELETE", f"{planes.PODS}/holder-{name}?gracePeriodSeconds=0")


async def node_added(control: Plane, name: str) -> None:
    await control.node(f"{name}-new", [Network(name)])


CASES: dict[str, tuple[Step, Step]] = {
    "made-ready": (network_made, network_on_a_node),
    "made": (network_on_a_node, network_made),
    "ready": (network_not_ready, network_ready),
    "uplink": (uplink_down, network_on_a_node),
    "address": (last_address_taken, address_freed),
    "node": (network_made, node_added),
}


@pytest.mark.needs("apiserver")
async def test_it_is_placed_within_two_seconds(control: Plane) -> None:
    """One after the other: an event that wakes several makes kube-scheduler pause with all but one of them."""
    took: dict[str, float] = {}
    async with story.running(control) as (bindings, _):
        for name, (before, event) in CASES.items():
            await control.node(name, [])
            await before(control, name)
            await control.pod(f"waits-{name}", planes.managed(name), planes.listed(name))
            took[name] = await story.placed_after(bindings, f"waits-{name}", event(control, name))
    print("placed after s:", {name: round(seconds, 2) for name, seconds in took.items()})
    assert max(took.values()) < story.SECONDS


@pytest.mark.needs("apiserver")
async def test_a_thousand_that_wait_cause_no_storm(control: Plane) -> None:
    """Each is told once, a few in a second; and who can be placed does not stand in line behind them."""
    await control.network(Network())
    await control.nodes(2, 0)
    await control.network(Network(OTHER), ready=False)
    await control.carry("node-00000", Network(OTHER), ready=True)
    async with story.running(control) as (bindings, port):
        await control.pod("waits-for-another", planes.managed(OTHER), planes.listed(OTHER))
        await control.pods("waits", 1000, planes.managed(NETWORK), planes.listed(NETWORK))
        await story.until(lambda: len(bindings.unschedulable) == 1001)
        before, started = _writes(await control.metrics(port)), time.monotonic()
        took = await story.placed_after(bindings, "waits-for-another", control.ready(OTHER))
        written = _writes(await control.metrics(port)) - before
        rate = written / (time.monotonic() - started)
    print(f"{rate:.1f} writes a second with 1,000 waiting Pods; another placed after {took:.2f} s")
    assert 0 < rate <= 25
    assert took < story.SECONDS


def _writes(page: str) -> float:
    return sum(float(count) for count in re.findall(r"pod_writes_total{[^}]*} ([0-9.]+)", page))
