"""Probes and metrics over HTTP on loopback: /healthz, /readyz, /metrics.

The kubelet asks every few seconds; a Python process for each answer takes 0.66 s of processor time, an eighth
of a core at one probe in five seconds, an HTTP request next to nothing. gRPC health on the socket says the
same for KNI clients.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import generate_latest

Ready = Callable[[], str]
"""Why the server is not ready, or ``""``."""


class Probes:
    """An HTTP server at ``address`` (``host:port``) that answers by ``why_not_ready``."""

    def __init__(self, address: str, why_not_ready: Ready) -> None:
        host, _, port = address.rpartition(":")
        self._place = host.strip("[]"), int(port)
        self._why_not_ready = why_not_ready
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, *self._place).start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        reason = self._why_not_ready()
        return web.Response(text=(reason or "ok") + "\n", status=503 if reason else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), content_type="text/plain")
