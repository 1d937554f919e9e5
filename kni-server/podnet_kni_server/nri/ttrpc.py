"""Requests and responses on one mux connection: the middle layer of NRI (ttrpc's PROTOCOL.md, unary part).

Wire: u32 length, u32 stream, u8 type, u8 flags, all big-endian, then a protobuf Request or Response. Streams
are odd and increase. `Server` answers the peer's requests, `Client` makes ours; both take the connection's
bytes by `feed` and write through the `send` they are given, so neither knows a socket.
"""

import asyncio
import dataclasses
import struct
from collections.abc import Callable, Collection, Iterator

from podnet_kni_server.nri import errors, framing, nri_pb2, protobuf

MESSAGE_MAX = 4 << 20
"""Bytes of protobuf in one message."""

MESSAGE = framing.Format("ttrpc message", struct.Struct("!IIBB"), length=0, maximum=MESSAGE_MAX)

REQUEST = 1
RESPONSE = 2

REASON_MAX = 2048
"""Characters of a status message; the kubelet's events cut at 1024 bytes anyway."""

Send = Callable[[bytes], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A request to be answered once, by `Server.reply` or `Server.fail`."""

    stream: int
    method: str
    payload: bytes
    timeout: float | None
    """Seconds the caller waits from `arrived`; None if it did not say."""
    arrived: float
    """Loop time at which the request was read."""


class Server:
    """Answers one service. A request that names another service or method never reaches the caller."""

    def __init__(self, send: Send, service: str, methods: Collection[str], maximum: int = MESSAGE_MAX) -> None:
        self._send = send
        self._service = service
        self._methods = methods
        self._maximum = maximum
        self._messages = framing.Reassembly(MESSAGE)
        self._last_stream = 0

    def feed(self, data: bytes) -> Iterator[Call]:
        """Yield each valid request that `data` completes; answer the others with their fault.

        Raises: errors.Oversized.
        """
        for (_, stream, kind, _), payload in self._messages.feed(data):
            if kind != REQUEST:
                continue  # stream data and later kinds: to be ignored, says the protocol
            try:
                yield self._call(stream, payload)
            except errors.StatusError as error:
                self.fail(stream, error.code, error.message)

    def end(self) -> None:
        """The connection is over. Raises: errors.Truncated if that was inside a message."""
        self._messages.end()

    def _call(self, stream: int, payload: bytes) -> Call:
        self._check_stream(stream)
        request = protobuf.decode(nri_pb2.Request(), payload)
        self._check_target(request.service, request.method)
        timeout = request.timeout_nano / 1e9 if request.timeout_nano > 0 else None
        arrived = asyncio.get_running_loop().time()
        return Call(stream, request.method, request.payload, timeout, arrived)

    def _check_stream(self, stream: int) -> None:
        if stream % 2 == 0 or stream <= self._last_stream:
            raise errors.StatusError(
                errors.Code.INVALID_ARGUMENT,
                f"cannot open stream {stream}: it must be odd and above {self._last_stream}",
            )
        self._last_stream = stream

    def _check_target(self, service: str, method: str) -> None:
        if service != self._service:
            raise errors.StatusError(errors.Code.UNIMPLEMENTED, f"cannot serve service {service}: unknown")
        if method not in self._methods:
            raise errors.StatusError(errors.Code.UNIMPLEMENTED, f"cannot serve method {method}: unknown")

    def reply(self, stream: int, payload: bytes) -> None:
        """Answer with OK, or with RESOURCE_EXHAUSTED if the answer is too large to be sent."""
        data = nri_pb2.Response(payload=payload).SerializeToString()
        if len(data) > self._maximum:
            code, text = errors.Code.RESOURCE_EXHAUSTED, f"{len(data)} bytes, maximum {self._maximum}"
            return self.fail(stream, code, f"cannot answer: {text}")
        return self._send(_pack(stream, RESPONSE, data))

    def fail(self, stream: int, code: int, reason: str) -> None:
        """Answer with a status other than OK."""
        status = nri_pb2.Status(code=code, message=reason[:REASON_MAX])
        self._send(_pack(stream, RESPONSE, nri_pb2.Response(status=status).SerializeToString()))


class Client:
    """Calls the peer. Calls may overlap; each waits for the response on its own stream."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages = framing.Reassembly(MESSAGE)
        self._next_stream = 1
        self._waiting: dict[int, asyncio.Future[bytes]] = {}

    async def call(self, service: str, method: str, payload: bytes, timeout: float) -> bytes:
        """Return the response's payload. `timeout` in seconds is also told to the peer.

        Raises: errors.StatusError as the peer answers; errors.NoAnswer; errors.ConnectionLost.
        """
        stream, answer = self._open()
        nanoseconds = int(timeout * 1e9)
        request = nri_pb2.Request(service=service, method=method, payload=payload, timeout_nano=nanoseconds)
        try:
            self._send(_pack(stream, REQUEST, _within_limit(request.SerializeToString())))
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError as error:
            raise errors.NoAnswer(f"cannot call {method}: no answer within {timeout:g} s") from error
        finally:
            del self._waiting[stream]

    def _open(self) -> tuple[int, asyncio.Future[bytes]]:
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        self._waiting[stream] = asyncio.get_running_loop().create_future()
        return stream, self._waiting[stream]

    def feed(self, data: bytes) -> None:
        """Hand each response that `data` completes to its call; an answer nobody waits for is dropped.

        Raises: errors.Oversized.
        """
        for (_, stream, kind, _), payload in self._messages.feed(data):
            answer = self._waiting.get(stream)
            if kind == RESPONSE and answer is not None and not answer.done():
                _resolve(answer, payload)

    def close(self, error: errors.NriError) -> None:
        """Fail every waiting call."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(error)


def _resolve(answer: asyncio.Future[bytes], payload: bytes) -> None:
    try:
        response = protobuf.decode(nri_pb2.Response(), payload)
    except errors.StatusError as error:
        return answer.set_exception(error)
    if response.status.code != errors.Code.OK:
        return answer.set_exception(errors.StatusError(response.status.code, response.status.message))
    return answer.set_result(response.payload)


def _within_limit(data: bytes) -> bytes:
    if len(data) > MESSAGE_MAX:
        reason = f"cannot send request: {len(data)} bytes, maximum {MESSAGE_MAX}"
        raise errors.StatusError(errors.Code.RESOURCE_EXHAUSTED, reason)
    return data


def _pack(stream: int, kind: int, data: bytes) -> bytes:
    return MESSAGE.pack(len(data), stream, kind, 0) + data
