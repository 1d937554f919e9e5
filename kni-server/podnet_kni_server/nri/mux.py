"""Many connections over one stream socket: the bottom layer of NRI.

Promise: bytes given to `Trunk.send` arrive in order on the same connection id; bytes of the peer come out of
`Trunk.frames` as (connection id, payload). A frame boundary means nothing: the layer above reassembles.
Wire: u32 connection id, u32 payload length, both big-endian, then the payload (NRI pkg/net/multiplex). There
is no handshake: a connection exists by being used.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator

from podnet_kni_server.nri import errors, framing

PLUGIN = 1
"""The connection on which the runtime calls the plugin."""
RUNTIME = 2
"""The connection on which the plugin calls the runtime."""

SEND_MAX = 4096
"""Bytes of payload in a frame of ours. The runtime reads through a buffer of this size and answers a larger
frame by dropping the connection."""

RECEIVE_MAX = 10 + (4 << 20)
"""Bytes of payload in a frame of the runtime: one whole ttrpc message with its header."""

BURST_MAX = 255 * SEND_MAX
"""Bytes to send at once on a connection: the runtime keeps 256 frames unread, and drops the connection when
one more arrives."""

FRAME = framing.Format("mux frame", struct.Struct("!II"), length=1, maximum=RECEIVE_MAX)

CLOSE_TIMEOUT = 1.0
"""Seconds to flush the last answers to a peer that reads slowly or not at all."""


def split(connection: int, data: bytes, maximum: int = SEND_MAX) -> Iterator[bytes]:
    """Header, payload, header, payload ...: `data` in frames of at most `maximum` bytes. No data, no frame."""
    for start in range(0, len(data), maximum):
        chunk = data[start : start + maximum]
        yield FRAME.pack(connection, len(chunk))
        yield chunk


class Trunk:
    """One socket with its connections. Owned by one session."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frame_max: int = SEND_MAX) -> None:
        self._reader = reader
        self._writer = writer
        self._frame_max = frame_max

    def send(self, connection: int, data: bytes) -> None:
        """Queue `data`; never blocks and keeps the order of calls. After a loss the bytes go nowhere."""
        # Not writelines, which from Python 3.12 on fails where the transport is lost.
        self._writer.write(b"".join(split(connection, data, self._frame_max)))

    def send_raw(self, data: bytes) -> None:
        """Queue bytes as they are: for tests that break the framing."""
        self._writer.write(data)

    async def frames(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield frames until the peer closes.

        Raises: errors.Truncated, errors.Oversized; errors.ConnectionLost if the socket fails.
        """
        reassembly = framing.Reassembly(FRAME)
        while data := await self._read():
            for (connection, _), payload in reassembly.feed(data):
                yield connection, payload
        reassembly.end()

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(1 << 16)
        except OSError as error:
            raise errors.ConnectionLost(f"cannot read from the runtime's socket: {error}") from error

    async def close(self) -> None:
        """Send what is queued, for at most CLOSE_TIMEOUT, and close. May be called twice."""
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                # shielded: a timeout would cancel the future that every later wait_closed waits for
                await asyncio.shield(self._writer.wait_closed())
        except OSError:  # of a socket already lost; TimeoutError is one of them
            self._writer.transport.abort()
