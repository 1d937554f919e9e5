"""How a server ends: by a signal quietly, by an error with its message and status 1."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from podnet_api import program
from podnet_api.errors import PodnetError


async def fails_in_a_group() -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fails())
        await asyncio.sleep(60)


async def fails() -> None:
    raise PodnetError("cannot do it: there is no such thing")


async def is_told_to_stop(cleaned: list[str]) -> None:
    asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGTERM)
    try:
        await asyncio.sleep(60)
    finally:
        cleaned.append("up")


@pytest.mark.parametrize("work", [fails, fails_in_a_group])
def test_an_error_is_said_and_no_trace(work: type[object]) -> None:
    with pytest.raises(SystemExit) as caught:
        program.run(work(), "info")  # type: ignore[arg-type]
    assert caught.value.code == "cannot do it: there is no such thing"


def test_sigterm_ends_it_after_it_has_cleaned_up() -> None:
    cleaned: list[str] = []
    program.run(is_told_to_stop(cleaned), "info")
    assert cleaned == ["up"]
