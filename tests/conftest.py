"""For every test: what it needs, and that nothing is skipped in silence.

``@pytest.mark.needs("root", "nft")`` skips a test by name and reason where something is missing. With CI=true a skip
that root on a Linux machine could have run is a failure: there the machine is expected to have everything but what
its kernel lacks. That runs in the VM, so a test must say it by a mark and not by a skip of its own.
"""

import os
from collections.abc import Generator
from typing import TypeVar

import pytest
from podnet_tests import needs, virtual

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

CI = os.environ.get("CI", "").lower() == "true"


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make vm` asks for."""
    virtual.add_options(parser)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """After the other hooks have put their marks."""
    virtual.select(config, items)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what cannot run here, and says why."""
    for mark in item.iter_markers("needs"):
        for what in mark.args:
            if reason := needs.missing(what):
                pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns the skip of a test without a good reason into a failure."""
    report = _judged((yield), item.nodeid)
    if report.skipped and needs.is_left_to_vm(_reason(report)) and not virtual.left_to_vm(item):
        report.outcome = "failed"
        report.longrepr = f"cannot leave {item.nodeid} to the VM ({_reason(report)}): no mark `needs` says so"
    virtual.note(item.config, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module."""
    return _judged((yield), collector.nodeid)


def _judged(report: Report, name: str) -> Report:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = _reason(report)
        if fault := needs.skip_fault(reason, ci=CI):
            report.outcome = "failed"
            report.longrepr = f"cannot accept the skip of {name} ({reason or 'no reason'}): {fault}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ").strip()
    return ""
