"""Runs handler calls one after another, and lets none of them keep the runtime waiting.

NRI fails open: a plugin that answers late is dropped, and the Pod starts without its networks. So a call that is
not done at its deadline is answered as failed at that moment, and cancelled. It may clean up for as long as
it needs; the next call waits for that, but for no longer than half of its own time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from podnet_kni_server.nri import errors

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[bytes]]


class Hooks:
    """The queue's single place. Lives longer than a connection: a clean-up is not cut off by a reconnect."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._last: asyncio.Task[bytes | errors.StatusError] | None = None

    async def run(self, what: str, work: Work, deadline: float) -> bytes:
        """Return what `work` returns, by loop time `deadline`. `what` names the event in messages.

        Raises: errors.StatusError with the answer for the runtime: DEADLINE_EXCEEDED, FAILED_PRECONDITION
        for errors.HookRefused, INTERNAL for any other exception, UNAVAILABLE if the server is stopping.
        """
        await self._settle(deadline)
        self._last = task = self._tasks.create_task(_guarded(what, work), name=what)
        try:
            await asyncio.wait({task}, timeout=_until(deadline))
        finally:
            unfinished = not task.done() and task.cancel()
        if unfinished:
            raise errors.StatusError(errors.Code.DEADLINE_EXCEEDED, f"cannot handle {what} in time")
        return _result(what, task)

    async def _settle(self, deadline: float) -> None:
        """Give the last call's clean-up half of the time that is left."""
        if self._last is None or self._last.done():
            return
        await asyncio.wait({self._last}, timeout=_until(deadline) / 2)
        if not self._last.done():
            log.warning("%s is still cleaning up; going on without it", self._last.get_name())


async def _guarded(what: str, work: Work) -> bytes | errors.StatusError:
    """No exception of a handler may reach the task group: it would end the server."""
    try:
        return await work()
    except errors.HookRefused as refusal:
        return errors.StatusError(errors.Code.FAILED_PRECONDITION, str(refusal))
    except Exception as error:  # the handler is foreign code
        log.exception("cannot handle %s", what)
        reason = f"cannot handle {what}: {type(error).__name__}: {error}"
        return errors.StatusError(errors.Code.INTERNAL, reason)


def _result(what: str, task: asyncio.Task[bytes | errors.StatusError]) -> bytes:
    if task.cancelled():
        raise errors.StatusError(errors.Code.UNAVAILABLE, f"cannot handle {what}: it was cancelled")
    result = task.result()
    if isinstance(result, errors.StatusError):
        raise result
    return result


def _until(deadline: float) -> float:
    return max(0.0, deadline - asyncio.get_running_loop().time())
