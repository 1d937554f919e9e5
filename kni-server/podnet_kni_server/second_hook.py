"""The second hook as a whole: the socket for the shim, and its configuration in the node's directory while we serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
from aiohttp import web
from podnet_api.errors import PodnetError

from podnet_kni_server.cni import default
from podnet_kni_server.cni.errors import Code
from podnet_kni_server.runtime_calls import Call, RuntimeCalls

log = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0


class SecondHook:
    """``configurations`` and ``programs`` are the node's directories as seen from here, ``socket`` is the path that
    shim and server share. ``offered`` is called again and again while the configuration is in place."""

    def __init__(
        self,
        calls: RuntimeCalls,
        configurations: Path,
        programs: Path,
        socket: Path,
        offered: Callable[[], None] = lambda: None,
    ) -> None:
        self._listener = Listener(socket, calls)
        self._configurations = configurations
        self._programs = programs
        self._socket = str(socket)
        self._offered = offered
        self._said = ""

    async def run(self) -> None:
        """Serve until cancelled; then the runtime is back with the cluster's own configuration."""
        await self._listener.start()
        try:
            while True:
                self._offer()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            default.uninstall(self._configurations, self._programs)
            await self._listener.stop()

    def _offer(self) -> None:
        """Have the shim and its configuration on the node. What cannot be written is said, and tried again: the
        first hook goes on without."""
        try:
            default.install(default.SHIM, self._programs)
            there = default.publish(self._configurations, self._socket)
            now = "there" if there else "withdrawn: it were the only one"
            if there and self._said == now:  # the runtime has had time to read it
                self._offered()
        except default.InstallError as error:
            now = str(error)
        if now != self._said:
            log.info("the CNI configuration of podnet: %s", now)
        self._said = now


class Listener:
    """The HTTP server on the unix socket; its directory is closed to all but root."""

    def __init__(self, socket: Path, calls: RuntimeCalls) -> None:
        self._socket = socket
        self._calls = calls
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/cni", self._call)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> None:
        """Listen."""
        self._socket.unlink(missing_ok=True)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self._socket)).start()
        self._socket.chmod(0o600)

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()
        self._socket.unlink(missing_ok=True)

    async def _call(self, request: web.Request) -> web.Response:
        try:
            call = msgspec.json.decode(await request.read(), type=Call)
            answer = await self._calls.answer(call)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            return _refusal(f"cannot read the call: {error}", Code.DECODING_FAILURE)
        except PodnetError as error:
            log.warning("CNI %s of sandbox %s: %s", call.command, call.container, error)
            return _refusal(str(error), getattr(error, "code", 0) or Code.PLUGIN)
        return web.Response(body=b"" if answer is None else msgspec.json.encode(answer))


def _refusal(message: str, code: int) -> web.Response:
    body = msgspec.json.encode({"code": int(code), "msg": message})
    return web.Response(status=500, body=body, content_type="application/json")
