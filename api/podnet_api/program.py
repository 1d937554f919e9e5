"""What every server of podnet does around its work: log, run until it is told to stop, say why it cannot."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from podnet_api.errors import PodnetError

log = logging.getLogger(__name__)


def run(
    work: Coroutine[Any, Any, None], log_level: str, loop: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> None:
    """Run ``work`` until it ends or SIGTERM or SIGINT cancels it. A PodnetError or OSError, also in a task group,
    ends the program with status 1 and its message; any other error with its trace. ``loop`` makes the event loop,
    where it is not to be asyncio's own."""
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    failure = ""
    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(_until_stopped(work))
    except* (PodnetError, OSError) as group:
        failure = "; ".join(str(error) for error in _leaves(group))
    if failure:
        sys.exit(failure)


def _leaves(error: BaseException) -> list[BaseException]:
    """The errors of groups within groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("stopped")
