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
ONE_ADDRESS = Network(range={"cidr": "10.0.0.0/24", "start": "10.0.0.10", "end": "10.0.0.10"})
Step = Callable[[Plane], Coroutine[Any, Any, None]]


async def network_made(control: Plane) -> None:
    await control.network(Network())


async def network_on_a_node(control: Plane) -> None:
    await control.carry("node-00000", Network(), ready=True)


async def uplink_down(control: Plane) -> None:
    await control.network(Network())
    await control.carry("node-00000", Network(), ready=False)


async def network_on_no_node(control: Plane) -> None:
    await control.carry("node-00000", Network(), ready=True)


async def last_address_taken(control: Plane) -> None:
    await control.network(ONE_ADDRESS)
    await control.carry("node-00000", ONE_ADDRESS, ready=True)
    await control.pod("holder", planes.managed(NETWORK) | {"nodeName": "node-00001"}, planes.listed(NETWORK))


async def no_node_has_it(control: Plane) -> None:
    await control.network(Network())


async def node_added(control: Plane) -> None:
    await control.node("node-new", [Network()])


async def address_freed(control: Plane) -> None:
    await control.send("DELETE", f"{planes.PODS}/holder?gracePeriodSeconds=0")


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
@pytest.mark.parametrize(
    ("before", "event"),
    [
        (network_made, network_on_a_node),
        (network_on_no_node, network_made),
        (uplink_down, network_on_a_node),
        (last_address_taken, address_freed),
        (no_node_has_it, node_added),
    ],
)
async def test_it_is_placed_within_two_seconds(control: Plane, before: Step, event: Step) -> None:
    await control.nodes(2, 0)
    await before(control)
    async with running(control) as (bindings, _):
        await control.pod("waits", planes.managed(NETWORK), planes.listed(NETWORK))
        await _until(lambda: "waits" in bindings.unschedulable)
        await asyncio.sleep(4)  # past the first pauses of kube-scheduler, so that nothing but the event wakes it
        assert "waits" not in bindings.node
        await event(control)
        started = time.monotonic()
        await _until(lambda: "waits" in bindings.node)
        seconds = time.monotonic() - started
    print(f"{event.__name__} after {before.__name__}: placed in {seconds:.2f} s")
    assert seconds < SECONDS


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
