"""compat's mirror and its holder of addresses at work, and waiting for what they make."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from podnet_compat.maker import Maker
from podnet_compat.mirror import Mirror
from podnet_compat.reservations_live import Live
from podnet_compat.store import Store


async def until(true: Callable[[], object], seconds: float = 5) -> None:
    """Returns once ``true`` says so. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def holding(store: Store) -> AsyncIterator[Live]:
    """What holds addresses, with the mirror that asks it."""
    made = Live(store)
    mirror = Mirror(store, Maker(store, made))
    tasks = [asyncio.create_task(made.run()), asyncio.create_task(mirror.run())]
    yield made
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
