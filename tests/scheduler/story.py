"""What the stories of this directory share: programs at work, and how long a Pod takes that waited for something."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import Bindings, Plane

SECONDS = 2.0
"""In which a waiting Pod is to be placed."""


@contextlib.asynccontextmanager
async def running(control: Plane) -> AsyncIterator[tuple[Bindings, int]]:
    """kube-scheduler and the extender at work, and the extender's port."""
    port = planes.free_port()
    async with (
        control.running(await control.extender(port)),
        control.running(control.scheduler(port)),
        Bindings.of(control) as bindings,
    ):
        yield bindings, port


async def placed_after(bindings: Bindings, pod: str, event: Awaitable[object]) -> float:
    """Seconds from the event to the binding of the Pod that waited for it."""
    await until(lambda: pod in bindings.unschedulable)
    await asyncio.sleep(4)  # past the first pauses of kube-scheduler, so that nothing but the event wakes it
    assert pod not in bindings.node
    await event
    started = time.monotonic()
    await until(lambda: pod in bindings.node)
    return time.monotonic() - started


async def until(true: Callable[[], bool]) -> None:
    """Wait a minute at most. Raises TimeoutError."""
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)
