"""Requests, responses and status on one connection, without a socket."""

import asyncio
from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import strategies as st
from podnet_kni_server.nri import errors, framing, nri_pb2, ttrpc

Code = errors.Code
SERVICE = "test.Service"


def message(stream: int, data: bytes, kind: int = ttrpc.REQUEST) -> bytes:
    return ttrpc.MESSAGE.pack(len(data), stream, kind, 0) + data


def request(stream: int, service: str = SERVICE, method: str = "Do", payload: bytes = b"", nanos: int = 0) -> bytes:
    body = nri_pb2.Request(service=service, method=method, payload=payload, timeout_nano=nanos)
    return message(stream, body.SerializeToString())


def responses(sent: list[bytes]) -> list[tuple[int, int, bytes, str]]:
    """(stream, code, payload, reason) of each response in `sent`."""
    answers = []
    for (_, stream, kind, flags), data in framing.Reassembly(ttrpc.MESSAGE).feed(b"".join(sent)):
        assert (kind, flags) == (ttrpc.RESPONSE, 0)
        body = nri_pb2.Response.FromString(data)
        answers.append((stream, body.status.code, body.payload, body.status.message))
    return answers


@pytest.fixture
def sent() -> list[bytes]:
    return []


@pytest.fixture
def server(sent: list[bytes]) -> ttrpc.Server:
    return ttrpc.Server(sent.append, SERVICE, {"Do"}, maximum=1000)


async def test_a_request_becomes_a_call(server: ttrpc.Server, sent: list[bytes]) -> None:
    [call] = server.feed(request(1, payload=b"in", nanos=1_500_000_000))
    assert (call.stream, call.method, call.payload, call.timeout) == (1, "Do", b"in", 1.5)
    server.reply(call.stream, b"out")
    assert responses(sent) == [(1, Code.OK, b"out", "")]


async def test_a_request_without_timeout(server: ttrpc.Server) -> None:
    [call] = server.feed(request(1))
    assert call.timeout is None


def test_the_answer_on_the_wire(server: ttrpc.Server, sent: list[bytes]) -> None:
    server.reply(3, b"out")
    server.fail(5, 12, "no")
    assert sent == [b"\0\0\0\5\0\0\0\3\2\0\x12\3out", b"\0\0\0\x08\0\0\0\5\2\0\x0a\6\x08\x0c\x12\2no"]


@pytest.mark.parametrize(
    ("data", "stream", "code", "reason"),
    [
        (request(1, service="other.Service"), 1, Code.UNIMPLEMENTED, "cannot serve service other.Service"),
        (request(1, method="Undo"), 1, Code.UNIMPLEMENTED, "cannot serve method Undo"),
        (request(2), 2, Code.INVALID_ARGUMENT, "cannot open stream 2"),
        (request(0), 0, Code.INVALID_ARGUMENT, "cannot open stream 0"),
        (message(1, b"\xff\xff"), 1, Code.INVALID_ARGUMENT, "cannot read Request"),
        (message(1, b""), 1, Code.UNIMPLEMENTED, "cannot serve service"),
    ],
)
async def test_a_bad_request_is_answered_and_the_next_one_served(
    server: ttrpc.Server, sent: list[bytes], data: bytes, stream: int, code: int, reason: str
) -> None:
    assert list(server.feed(data)) == []
    [(answered, got, _, text)] = responses(sent)
    assert (answered, got) == (stream, code)
    assert text.startswith(reason)
    assert len(list(server.feed(request(9)))) == 1


async def test_a_stream_is_not_used_twice(server: ttrpc.Server, sent: list[bytes]) -> None:
    assert len(list(server.feed(request(5) + request(5) + request(3) + request(7)))) == 2
    assert [(stream, code) for stream, code, _, _ in responses(sent)] == [(5, 3), (3, 3)]


@pytest.mark.parametrize("kind", [2, 3, 0, 200])
def test_other_kinds_of_message_are_ignored(server: ttrpc.Server, sent: list[bytes], kind: int) -> None:
    assert list(server.feed(message(1, b"data", kind))) == []
    assert sent == []


