"""Keys to look at: each waits once however often it was asked for, and comes again after a failure.

Several are worked on at a time, because most of the work is waiting for the API server; never one key twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from podnet_api.errors import KubeError

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

RETRY = (0.5, 30.0)
"""Seconds to the first and, doubling, at most to every later try."""
AT_ONCE = 8


class Queue(Generic[K]):
    """A set of keys in order of arrival."""

    def __init__(self) -> None:
        self._waiting: dict[K, None] = {}
        self._pauses: dict[K, float] = {}
        self._busy: dict[K, bool] = {}
        """What is worked on, and whether it was asked for again meanwhile."""
        self._some = asyncio.Event()

    def add(self, key: K) -> None:
        """Look at ``key`` soon."""
        if key in self._busy:
            self._busy[key] = True
            return
        self._waiting[key] = None
        self._some.set()

    async def run(self, work: Callable[[K], Awaitable[None]]) -> None:
        """Call ``work`` for each key until cancelled. A KubeError is tried again later."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._worker(work))

    async def _worker(self, work: Callable[[K], Awaitable[None]]) -> None:
        while True:
            while not self._waiting:
                self._some.clear()
                await self._some.wait()
            key = next(iter(self._waiting))
            del self._waiting[key]
            self._busy[key] = False
            await self._one(key, work)
            if self._busy.pop(key):
                self.add(key)

    async def _one(self, key: K, work: Callable[[K], Awaitable[None]]) -> None:
        try:
            await work(key)
        except KubeError as error:
            pause = min(self._pauses.get(key, RETRY[0] / 2) * 2, RETRY[1])
            self._pauses[key] = pause
            log.warning("%s; again in %.1f s", error, pause)
            asyncio.get_running_loop().call_later(pause, self.add, key)
        else:
            self._pauses.pop(key, None)
