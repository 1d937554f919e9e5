"""Whatever is read from others, nothing is raised that is not promised. `make fuzz` does the same for long."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podnet_tests import fuzzing

COUNT = 600


@pytest.mark.parametrize("name", fuzzing.TARGETS)
def test_what_is_good_is_taken(name: str) -> None:
    for seed in fuzzing.TARGETS[name].seeds:
        fuzzing.TARGETS[name].feed(seed)


@pytest.mark.parametrize("name", fuzzing.TARGETS)
def test_what_is_nearly_good(name: str) -> None:
    target = fuzzing.TARGETS[name]
    for data in fuzzing.mutations(target, random.Random(1), COUNT):
        try:
            target.feed(data)
        except BaseException as error:
            raise AssertionError(f"{name} failed on {data[:400]!r}") from error


@pytest.mark.parametrize("name", fuzzing.TARGETS)
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300))
def test_anything_at_all(name: str, data: bytes) -> None:
    fuzzing.TARGETS[name].feed(data)