def test_an_answer_too_large_becomes_a_status(server: ttrpc.Server, sent: list[bytes]) -> None:
    server.reply(1, bytes(2000))
    [(_, code, payload, reason)] = responses(sent)
    assert (code, payload) == (Code.RESOURCE_EXHAUSTED, b"")
    assert reason.startswith("cannot answer: 20")


def test_a_long_reason_is_cut(server: ttrpc.Server, sent: list[bytes]) -> None:
    server.fail(1, Code.INTERNAL, "x" * 10_000)
    assert len(responses(sent)[0][3]) == ttrpc.REASON_MAX


def test_an_end_inside_a_message_is_truncation(server: ttrpc.Server) -> None:
    list(server.feed(request(1)[:-1]))
    with pytest.raises(errors.Truncated):
        server.end()


@hypothesis.settings(deadline=None)
@hypothesis.given(st.binary(max_size=300), st.integers(1, 50))
async def test_a_message_over_many_frames(payload: bytes, size: int) -> None:
    server, data = ttrpc.Server(lambda _: None, SERVICE, {"Do"}), request(1, payload=payload)
    calls = [call for start in range(0, len(data), size) for call in server.feed(data[start : start + size])]
    assert [call.payload for call in calls] == [payload]


def answer(stream: int, payload: bytes = b"", code: int = 0, reason: str = "") -> bytes:
    status = nri_pb2.Status(code=code, message=reason) if code else None
    return message(stream, nri_pb2.Response(status=status, payload=payload).SerializeToString(), ttrpc.RESPONSE)


async def test_a_call_on_the_wire(sent: list[bytes]) -> None:
    client = ttrpc.Client(sent.append)
    call = asyncio.create_task(client.call(SERVICE, "Do", b"in", 2.0))
    await asyncio.sleep(0)
    [((_, stream, kind, flags), data)] = framing.Reassembly(ttrpc.MESSAGE).feed(b"".join(sent))
    assert (stream, kind, flags) == (1, ttrpc.REQUEST, 0)
    assert nri_pb2.Request.FromString(data) == nri_pb2.Request(
        service=SERVICE, method="Do", payload=b"in", timeout_nano=2_000_000_000
    )
    client.feed(answer(1, b"out"))
    assert await call == b"out"


async def test_overlapping_calls_are_told_apart_by_their_stream() -> None:
    client = ttrpc.Client(lambda _: None)
    calls = [asyncio.create_task(client.call(SERVICE, "Do", b"", 1.0)) for _ in range(3)]
    await asyncio.sleep(0)
    client.feed(answer(5, b"c") + answer(99, b"nobody's") + answer(1, b"a") + answer(1, b"twice") + answer(3, b"b"))
    assert await asyncio.gather(*calls) == [b"a", b"b", b"c"]
    client.feed(answer(1, b"late"))


@pytest.mark.parametrize(
    ("react", "error", "text"),
    [
        (lambda c: c.feed(answer(1, code=9, reason="cannot: x")), errors.StatusError, "cannot: x"),
        (lambda c: c.feed(answer(1, code=77, reason="odd")), errors.StatusError, "odd"),
        (lambda c: c.feed(message(1, b"\xff", ttrpc.RESPONSE)), errors.StatusError, "cannot read Response"),
        (lambda c: c.close(errors.ConnectionLost("cannot: gone")), errors.ConnectionLost, "cannot: gone"),
        (lambda c: None, errors.NoAnswer, "cannot call Do: no answer within 0.05 s"),
    ],
)
async def test_a_call_that_fails(
    react: Callable[[ttrpc.Client], None], error: type[errors.NriError], text: str
) -> None:
    client = ttrpc.Client(lambda _: None)
    call = asyncio.create_task(client.call(SERVICE, "Do", b"", 0.05))
    await asyncio.sleep(0)
    react(client)
    with pytest.raises(error, match=text):
        await call


async def test_a_request_too_large_is_not_sent(sent: list[bytes]) -> None:
    with pytest.raises(errors.StatusError, match=r"^cannot send request") as caught:
        await ttrpc.Client(sent.append).call(SERVICE, "Do", bytes(ttrpc.MESSAGE_MAX), 1.0)
    assert (caught.value.code, sent) == (Code.RESOURCE_EXHAUSTED, [])
