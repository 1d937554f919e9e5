"""Detaches stopped sandboxes behind the runtime's back, many at once.

Deleting a link waits for the kernel's grace periods, some 20 ms, and deleting thirty waits no longer. So what stops is
written down as leaving and answered; what has gathered meanwhile goes together, in a thread of the datapath's own.
Its addresses stay leased until the links are gone. A kill in between leaves records that the next start undoes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from podnet_api.errors import PodnetError

from podnet_kni_server.attach import Core

log = logging.getLogger(__name__)
_AT_ONCE = 64
"""Sandboxes: what they ask of nftables in one transaction has to fit into one message."""


class Reaper:
    """``lost`` hears of those that could not be detached: they are tried again one by one."""

    def __init__(self, core: Core, lost: Callable[[str], None]) -> None:
        self._core = core
        self._lost = lost
        self._going: list[str] = []
        self._changed = asyncio.Condition()

    async def take(self, sandbox: str) -> None:
        """Detach ``sandbox``: soon where that is enough, else now. Raises PodnetError."""
        if not await self._core.leave(sandbox):
            await self._core.detach(sandbox)
            return
        self._going.append(sandbox)
        async with self._changed:
            self._changed.notify_all()

    async def gone(self, pod: str) -> None:
        """Wait for a former sandbox of Pod ``namespace/name``: the next one may want the same addresses."""
        if self._has(pod):
            async with self._changed:
                await self._changed.wait_for(lambda: not self._has(pod))

    def _has(self, pod: str) -> bool:
        return any(record.pod == pod for record in map(self._core.record, self._going) if record)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(self._going))
            batch = self._going[:_AT_ONCE]
            await self._detach(batch)
            del self._going[: len(batch)]
            async with self._changed:
                self._changed.notify_all()

    async def _detach(self, batch: list[str]) -> None:
        try:
            await self._core.bury(batch)
        except PodnetError as error:
            log.warning("cannot detach %d sandboxes at once: %s; trying one by one", len(batch), error)
            for sandbox in batch:
                self._lost(sandbox)
