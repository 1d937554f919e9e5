"""Frames come out as they went in, however the stream is cut; lengths and ends are checked."""

import itertools
import struct

import hypothesis
import pytest
from hypothesis import strategies as st
from podnet_kni_server.nri import errors, framing, mux, ttrpc

TINY = framing.Format("tiny frame", struct.Struct("!BB"), length=1, maximum=9)
payloads = st.lists(st.binary(max_size=9), max_size=20)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


@hypothesis.settings(deadline=None)
@hypothesis.given(payloads, st.lists(st.integers(min_value=0), max_size=30))
def test_any_cut_gives_the_same_frames(payloads: list[bytes], places: list[int]) -> None:
    stream = b"".join(TINY.pack(number, len(each)) + each for number, each in enumerate(payloads))
    reassembly = framing.Reassembly(TINY)
    frames = [frame for piece in cut(stream, places) for frame in reassembly.feed(piece)]
    reassembly.end()
    assert frames == [((number, len(each)), each) for number, each in enumerate(payloads)]


@hypothesis.settings(deadline=None)
@hypothesis.given(payloads, st.integers(min_value=1))
def test_an_end_inside_a_frame_is_truncation(payloads: list[bytes], place: int) -> None:
    stream = b"".join(TINY.pack(0, len(each)) + each for each in [*payloads, b"last"])
    reassembly = framing.Reassembly(TINY)
    missing = 1 + place % 5
    assert len(list(reassembly.feed(stream[:-missing]))) == len(payloads)
    with pytest.raises(errors.Truncated, match=r"^cannot read tiny frame: .* bytes into it"):
        reassembly.end()


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        (mux.FRAME, (1, mux.RECEIVE_MAX + 1)),
        (mux.FRAME, (1, 0xFFFFFFFF)),
        (ttrpc.MESSAGE, (ttrpc.MESSAGE_MAX + 1, 1, 1, 0)),
        (ttrpc.MESSAGE, (0xFFFFFFFF, 1, 1, 0)),
    ],
)
def test_oversized_is_refused_by_its_header_alone(form: framing.Format, fields: tuple[int, ...]) -> None:
    reassembly = framing.Reassembly(form)
    with pytest.raises(errors.Oversized, match=f"^cannot read {form.name}: .* maximum {form.maximum}"):
        list(reassembly.feed(form.pack(*fields)))


@pytest.mark.parametrize(
    ("form", "fields"),
    [(mux.FRAME, (1, mux.RECEIVE_MAX)), (ttrpc.MESSAGE, (ttrpc.MESSAGE_MAX, 1, 1, 0))],
)
def test_the_maximum_itself_is_taken(form: framing.Format, fields: tuple[int, ...]) -> None:
    reassembly = framing.Reassembly(form)
    frames = list(reassembly.feed(form.pack(*fields) + bytes(form.maximum)))
    assert [len(payload) for _, payload in frames] == [form.maximum]
