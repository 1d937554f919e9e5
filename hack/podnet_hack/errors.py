"""Everything that hack/ raises on purpose.

HackError                 what a Makefile target prints as its one line
├── MissingError          the machine lacks something; the message names exactly what
├── CommandError          a program that we ran failed; carries the end of its output
└── NotReadyError         something did not become ready in time
"""

import sys
from collections.abc import Callable


class HackError(Exception):
    """A step of the machinery failed; the message says which object and why."""


class MissingError(HackError):
    """The machine lacks a program, package or right."""


class CommandError(HackError):
    """A program failed."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class NotReadyError(HackError):
    """Something did not become ready in the time that it was given."""


def reported(work: Callable[[], object]) -> int:
    """Runs a program's main part; a HackError becomes one message and an exit status."""
    try:
        work()
    except HackError as error:
        print(_chain(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _chain(error: BaseException | None) -> str:
    lines = []
    while error is not None:
        lines.append(f"{error}")
        error = error.__cause__ if isinstance(error.__cause__, HackError) else None
    return "\n  because: ".join(lines)
