"""One cluster for the whole run, and a namespace with networks of its own for each test or module.

$PODNET_CLUSTER names a cluster that is up and runs podnet already (for whoever works on it); else podnet-e2e is
brought up, podnet deployed, and the cluster taken down at the end. KEEP=1 leaves it.
"""

import itertools
import os
from collections.abc import Iterator

import pytest
from podnet_hack import deploy
from podnet_hack.demo.world import World
from podnet_hack.localcluster import cluster as clusters
from podnet_tests.space import Space

OWN_CLUSTER = "podnet-e2e"

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever stands in this directory needs a cluster."""
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.needs("cluster"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The name of a cluster that runs podnet."""
    given = os.environ.get("PODNET_CLUSTER", "")
    name = given or OWN_CLUSTER
    if not given:
        clusters.up(name)
        deploy.deploy(name)
    yield name
    if not given and os.environ.get("KEEP") != "1":
        clusters.down(name)


@pytest.fixture
def space(cluster: str) -> Iterator[Space]:
    """A place for one test."""
    yield from _opened(cluster)


@pytest.fixture(scope="module")
def shared(cluster: str) -> Iterator[Space]:
    """A place for the tests of one module."""
    yield from _opened(cluster)


def _opened(cluster: str) -> Iterator[Space]:
    made = Space(World(cluster, f"e2e-{next(_numbers)}-{os.getpid()}"))
    made.open()
    yield made
    made.close()
