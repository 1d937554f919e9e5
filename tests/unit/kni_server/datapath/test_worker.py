"""The thread and the event loop: a quick call is waited for, and never at the cost of everybody else.

In all of these the function needs the event loop before it can answer: a loop that sleeps for it would leave it waiting
until it gives up.
"""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from podnet_kni_server.datapath import worker
from podnet_kni_server.datapath.errors import DatapathError

_GIVES_UP = 5.0


@pytest.fixture
async def thread() -> AsyncIterator[worker.Worker]:
    made = worker.Worker()
    yield made
    await made.close()


def _needing_the_loop() -> Callable[[], bool]:
    """A function for the thread; whether the event loop came by before it gave up."""
    came = threading.Event()
    asyncio.get_running_loop().call_soon(came.set)
    return lambda: came.wait(_GIVES_UP)


async def test_an_answer_comes_while_the_loop_sleeps(thread: worker.Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_PATIENCE", _GIVES_UP)
    came: list[bool] = []
    asyncio.get_running_loop().call_soon(came.append, True)
    assert await thread.quick(lambda: threading.current_thread().name) == "podnet-datapath"
    assert not came
    with pytest.raises(DatapathError, match="cannot understand"):
        await thread.quick(b"".index, b"x")
    with pytest.raises(KeyError):
        await thread.quick({}.__getitem__, 1)


async def test_the_loop_goes_on_when_it_takes_longer(thread: worker.Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it does not even begin to sleep for the next one, until one was quick again."""
    assert await thread.quick(_needing_the_loop())
    monkeypatch.setattr(worker, "_PATIENCE", _GIVES_UP)
    assert await thread.quick(_needing_the_loop())
    came: list[bool] = []
    asyncio.get_running_loop().call_soon(came.append, True)
    await thread.quick(lambda: None)
    assert not came


async def test_the_loop_does_not_sleep_for_a_busy_thread(
    thread: worker.Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_PATIENCE", _GIVES_UP)
    first = asyncio.create_task(thread.call(_needing_the_loop()))
    second = asyncio.create_task(thread.quick(_needing_the_loop()))
    assert await first
    assert await second


async def test_every_answer_arrives(thread: worker.Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where patience ends in the very moment in which the answer comes."""
    monkeypatch.setattr(worker, "_PATIENCE", 1e-5)
    for number in range(300):
        thread._brisk = True
        assert await asyncio.wait_for(thread.quick(lambda: number), _GIVES_UP) == number  # noqa: B023


async def test_what_is_spent_is_closed_when_nothing_else_comes(thread: worker.Worker) -> None:
    closed = threading.Event()
    await thread.quick(lambda: thread.afterwards(closed.set))
    assert await asyncio.to_thread(closed.wait, _GIVES_UP)


async def test_what_is_spent_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a row without a pause some of it is closed in between, and all of it at the end."""
    monkeypatch.setattr(worker, "_MOMENT", _GIVES_UP)
    thread = worker.Worker()
    closed: list[int] = []
    for number in range(20):
        await thread.quick(lambda: thread.afterwards(functools.partial(closed.append, number)))  # noqa: B023
    assert 20 - worker._SPENT_LIMIT <= len(closed) < 20
    await thread.close()
    assert closed == list(range(20))
