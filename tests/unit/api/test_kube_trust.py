"""What is trusted as Kubernetes' own programs do, whatever Python asks for by itself."""

import asyncio
import pathlib
import ssl

import pytest
from podnet_api.kube import trust
from podnet_tests.issuer import issue


async def _greeted(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """A handshake. Raises: SSLError."""
    ended = asyncio.Event()

    def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        ended.set()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="127.0.0.1")
        writer.close()
        await ended.wait()


async def test_a_certificate_without_key_identifiers_is_trusted(tmp_path: pathlib.Path) -> None:
    """Python 3.13 by itself refuses it."""
    authority = issue(tmp_path, "authority")
    issue(tmp_path, "server", authority)
    issue(tmp_path, "stranger")
    server = trust.context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    await _greeted(trust.context(cafile=f"{tmp_path}/authority.crt"), server)
    with pytest.raises(ssl.SSLCertVerificationError):
        await _greeted(trust.context(cafile=f"{tmp_path}/stranger.crt"), server)
