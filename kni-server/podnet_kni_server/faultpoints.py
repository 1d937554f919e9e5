"""Named points at which the server can be made to die, to show that a crash there leaks nothing.

Nothing happens unless the environment says so when the process starts: ``PODNET_FAULT=attach.recorded`` kills it
(SIGKILL) when it comes there; ``PODNET_FAULT=/a/file`` when it comes to the point that is named in the file by then.
Each name says what has just been done.
"""

from __future__ import annotations

import contextlib
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

_armed = os.environ.get(ENVIRONMENT, "")


def reached(point: str) -> None:
    """The process is at ``point``."""
    if _armed and point == _named():
        os.kill(os.getpid(), signal.SIGKILL)


def _named() -> str:
    if not _armed.startswith("/"):
        return _armed
    with contextlib.suppress(OSError), open(_armed) as file:
        return file.read().strip()
    return ""
