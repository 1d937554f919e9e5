"""Keeps one plugin registered with the node's container runtime, and calls a handler for each event.

`run` is what the KNI server starts. Connect, register, be configured, be synchronized, serve events until the
connection is lost, wait a little, again: for ever. Who wants to know how it stands gives a `report` function.
"""

import asyncio
import dataclasses
import logging
import os
import random
from collections.abc import Awaitable, Coroutine, Iterator
from typing import NoReturn

from podnet_kni_server.nri import errors, events, hooks, mux, session, types

log = logging.getLogger(__name__)

SOCKET_PATH = "/var/run/nri/nri.sock"
REGISTRATION_TIMEOUT = 5.0
"""Seconds from the registration to the runtime's Configure; NRI's default."""

State = session.State
Report = session.Report


@dataclasses.dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between attempts: `first`, doubled up to `most`; of each, a random point in its upper half.

    Kept small, since until the plugin is back the runtime starts Pods without it."""

    first: float = 0.05
    most: float = 2.0

    def delays(self) -> Iterator[float]:
        delay = self.first
        while True:
            yield random.uniform(delay / 2, delay)
            delay = min(2 * delay, self.most)


DEFAULT_IDENTITY = types.Identity()
DEFAULT_BACKOFF = Backoff()


async def run(
    socket_path: str | os.PathLike[str],
    handler: events.Handler,
    *,
    identity: types.Identity = DEFAULT_IDENTITY,
    report: Report = lambda _: None,
    backoff: Backoff = DEFAULT_BACKOFF,
    registration_timeout: float = REGISTRATION_TIMEOUT,
) -> NoReturn:
    """Serve until cancelled; every loss of the connection is reported and tried again.

    On cancellation the event in progress is answered as failed, so that its Pod does not slip through.
    `report` is called on each change. Raises: what `report` raises, as an ExceptionGroup.
    """
    keeper = _Keeper(os.fspath(socket_path), handler, identity, _Changes(report), registration_timeout)
    async with asyncio.TaskGroup() as tasks:
        await keeper.keep(tasks, backoff)
    raise AssertionError("unreachable: keep never returns")


@dataclasses.dataclass(frozen=True, slots=True)
class _Keeper:
    """What stays the same from connection to connection."""

    socket_path: str
    handler: events.Handler
    identity: types.Identity
    report: Report
    registration_timeout: float

    async def keep(self, tasks: asyncio.TaskGroup, backoff: Backoff) -> NoReturn:
        place = hooks.Hooks(tasks)
        delays = backoff.delays()
        while True:
            service = events.Events(self.handler, self.identity.policy)
            reason = await _beside(tasks, _ended(self._serve(service, place)))
            self.report(State(connected=False, synchronized=False, reason=reason))
            if service.synchronized:
                delays = backoff.delays()
            await asyncio.sleep(next(delays))

    async def _serve(self, service: events.Events, place: hooks.Hooks) -> None:
        trunk = await connect(self.socket_path)
        connection = session.Session(trunk, service, place, self.report)
        await connection.run(self.identity, self.registration_timeout)


async def _beside(tasks: asyncio.TaskGroup, work: Coroutine[object, object, str]) -> str:
    """Wait for `work` in a task of its own.

    Python 3.11: a task group that is cancelled while a child fails raises the failure and forgets the
    cancellation. So the session's group may not live in the task that others cancel.
    """
    task = tasks.create_task(work, name="nri session")
    try:
        await asyncio.wait({task})
    finally:
        task.cancel()
    return task.result()


async def _ended(serving: Awaitable[None]) -> str:
    """Wait for the end of a connection and return the reason of it."""
    reasons = ["the connection ended"]
    try:
        await serving
    except* errors.NriError as group:
        reasons = [str(error) for error in _leaves(group)]
    return "; ".join(reasons)


def _leaves(group: BaseExceptionGroup[errors.NriError]) -> Iterator[errors.NriError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def connect(socket_path: str) -> mux.Trunk:
    """Raises: errors.ConnectionLost."""
    try:
        return mux.Trunk(*await asyncio.open_unix_connection(socket_path))
    except OSError as error:
        reason = f"cannot connect to {socket_path}: {error.strerror or error}"
        raise errors.ConnectionLost(reason) from error


class _Changes:
    """Passes a state on if it differs from the last one."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._last: State | None = None

    def __call__(self, state: State) -> None:
        if state != self._last:
            log.info("%s", state.reason)
            self._report(state)
        self._last = state
