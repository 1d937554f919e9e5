"""Named points at which the server can be made to die, to show that a crash there leaks nothing.

Nothing happens unless the environment names a point when the process starts: ``PODNET_FAULT=attach.recorded``
kills it (SIGKILL) when it comes there, ``attach.recorded:3`` when it comes there for the third time. Each name
says what has just been done. Pure but for the kill.
"""

from __future__ import annotations

import os
import signal

ENVIRONMENT = "PODNET_FAULT"
ATTACH = (
    "attach.begun",
    "claim.created",
    "attach.leased",
    "checkpoint.written",
    "attach.recorded",
    "kernel.linked",
    "kernel.guarded",
    "attach.wired",
    "attach.confirmed",
    "attach.said",
)
"""In the order in which an attach passes them; ``checkpoint.written``: not yet under its name."""
DETACH = ("detach.recorded", "kernel.unlinked", "detach.unwired", "detach.released", "detach.forgotten")
OTHERS = ("claim.deleted",)
POINTS = (*ATTACH, *DETACH, *OTHERS)

_point, _, _times = os.environ.get(ENVIRONMENT, "").partition(":")
_left = int(_times or 1)


def reached(point: str) -> None:
    """The process is at ``point``."""
    if point == _point:
        _die_in_turn()


def _die_in_turn() -> None:
    global _left
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
