"""Which tests are left to the VM (`make vm`), and which of them passed there: options of pytest for podnet_hack.vm.

A test says what it needs, e.g. ``@pytest.mark.needs("ipvlan")``. Where this machine's kernel has that, the test runs
here, else in the VM; the VM has everything, so that a skip there is a failure.
"""

import pathlib

import pytest

from podnet_tests import needs


def add_options(parser: pytest.Parser) -> None:
    """--left-to-vm and --passed."""
    group = parser.getgroup("podnet")
    group.addoption("--left-to-vm", type=pathlib.Path, help="write the tests that only the VM can run to this file")
    group.addoption("--passed", type=pathlib.Path, help="write the tests that passed to this file, as they pass")


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --left-to-vm: keeps those tests, and writes their names, one per line."""
    file: pathlib.Path | None = config.getoption("--left-to-vm")
    if file is None:
        return
    left = [item for item in items if left_to_vm(item)]
    file.write_text("".join(f"{item.nodeid}\n" for item in left))
    config.hook.pytest_deselected(items=[item for item in items if item not in left])
    items[:] = left


def left_to_vm(item: pytest.Item) -> bool:
    """Whether the marks of a test name something that this machine lacks and the VM has."""
    named = [what for mark in item.iter_markers("needs") for what in mark.args]
    return any(needs.is_left_to_vm(needs.missing(what)) for what in named)


def note(config: pytest.Config, report: pytest.TestReport) -> None:
    """With --passed: writes the name of a test that passed."""
    file: pathlib.Path | None = config.getoption("--passed")
    if file is not None and report.when == "call" and report.passed:
        with file.open("a") as passed:
            passed.write(f"{report.nodeid}\n")
