"""One handler call at a time; answered by its deadline; cleaned up beside."""

import asyncio
import time

import pytest
from podnet_kni_server.nri import errors, hooks

Code = errors.Code


def within(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def done() -> bytes:
    return b"done"


async def refuse() -> bytes:
    raise errors.HookRefused("cannot attach web: no address left in pool red")


async def crash() -> bytes:
    return bytes([1 // 0])


async def cancel_itself() -> bytes:
    raise asyncio.CancelledError


async def pretend_unimplemented() -> bytes:
    raise errors.StatusError(Code.UNIMPLEMENTED, "cannot")


@pytest.mark.parametrize(
    ("work", "code", "reason"),
    [
        (refuse, Code.FAILED_PRECONDITION, "cannot attach web: no address left in pool red"),
        (crash, Code.INTERNAL, "cannot handle it: ZeroDivisionError: integer division"),
        (cancel_itself, Code.UNAVAILABLE, "cannot handle it: it was cancelled"),
        (pretend_unimplemented, Code.INTERNAL, "cannot handle it: StatusError: cannot"),
    ],
)
async def test_a_failing_handler(work: hooks.Work, code: Code, reason: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        place = hooks.Hooks(tasks)
        with pytest.raises(errors.StatusError) as caught:
            await place.run("it", work, within(1))
        assert caught.value.code == code
        assert caught.value.message.startswith(reason)
        assert await place.run("next", done, within(1)) == b"done"


class Slow:
    """Work that lasts until cancelled, and then cleans up for `cleanup` seconds."""

    def __init__(self, cleanup: float) -> None:
        self.cleanup = cleanup
        self.events: list[str] = []

    async def __call__(self) -> bytes:
        try:
            await asyncio.sleep(60)
        finally:
            self.events.append("cleaning")
            await asyncio.sleep(self.cleanup)
            self.events.append("clean")
        return b""


async def late(place: hooks.Hooks, work: hooks.Work, budget: float) -> float:
    """Run `work`, which must fail by its deadline; return the seconds that took."""
    begin = time.monotonic()
    with pytest.raises(errors.StatusError, match=r"^cannot handle slow in time") as caught:
        await place.run("slow", work, within(budget))
    assert caught.value.code == Code.DEADLINE_EXCEEDED
    return time.monotonic() - begin


async def test_the_answer_does_not_wait_for_the_cleanup() -> None:
    slow = Slow(cleanup=0.6)
    async with asyncio.TaskGroup() as tasks:
        assert 0.05 <= await late(hooks.Hooks(tasks), slow, 0.05) < 0.5
        await asyncio.sleep(0)
        assert slow.events == ["cleaning"]
    assert slow.events == ["cleaning", "clean"]


async def test_the_next_call_waits_for_a_short_cleanup() -> None:
    slow = Slow(cleanup=0.05)
    async with asyncio.TaskGroup() as tasks:
        place = hooks.Hooks(tasks)
        await late(place, slow, 0.05)

        async def next_one() -> bytes:
            slow.events.append("next")
            return b"done"

        assert await place.run("next", next_one, within(1)) == b"done"
    assert slow.events == ["cleaning", "clean", "next"]


async def test_the_next_call_does_not_wait_for_a_long_cleanup() -> None:
    slow = Slow(cleanup=1.0)
    async with asyncio.TaskGroup() as tasks:
        place = hooks.Hooks(tasks)
        await late(place, slow, 0.05)
        begin = time.monotonic()
        assert await place.run("next", done, within(0.6)) == b"done"
        assert 0.29 <= time.monotonic() - begin < 0.6, "half of its own time"
        begin = time.monotonic()
        assert await place.run("after", done, within(0.6)) == b"done"
        assert time.monotonic() - begin < 0.25, "only the next call pays"


async def test_a_deadline_already_past() -> None:
    async with asyncio.TaskGroup() as tasks:
        await late(hooks.Hooks(tasks), Slow(0), -1)


async def test_cancelling_the_caller_cancels_the_handler() -> None:
    slow = Slow(cleanup=0)
    async with asyncio.TaskGroup() as tasks:
        running = asyncio.create_task(hooks.Hooks(tasks).run("slow", slow, within(60)))
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert slow.events == ["cleaning", "clean"]


async def test_a_handler_that_fails_while_cleaning_up_ends_nothing() -> None:
    async def clumsy() -> bytes:
        try:
            await asyncio.sleep(60)
        finally:
            raise RuntimeError("in the clean-up")
        return b""

    async with asyncio.TaskGroup() as tasks:
        place = hooks.Hooks(tasks)
        await late(place, clumsy, 0.05)
        assert await place.run("next", done, within(1)) == b"done"
