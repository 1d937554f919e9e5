"""The task that writes to waiting Pods, with a writer in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from podnet_scheduler_extender import wake
from podnet_scheduler_extender.fake import Cluster


class Running:
    """A Waker at work for ``cluster``."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.cluster.config("blue")
        self.cluster.network("blue")
        self.cluster.node("a", "blue")
        self.writer = wake.FakeWriter()
        self.waker = wake.Waker(self.cluster.extender, self.writer)
        self.cluster.extender.changed = self.waker.notify

    async def until(self, count: int) -> list[tuple[str, str, str]]:
        for _ in range(1000):
            if len(self.writer.done) >= count:
                return self.writer.done
            await asyncio.sleep(0.005)
        raise TimeoutError(f"only {self.writer.done} was done")


@pytest.fixture
async def running(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr(wake, "_DEBOUNCE", 0.01)
    monkeypatch.setattr(wake, "_PAUSES", (0.05, 0.1))
    made = Running()
    task = asyncio.ensure_future(made.waker.run())
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_it_says_and_wakes(running: Running) -> None:
    running.cluster.unschedulable("p", ["green"])
    assert await running.until(1) == [("say", "p", "NetworkNotFound")]
    running.cluster.config("green")
    running.cluster.network("green")
    running.cluster.node("a", "blue", "green")
    assert (await running.until(2))[1:] == [("touch", "p", "")]


async def test_it_does_nothing_when_nothing_happens(running: Running) -> None:
    running.cluster.unschedulable("p", ["green"])
    await running.until(1)
    for _ in range(20):
        running.waker.notify()
        await asyncio.sleep(0.01)
    assert len(running.writer.done) == 1


async def test_what_the_api_server_does_not_take_is_tried_again(running: Running) -> None:
    running.writer.down = True
    running.cluster.unschedulable("p", ["green"])
    running.cluster.unschedulable("q", ["green"])
    await asyncio.sleep(0.2)
    assert running.writer.done == []
    running.writer.down = False
    assert sorted(await running.until(2)) == [("say", "p", "NetworkNotFound"), ("say", "q", "NetworkNotFound")]
    assert 'result="failed"' in running.cluster.extender.metrics.page().decode()


async def test_a_claim_that_expires_wakes_the_next(running: Running) -> None:
    running.cluster.node("a", "blue", capacity=1)
    assert running.cluster.fitting("first", ["blue"], ["a"]) == ["a"]
    running.cluster.unschedulable("second", ["blue"])
    assert running.cluster.fitting("second", ["blue"], ["a"]) == []
    assert await running.until(1) == [("say", "second", "NoAttachmentsLeft")]
    running.cluster.clock.now += 31
    running.waker.notify()
    assert (await running.until(2))[1:] == [("touch", "second", "")]
