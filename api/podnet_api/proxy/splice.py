"""exec, attach, port-forward: bytes in both directions, once the API server has answered 101.

Only then. A client whose upgrade was refused must not reach the API server's connection: what it sends next would
be a request that nobody has looked at (this was CVE-2018-1002105 of Kubernetes).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import http_writer, web

from podnet_api.proxy import exchange
from podnet_api.proxy.upstream import Call, Upstream

log = logging.getLogger(__name__)

_READ = 64 * 1024


class _Feeder:
    """What aiohttp hands raw bytes to; a reader that stops the other side when it is full."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.reader = asyncio.StreamReader(limit=_READ)
        self.reader.set_transport(transport)

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Takes some; (end, what is not ours)."""
        if data:
            self.reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        """The other side is gone."""
        self.reader.feed_eof()


async def splice(upstream: Upstream, call: Call, protocol: str, request: web.Request) -> web.StreamResponse:
    """Carries ``call`` out as a change of protocol, until either side ends it."""
    asked = [*call.headers, ("Connection", "Upgrade"), ("Upgrade", protocol)]
    changed = Call(call.method, call.path, call.query, asked, call.vouched, long=True)
    # The API server must decide within the time of any other request, however long the stream is after.
    async with asyncio.timeout(exchange.WHOLE_SECONDS) as deadline, upstream.request(changed) as answer:
        if answer.status != 101:
            response = await exchange.relay(answer, request, None)
            response.force_close()
            return response
        deadline.reschedule(None)
        return await _joined(answer, request, protocol)


async def _joined(answer: aiohttp.ClientResponse, request: web.Request, protocol: str) -> web.StreamResponse:
    connection, transport = answer.connection, request.transport
    if connection is None or connection.transport is None or connection.protocol is None or transport is None:
        raise aiohttp.ServerDisconnectedError("cannot change the protocol: the connection is gone")
    theirs, ours = _Feeder(connection.transport), _Feeder(transport)
    response = exchange.prepared(101, list(answer.headers.items()), reframed=True)
    response.headers["Connection"], response.headers["Upgrade"] = "Upgrade", answer.headers.get("Upgrade", protocol)
    request.protocol.set_parser(ours)  # type: ignore[arg-type]  # before 101, so that no byte is taken for HTTP
    await response.prepare(request)
    connection.protocol.set_parser(theirs, theirs.reader)
    writer = http_writer.StreamWriter(connection.protocol, asyncio.get_running_loop())
    try:
        await _first_of(_pump(theirs.reader, response.write), _pump(ours.reader, writer.write))
    finally:
        connection.close()
        request.protocol.force_close()
    return response


async def _pump(reader: asyncio.StreamReader, write: Callable[[bytes], Awaitable[None]]) -> None:
    try:
        while chunk := await reader.read(_READ):
            await write(chunk)
    except (ConnectionError, aiohttp.ClientError) as error:
        log.debug("a stream ended: %r", error)


async def _first_of(*pumps: Awaitable[None]) -> None:
    """Runs both until one side is at its end: then there is nobody to talk to."""
    tasks = [asyncio.ensure_future(pump) for pump in pumps]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
