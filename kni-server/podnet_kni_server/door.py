"""The KNI socket, before and after somebody asks: gRPC is loaded when the first client connects.

Where the runtime has NRI nobody may ever ask, and gRPC takes 12 MiB and a quarter of the start. So the socket is a
plain one at first. When somebody connects, the server is made on a socket of its own, which is then renamed into this
one's place: whoever comes later finds gRPC itself, and who came before is carried over to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from podnet_api.errors import PodnetError

log = logging.getLogger(__name__)

_PIECE = 1 << 16
_Visitor = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class SocketError(PodnetError):
    """The socket's place cannot be used."""


class Behind(Protocol):
    """The server that is behind the door (server.Server)."""

    async def start(self, path: Path) -> None:
        """Listen on ``path``, where nothing is yet, in a directory that only root enters."""

    async def serving(self, ready: bool) -> None:
        """Tell health checks whether Pods can be attached."""

    async def stop(self) -> None:
        """Finish the calls under way and stop."""


Load = Callable[[], Callable[[], Behind]]
"""Imports what the server needs, in a thread; what it returns makes the server, in the event loop."""


class Door:
    """The socket at ``path``, which only root can reach. Made by the server's start."""

    def __init__(self, path: Path, load: Load) -> None:
        self._path = path
        self._load = load
        self._ready = False
        self._behind: Behind | None = None
        self._listener: asyncio.Server | None = None
        self._visitors: asyncio.Queue[_Visitor] = asyncio.Queue()

    async def start(self) -> None:
        """Listen; NOT_SERVING until told otherwise. Raises SocketError."""
        _prepare(self._path)
        self._listener = await asyncio.start_unix_server(self._came, self._path)
        self._path.chmod(0o600)

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._visitors.put_nowait((reader, writer))

    async def run(self) -> None:
        """Open when somebody comes, until cancelled."""
        async with asyncio.TaskGroup() as visits:
            while True:
                visitor = await self._visitors.get()
                await self._open()
                visits.create_task(self._carry(*visitor), name="KNI client")

    async def _open(self) -> None:
        if self._behind is not None:
            return
        make = await asyncio.to_thread(self._load)
        self._behind = make()
        await self._behind.serving(self._ready)
        own = self._path.with_suffix(".grpc")
        own.unlink(missing_ok=True)
        await self._behind.start(own)
        own.chmod(0o600)
        own.replace(self._path)
        log.info("a client came to %s: gRPC is loaded", self._path)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What one client says and hears."""
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self._path)
        except OSError as error:
            log.warning("cannot carry a client of %s over to gRPC: %s", self._path, error)
            writer.close()
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    async def serving(self, ready: bool) -> None:
        """Tell health checks whether Pods can be attached."""
        self._ready = ready
        if self._behind is not None:
            await self._behind.serving(ready)

    async def stop(self) -> None:
        """Finish the calls under way and stop."""
        if self._listener is not None:
            self._listener.close()
        if self._behind is not None:
            await self._behind.stop()
        self._path.unlink(missing_ok=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
    writer.close()


def _prepare(path: Path) -> None:
    """A directory that only root enters, and no stale socket. Anything else at that place is left alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = os.lstat(path.parent)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise SocketError(f"cannot listen on {path}: {path.parent} is not a directory of ours")
    path.parent.chmod(0o700)
    if path.is_socket():
        path.unlink()
    elif path.exists() or path.is_symlink():
        raise SocketError(f"cannot listen on {path}: something that is not a socket stands there")
