"""Shows what runs and for how long, on a terminal and in a log."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

HEARTBEAT = 15.0
SPIN = 1.0

_lines = threading.Lock()


@contextmanager
def step(what: str) -> Iterator[None]:
    """Says that `what` runs, keeps saying so while it takes long, and how long it took."""
    start = time.monotonic()
    over = threading.Event()
    terminal = sys.stderr.isatty()
    beat = threading.Thread(target=_beat, args=(what, start, over, terminal), daemon=True)
    beat.start()
    outcome = "FAILED after "
    try:
        yield
        outcome = ""
    finally:
        over.set()
        beat.join()
        say(f"  {what}: {outcome}{time.monotonic() - start:.1f} s", terminal=terminal)


def say(line: str, *, terminal: bool = False) -> None:
    """One line to the person who watches; stdout stays free for results."""
    with _lines:
        prefix = "\r\033[K" if terminal else ""
        print(prefix + line, file=sys.stderr, flush=True)


def _beat(what: str, start: float, over: threading.Event, terminal: bool) -> None:
    while not over.wait(SPIN if terminal else HEARTBEAT):
        line = f"  {what} ... {time.monotonic() - start:.0f} s"
        if terminal:
            with _lines:
                print("\r\033[K" + line, end="", file=sys.stderr, flush=True)
        else:
            say(line)
