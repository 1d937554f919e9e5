"""Requirement, shown or not, and how: as a table for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

import pytest
from podnet_hack import paths

REQUIREMENTS = range(1, 26)
STORIES = range(1, 11)
OUTPUT = paths.CHECKOUT / "build" / "conformance" / "report.md"

NOT_SHOWN = {
    "requirement 21": "the KEP's phase II calls it optional; the Kubernetes API reaches a Pod's primary network",
    "requirement 22": "the KEP's phase III calls it optional; Services and NetworkPolicy are the default network's",
    "user story 2": "it takes a card with virtual functions, which a cluster may lack: tests/vm/test_sriov.py",
}
"""What a conformance run cannot show on any cluster, and where it is shown, or that it is not."""


@dataclass
class Result:
    """One promise: its sentence, what of the KEP it shows, and what became of it."""

    sentence: str
    shows: tuple[str, ...]
    failed: bool = False
    skipped: str = ""

    def learn(self, made: pytest.TestReport) -> None:
        """A part of the test has ended."""
        self.failed = self.failed or made.failed
        if made.skipped:
            self.skipped = str(made.longrepr[2]) if isinstance(made.longrepr, tuple) else str(made.longrepr)

    @property
    def word(self) -> str:
        """Shown, FAILED or skipped."""
        return "FAILED" if self.failed else "skipped" if self.skipped else "shown"


def of_module(module: ModuleType) -> Result:
    """The promise of a test module: its docstring, REQUIREMENTS and STORIES."""
    numbers = [f"requirement {n}" for n in getattr(module, "REQUIREMENTS", ())]
    numbers += [f"user story {n}" for n in getattr(module, "STORIES", ())]
    return Result(str(module.__doc__).split("\n")[0], tuple(numbers))


def write(results: Iterable[Result]) -> str:
    """Write the report and answer the table."""
    found = list(results)
    every = [f"requirement {n}" for n in REQUIREMENTS] + [f"user story {n}" for n in STORIES]
    rows = [row for name in every for row in _rows(name, found)]
    rows += [("", one.word, one.sentence) for one in found if not one.shows]
    head = "| KEP-3698 | | how |\n|---|---|---|\n"
    table = head + "\n".join(f"| {name} | {word} | {how} |" for name, word, how in rows)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(f"# Conformance with KEP-3698\n\n{table}\n")
    return table


def _rows(name: str, results: list[Result]) -> list[tuple[str, str, str]]:
    shown = [(name, one.word, one.sentence) for one in results if name in one.shows]
    return shown or [(name, "not shown", f"because {NOT_SHOWN[name]}" if name in NOT_SHOWN else "not run")]
