"""The parts of the test suite: side by side, and none forgotten."""

import re
import subprocess

import pytest
from podnet_hack import parts, paths


def test_lanes() -> None:
    assert parts.lanes("lint,unit+apiserver") == [["lint", "unit"], ["apiserver"]]


def test_one_that_fails_fails_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(part: str) -> parts.Outcome:
        return parts.Outcome(part, part != "bad", 1.0, f"end of {part}")

    monkeypatch.setattr(parts, "run", run)
    assert parts.main(["good,fine+better", "last"]) == 0
    assert parts.main(["good,bad+better", "last"]) == 1
    assert re.findall(r"end of (\w+)", capsys.readouterr().out)[-4:] == ["good", "bad", "better", "last"]


def test_what_a_part_prints_bears_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A target that does not exist: make says so on its standard error."""
    outcome = parts.run("no-such-target")
    assert not outcome.passed
    assert capsys.readouterr().out.startswith("no-such-target | make")


def test_make_test_runs_every_part() -> None:
    """Each directory of tests is a part, by its name; conformance and benchmark are no part of it."""
    command = ["make", "--dry-run", "--no-print-directory", "test"]
    shown = subprocess.run(command, cwd=paths.CHECKOUT, capture_output=True, text=True, check=True).stdout
    [stages] = re.findall(r"podnet_hack.parts (.*)", shown)
    named = {part for stage in stages.split() for lane in parts.lanes(stage) for part in lane}
    directories = {place.name for place in (paths.CHECKOUT / "tests").iterdir() if list(place.glob("test_*.py"))}
    suites = directories | {"unit"}
    assert named - {"lint"} == suites - {"conformance", "benchmark"}
