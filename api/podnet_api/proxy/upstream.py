"""The connections to the API server: one pool for callers who bring their own credentials, one more for those
whose client certificate this proxy vouches for. The second has the request-header certificate, the first has nothing.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
import yarl
from multidict import CIMultiDict

from podnet_api.errors import KubeError
from podnet_api.proxy.headers import Headers

CONNECT_SECONDS = 10.0
READ_SECONDS = 75.0
"""The API server gives up a request after 60 s and says so."""
HEAD_LIMIT = 64 * 1024
"""Bytes of one header or of the path: tokens and selectors are long."""
CHUNK = 64 * 1024
"""Bytes that may wait for us before reading pauses. Below that aiohttp asks its parser after each piece that is taken
out whether it has more, which is a tenth of all our work: so less than the 256 KiB that one read of TLS brings."""
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""A watch has no deadline: what notices that the other side is gone without a word."""


@dataclass(frozen=True)
class Call:
    """A request for the API server, ``path`` and ``query`` as they came. ``vouched``: this proxy says who calls."""

    method: str
    path: str
    query: str
    headers: Headers
    vouched: bool = False
    long: bool = False

    @property
    def address(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


Body = bytes | aiohttp.StreamReader | None


def keep_alive(sock: socket.socket) -> None:
    """Notice within a minute that a peer is gone."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Upstream:
    """The API server at ``server`` (base URL). ``vouching`` has the certificate of a request-header proxy."""

    def __init__(self, server: str, tls: ssl.SSLContext | None = None, vouching: ssl.SSLContext | None = None) -> None:
        self._server = server.rstrip("/")
        self._contexts = {False: tls, True: vouching}
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        for vouched, tls in self._contexts.items():
            if tls is not None or not vouched:
                self._sessions[vouched] = _session(tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()

    @contextlib.asynccontextmanager
    async def request(self, call: Call, body: Body = None) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to ``call``, its body not yet read. Raises aiohttp.ClientError, TimeoutError."""
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=None if call.long else READ_SECONDS
        )
        url = yarl.URL(self._server + call.address, encoded=True)
        async with self._session(call).request(
            call.method,
            url,
            headers=CIMultiDict(call.headers),
            data=body,
            timeout=timeout,
            allow_redirects=False,
            skip_auto_headers=_AUTOMATIC,
        ) as answer:
            yield answer

    def _session(self, call: Call) -> aiohttp.ClientSession:
        if call.vouched not in self._sessions:
            raise KubeError("cannot vouch for a caller: there is no request-header certificate")
        return self._sessions[call.vouched]


def _session(tls: ssl.SSLContext | None) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=tls or False, limit=0, socket_factory=_socket)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        read_bufsize=CHUNK,
        max_line_size=HEAD_LIMIT,
        max_field_size=HEAD_LIMIT,
    )


def _socket(found: aiohttp.AddrInfoType) -> socket.socket:
    made = socket.socket(*found[:3])
    made.setblocking(False)
    keep_alive(made)
    return made
