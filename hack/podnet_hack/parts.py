"""Runs the parts of the test suite, all of them, and ends with one summary.

`python -m podnet_hack.parts lint,unit+apiserver e2e` runs `make lint` and then `make unit`, beside them
`make apiserver`, and when all of that is over `make e2e`. It fails if any of them failed. Most parts keep one processor
busy, so that two go side by side in little more than the time of one; what waits for a real cluster has the machine for
itself.
"""

import concurrent.futures
import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from podnet_hack import paths

_printing = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one part ended."""

    part: str
    passed: bool
    seconds: float
    last_line: str

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        return f"  {self.part:<10}{verdict}  {self.seconds:7.1f} s  {self.last_line}"


def run(part: str) -> Outcome:
    """Runs one part; what it prints is shown as it comes, with its name before each line."""
    start = time.monotonic()
    command = ["make", "--no-print-directory", part]
    last_line = ""
    with subprocess.Popen(
        command, cwd=paths.CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            with _printing:
                print(f"{part:<9} | {line}", end="", flush=True)
            last_line = line.strip().strip("= ") or last_line
    return Outcome(part, process.returncode == 0, time.monotonic() - start, last_line)


def lanes(stage: str) -> list[list[str]]:
    """The parts of a stage: those of one lane follow each other."""
    return [lane.split(",") for lane in stage.split("+")]


def run_stage(stage: str) -> list[Outcome]:
    """Runs the lanes of ``stage`` side by side; the outcomes in the order in which they are named."""
    found = lanes(stage)
    with concurrent.futures.ThreadPoolExecutor(len(found)) as pool:
        return [outcome for lane in pool.map(lambda lane: [run(part) for part in lane], found) for outcome in lane]


def main(stages: Sequence[str]) -> int:
    """The program."""
    start = time.monotonic()
    outcomes = [outcome for stage in stages for outcome in run_stage(stage)]
    print(f"\n--- summary, {time.monotonic() - start:.0f} s", *outcomes, sep="\n", flush=True)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
