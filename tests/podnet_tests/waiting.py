"""Waiting for what comes, and for what must not come."""

import time
from collections.abc import Callable

from podnet_hack import errors

POLL_SECONDS = 0.25

Probe = Callable[[], str]
"""Looks once; returns "" when all is as it should be, else what is seen instead."""


def eventually(probe: Probe, seconds: float = 60) -> float:
    """Waits until ``probe`` is content; returns the seconds that it took. Fails with what was seen last."""
    start = time.monotonic()
    while seen := _look(probe):
        passed = time.monotonic() - start
        assert passed < seconds, f"after {passed:.1f} s still: {seen}"
        time.sleep(POLL_SECONDS)
    return time.monotonic() - start


def never(probe: Probe, seconds: float = 2) -> None:
    """Fails as soon as ``probe`` is not content."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen = probe()
        assert not seen, seen
        time.sleep(POLL_SECONDS)


def _look(probe: Probe) -> str:
    """A command that fails is something that is seen too: an object may not be there yet."""
    try:
        return probe()
    except errors.HackError as error:
        return str(error)
