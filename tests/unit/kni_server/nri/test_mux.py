"""Bytes cross the trunk in order, in frames small enough for the runtime."""

import asyncio
import time

import hypothesis
import pytest
from hypothesis import strategies as st
from podnet_kni_server.nri import errors, fake, framing, mux


def frames_of(data: bytes) -> list[tuple[tuple[int, ...], bytes]]:
    return list(framing.Reassembly(mux.FRAME).feed(data))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, []),
        (1, [1]),
        (4095, [4095]),
        (4096, [4096]),
        (4097, [4096, 1]),
        (8192, [4096, 4096]),
        (10_000, [4096, 4096, 1808]),
    ],
)
def test_a_write_is_split_at_4096_bytes(size: int, expected: list[int]) -> None:
    frames = frames_of(b"".join(mux.split(mux.PLUGIN, b"x" * size)))
    assert [len(payload) for _, payload in frames] == expected


@hypothesis.settings(deadline=None)
@hypothesis.given(st.binary(max_size=20_000), st.integers(0, 0xFFFFFFFF))
def test_splitting_loses_nothing(data: bytes, connection: int) -> None:
    frames = frames_of(b"".join(mux.split(connection, data)))
    assert b"".join(payload for _, payload in frames) == data
    assert {fields[0] for fields, _ in frames} <= {connection}


def test_the_header_on_the_wire() -> None:
    assert b"".join(mux.split(2, b"abc")) == b"\0\0\0\2\0\0\0\3abc"


async def read_all(trunk: mux.Trunk) -> list[tuple[int, bytes]]:
    return [frame async for frame in trunk.frames()]


async def test_connections_keep_their_order() -> None:
    left, right = await fake.pair()
    for connection, data in [(1, b"a"), (2, b"b"), (1, b"c"), (7, b"d")]:
        left.send(connection, data)
    await left.close()
    assert await read_all(right) == [(1, b"a"), (2, b"b"), (1, b"c"), (7, b"d")]
    await right.close()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\0\0\0", errors.Truncated),
        (b"\0\0\0\1\0\0\0\5abc", errors.Truncated),
        (b"\0\0\0\1\xff\xff\xff\xff", errors.Oversized),
        (b"GET / HTTP/1.1\r\n\r\n", errors.Oversized),
    ],
)
async def test_broken_frames(data: bytes, error: type[errors.NriError]) -> None:
    left, right = await fake.pair()
    left.send_raw(data)
    await left.close()
    with pytest.raises(error):
        await read_all(right)
    await right.close()


async def test_close_does_not_wait_for_a_peer_that_never_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mux, "CLOSE_TIMEOUT", 0.1)
    left, right = await fake.pair()
    left.send(1, bytes(8 << 20))
    begin = time.monotonic()
    await left.close()
    await left.close()
    assert time.monotonic() - begin < 1
    await right.close()


async def test_sending_after_a_loss_is_silent() -> None:
    left, right = await fake.pair()
    await right.close()
    await asyncio.sleep(0)
    left.send(1, b"into the void")
    await left.close()
    left.send(1, b"again")
