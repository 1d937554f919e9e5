"""Cuts a byte stream into frames of a fixed header and a counted payload. Pure: no socket, no clock.

Both layers of NRI need it: mux frames on the socket, ttrpc messages on each connection inside.
"""

import dataclasses
import struct
from collections.abc import Iterator

from podnet_kni_server.nri import errors


@dataclasses.dataclass(frozen=True, slots=True)
class Format:
    """What a frame looks like: the header, which of its fields counts the payload, and the most it may say."""

    name: str
    header: struct.Struct
    length: int
    maximum: int

    def pack(self, *fields: int) -> bytes:
        return self.header.pack(*fields)


class Reassembly:
    """Takes the stream in pieces of any size and gives whole frames."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[tuple[int, ...], bytes]]:
        """Yield (header fields, payload) of each frame that `data` completes.

        Raises: errors.Oversized as soon as a header announces more than the format's maximum.
        """
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> tuple[tuple[int, ...], bytes] | None:
        start = self._form.header.size
        if len(self._buffer) < start:
            return None
        fields = self._form.header.unpack_from(self._buffer)
        end = start + self._checked(fields[self._form.length])
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[start:end])
        del self._buffer[:end]
        return fields, payload

    def _checked(self, length: int) -> int:
        if length > self._form.maximum:
            raise errors.Oversized(
                f"cannot read {self._form.name}: {length} bytes announced, maximum {self._form.maximum}"
            )
        return length

    def end(self) -> None:
        """The stream is over. Raises: errors.Truncated if that was inside a frame."""
        if self._buffer:
            raise errors.Truncated(
                f"cannot read {self._form.name}: the connection was closed {len(self._buffer)} bytes into it"
            )
