"""The conformance run: what a KEP-3698 implementation promises, shown on whatever cluster $KUBECONFIG leads to.

One promise is one YAML file, what a user writes, and one Python file of the same name, what must then be true. The
Python file names the requirements and user stories of the KEP that it shows. The run prints a table of them and
writes build/conformance/report.md and junit.xml.

--image is what Pods run (sh, sleep, cat, ping, env; default busybox:1.37), --networks a file with two PodNetworks,
conformance-a and conformance-b, and their parameters (default: providers/podnet.yaml). kubectl must be on the PATH.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from conformance import kit, report

HERE = Path(__file__).parent
_results: dict[str, report.Result] = {}
_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a run."""
    group = parser.getgroup("conformance")
    group.addoption("--image", default=os.environ.get("CONFORMANCE_IMAGE", "busybox:1.37"))
    group.addoption("--networks", default=str(HERE / "providers/podnet.yaml"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a cluster there is nothing to show."""
    reason = ""
    if shutil.which("kubectl") is None:
        reason = "kubectl is not on the PATH"
    elif not os.environ.get("KUBECONFIG"):
        reason = "$KUBECONFIG names no cluster"
    for item in items:
        if reason and HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[kit.Cluster]:
    """The cluster, with the two networks."""
    made = kit.Cluster(str(request.config.getoption("--image")))
    networks = Path(str(request.config.getoption("--networks"))).read_text()
    made.kubectl("apply", "--filename=-", stdin=networks)
    made.wait("podnetwork/conformance-a", "condition=Ready")
    made.wait("podnetwork/conformance-b", "condition=Ready")
    yield made
    made.kubectl("delete", "--filename=-", "--ignore-not-found", "--wait=false", stdin=networks)


@pytest.fixture
def place(cluster: kit.Cluster, request: pytest.FixtureRequest) -> Iterator[kit.Place]:
    """A namespace with the objects of the YAML file beside the test."""
    made = kit.Place(cluster, f"conformance-{os.getpid()}-{next(_numbers)}")
    made.open()
    try:
        made.apply_beside(request.path)
        yield made
    finally:
        made.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember what became of each promise."""
    made = yield
    module = item.getparent(pytest.Module)
    if module is not None and HERE in item.path.parents and isinstance(module.obj, ModuleType):
        result = _results.setdefault(item.path.stem, report.of_module(module.obj))
        result.learn(made)  # type: ignore[arg-type]
    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table."""
    if _results:
        terminalreporter.write_line("")
        terminalreporter.write_line(report.write(_results.values()))
