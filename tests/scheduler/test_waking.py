"""A Pod that waits is placed within two seconds of what it waited for, with a real kube-scheduler that nobody polls."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import NETWORK, Bindings, Network, Plane

SECONDS = 2.0
ONE_ADDRESS = {"cidr": "10.0.0.0/24", "start": "10.0.0.10", "end": "10.0.0.10"}
Step = Callable[[Plane, str], Coroutine[Any, Any, None]]
"""On the plane, with the network and the node of this name."""


async def network_made(control: Plane, name: str) -> None:
    await control.network(Network(name))


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
    "uplink": (uplink_down, network_on_a_node),
    "address": (last_address_taken, address_freed),
    "node": (network_made, node_added),
}


@contextlib.asynccontextmanager
async def running(control: Plane) -> AsyncIterator[tuple[Bindings, int]]:
    port = planes.free_port()
    async with (
        control.running(await control.extender(port)),
        control.running(control.scheduler(port)),
        Bindings.of(control) as bindings,
    ):
        yield bindings, port


@pytest.mark.needs("apiserver")
async def test_it_is_placed_within_two_seconds(control: Plane) -> None:
    """One after the other: an event that wakes several makes kube-scheduler pause with all but one of them."""
    took: dict[str, float] = {}
    async with running(control) as (bindings, _):
        for name, (before, event) in CASES.items():
            await control.node(name, [])
            await before(control, name)
            await control.pod(f"waits-{name}", planes.managed(name), planes.listed(name))
            took[name] = await placed_after(control, bindings, name, event)
    print("placed after s:", {name: round(seconds, 2) for name, seconds in took.items()})
    assert max(took.values()) < SECONDS


async def placed_after(control: Plane, bindings: Bindings, name: str, event: Step) -> float:
    """Seconds from the event to the binding of the Pod that waited for it."""
    pod = f"waits-{name}"
    await _until(lambda: pod in bindings.unschedulable)
    await asyncio.sleep(4)  # past the first pauses of kube-scheduler, so that nothing but the event wakes it
    assert pod not in bindings.node
    await event(control, name)
    started = time.monotonic()
    await _until(lambda: pod in bindings.node)
    return time.monotonic() - started


@pytest.mark.needs("apiserver")
async def test_a_thousand_that_wait_cause_no_storm(control: Plane) -> None:
    """Each is told once; then there is silence."""
    await control.network(Network())
    await control.nodes(2, 0)
    async with running(control) as (bindings, port):
        await control.pods("waits", 1000, planes.managed(NETWORK), planes.listed(NETWORK))
        await _until(lambda: len(bindings.unschedulable) == 1000)
        before, started = _writes(await control.metrics(port)), time.monotonic()
        await asyncio.sleep(5)
        written = _writes(await control.metrics(port)) - before
        rate = written / (time.monotonic() - started)
    print(f"{rate:.1f} writes a second with 1,000 waiting Pods")
    assert rate <= 25


def _writes(page: str) -> float:
    return sum(float(count) for count in re.findall(r"pod_writes_total{[^}]*} ([0-9.]+)", page))


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)
