"""The second hook as a whole: the socket for the shim, and its configuration in the node's directory while we serve."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from podnet_kni_server.cni import default
from podnet_kni_server.runtime_calls import Listener, RuntimeCalls

log = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0


class SecondHook:
    """``configurations`` and ``programs`` are the node's directories as seen from here, ``socket`` is the path that
    shim and server share."""

    def __init__(self, calls: RuntimeCalls, configurations: Path, programs: Path, socket: Path) -> None:
        self._listener = Listener(socket, calls)
        self._configurations = configurations
        self._programs = programs
        self._socket = str(socket)

    async def run(self) -> None:
        """Serve until cancelled; then the runtime is back with the cluster's own configuration."""
        await self._listener.start()
        default.install(default.SHIM, self._programs)
        there = False
        try:
            while True:
                now = default.publish(self._configurations, self._socket)
                if now != there:
                    log.info(
                        "the CNI configuration of podnet is %s", "there" if now else "withdrawn: it were the only one"
                    )
                there = now
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            default.uninstall(self._configurations, self._programs)
            await self._listener.stop()
