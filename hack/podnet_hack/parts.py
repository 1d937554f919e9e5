"""Runs the parts of the test suite one after the other, all of them, and ends with one summary.

`python -m podnet_hack.parts lint unit ...` runs `make lint`, `make unit`, ... and fails if any of them failed.
"""

import dataclasses
import subprocess
import sys
import time
from collections.abc import Sequence

from podnet_hack import paths


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
    """Runs one part; what it prints is shown as it comes."""
    start = time.monotonic()
    command = ["make", "--no-print-directory", part]
    last_line = ""
    with subprocess.Popen(command, cwd=paths.CHECKOUT, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last_line = line.strip().strip("= ") or last_line
    return Outcome(part, process.returncode == 0, time.monotonic() - start, last_line)


def main(parts: Sequence[str]) -> int:
    """The program."""
    outcomes = []
    for part in parts:
        print(f"\n--- {part}", flush=True)
        outcomes.append(run(part))
    print("\n--- summary", *outcomes, sep="\n", flush=True)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
