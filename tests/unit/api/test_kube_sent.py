"""Whether a request that failed may have been done all the same: callers that share something out must know."""

from __future__ import annotations

import asyncio
import socket

import pytest
from podnet_api import kni
from podnet_api.errors import KubeError, UnreachableError
from podnet_api.kube import Client, Credentials


async def test_without_a_connection_nothing_was_done() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with Client(Credentials(f"http://127.0.0.1:{closed.getsockname()[1]}", None), "t") as client:
            with pytest.raises(UnreachableError):
                await client.delete(kni.IPBlock, "x")


@pytest.mark.parametrize("answered", [0, 1])
async def test_a_connection_that_breaks_leaves_it_open(answered: int) -> None:
    """Also when the request is tried again and that finds no server any more."""
    heard = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        while (await reader.readuntil(b"\r\n\r\n")) and heard < answered:
            heard += 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        server.close()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Client(Credentials(f"http://127.0.0.1:{port}", None), "t") as client:
        for _ in range(answered):
            await client.request("GET", "/")
        with pytest.raises(KubeError) as caught:
            await client.request("DELETE", "/x")
        assert not isinstance(caught.value, UnreachableError)
