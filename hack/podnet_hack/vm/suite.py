"""The tests that run in the VM: those of tests/vm, and those of tests/netns that this machine's kernel cannot run.

This machine collects them and says which are left to the VM; the VM runs them and says which passed. A test that
ran in neither place makes the job fail. Where there can be no VM, the job is skipped by name and reason.
"""

import os
import sys

from podnet_hack import command, errors, packages, progress
from podnet_hack.vm import machine, runner

DIRECTORIES = ("tests/netns", "tests/vm")
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "--quiet")
COLLECT_SECONDS = 120.0


def run() -> int:
    """The job of `make vm`: an exit status."""
    if reason := machine.missing():
        print(f"vm: skipped: {reason}")
        return 1 if os.environ.get("CI", "").lower() == "true" and machine.fits() else 0
    packages.ensure("ip", "nft")
    runner.SHARE.mkdir(parents=True, exist_ok=True)
    left, passed = runner.SHARE / "left", runner.SHARE / "passed"
    for file in (left, passed):
        file.unlink(missing_ok=True)
    with progress.step("collecting the tests that are left to the VM"):
        collect = (*PYTEST, "--collect-only", f"--left-to-vm={left}", *DIRECTORIES)
        command.run(sys.executable, *collect, timeout=COLLECT_SECONDS)
    status = runner.run([sys.executable, *PYTEST, "--durations=5", f"--passed={passed}", f"@{left}"])
    return status or judge(left.read_text().splitlines(), passed.read_text().splitlines())


def judge(left: list[str], passed: list[str]) -> int:
    """Raises HackError when a test that was left to the VM did not pass there."""
    if nowhere := sorted(set(left) - set(passed)):
        raise errors.HackError("cannot accept tests that ran nowhere:\n" + "\n".join(nowhere))
    return 0
