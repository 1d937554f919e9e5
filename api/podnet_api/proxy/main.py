"""podnet-proxy: serves the API of a cluster with ``spec.networks``, until it is told to stop.

By itself it is nobody: callers bring their credentials. In a cluster it reads one Secret, where its certificate is.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from aiohttp import web

from podnet_api import program
from podnet_api.admission import secret
from podnet_api.kube.client import Client
from podnet_api.kube.credentials import Credentials
from podnet_api.proxy import tls
from podnet_api.proxy.app import Proxy
from podnet_api.proxy.upstream import HEAD_LIMIT, Upstream, keep_alive

log = logging.getLogger(__name__)

SERVICE = "podnet-proxy"
SECRET = "podnet-proxy-certs"
PORT = 8443
HEALTH_PORT = 8081
SHUTDOWN_SECONDS = 5.0


async def run(arguments: argparse.Namespace) -> None:
    """Serve until cancelled."""
    server = Credentials.nobody(arguments.kubeconfig)
    shown = tls.context(arguments.client_ca)
    vouching = None
    if arguments.client_ca and server.tls is not None:
        vouching = tls.vouching(server.tls, arguments.requestheader_cert, arguments.requestheader_key)
    async with _certificate(arguments, shown) as load, Upstream(server.server, server.tls, vouching) as upstream:
        await tls.first(load)
        proxy = Proxy(upstream, vouch=vouching is not None)
        async with _served(proxy.application(), arguments.bind, arguments.port, shown), _healthy(arguments):
            log.info("serving %s on port %d", server.server, arguments.port)
            await tls.keep(load)


@contextlib.asynccontextmanager
async def _certificate(arguments: argparse.Namespace, shown: ssl.SSLContext) -> AsyncIterator[tls.Load]:
    if arguments.tls_cert:
        yield tls.from_files(shown, Path(arguments.tls_cert), Path(arguments.tls_key))
        return
    async with Client(Credentials.load(arguments.kubeconfig), SERVICE) as client:
        yield tls.from_secret(shown, secret.Store(client, SERVICE, arguments.namespace, SECRET))


def runner(app: web.Application) -> web.AppRunner:
    """How ``app`` is run: a handler ends with its client, because nobody else would end a watch; and bodies go on as
    they came, because the API server is to see what their headers say."""
    return web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        auto_decompress=False,
        shutdown_timeout=SHUTDOWN_SECONDS,
        max_line_size=HEAD_LIMIT,
        max_field_size=HEAD_LIMIT,
    )


@contextlib.asynccontextmanager
async def _served(app: web.Application, bind: str, port: int, shown: ssl.SSLContext | None) -> AsyncIterator[None]:
    """``app`` on a port."""
    made = runner(app)
    await made.setup()
    try:
        listening = _listening(bind, port)
        await web.SockSite(made, listening, ssl_context=shown).start()
        yield
    finally:
        await made.cleanup()


def _listening(bind: str, port: int) -> socket.socket:
    """A socket whose connections notice when their client is gone: they inherit its options."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    made = socket.create_server((bind, port), family=family, dualstack_ipv6=bind == "::", backlog=256)
    keep_alive(made)
    return made


@contextlib.asynccontextmanager
async def _healthy(arguments: argparse.Namespace) -> AsyncIterator[None]:
    """Probes on a port of their own: /healthz of the other is the API server's."""
    if not arguments.health_port:
        yield
        return
    app = web.Application()
    app.router.add_get("/healthz", _ok)
    async with _served(app, arguments.bind, arguments.health_port, None):
        yield


async def _ok(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="podnet-proxy", description="spec.networks on an unmodified API server.")
    parser.add_argument("--kubeconfig", help="says where the API server is; default: as for kubectl, or in a Pod")
    parser.add_argument("--bind", default="::" if socket.has_dualstack_ipv6() else "0.0.0.0")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--health-port", type=int, default=0, help="plain HTTP, /healthz; default: none")
    parser.add_argument("--tls-cert", default="", help="PEM file; default: made, and kept in a Secret")
    parser.add_argument("--tls-key", default="", help="PEM file")
    parser.add_argument("--namespace", default="podnet-system", help="of the Service and the Secret")
    parser.add_argument("--client-ca", default="", help="PEM file: accept client certificates of this authority")
    parser.add_argument(
        "--requestheader-cert", default="", help="PEM file, with --client-ca: what the API server trusts"
    )
    parser.add_argument("--requestheader-key", default="", help="PEM file; guard it like a root key")
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    found = parser.parse_args(argv)
    if bool(found.tls_cert) != bool(found.tls_key):
        parser.error("--tls-cert and --tls-key belong together")
    if len({bool(found.client_ca), bool(found.requestheader_cert), bool(found.requestheader_key)}) > 1:
        parser.error("--client-ca, --requestheader-cert and --requestheader-key belong together")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Run until SIGTERM."""
    arguments = _arguments(argv)
    program.run(run(arguments), arguments.log_level)


if __name__ == "__main__":
    main()
