"""Tests for the VM alone: it has network cards with virtual functions, and its devices are nobody else's."""

import pathlib
from collections.abc import AsyncIterator, Iterator

import pytest
from netns.lab import Lab
from podnet_kni_server.datapath.lent import Ledger
from vm import cards
from vm.cards import Card


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever stands in this directory runs in the VM."""
    for item in items:
        if "/vm/" in str(item.path):
            item.add_marker(pytest.mark.needs("vm"))


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """Namespaces that go away with the test."""
    made = Lab()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture(scope="session")
def switched_on() -> tuple[Card, ...]:
    """Both cards, the first with three virtual functions and the second with one; they end with the VM."""
    return cards.switch_on((3, 1))


@pytest.fixture
def card(switched_on: tuple[Card, ...]) -> Iterator[Card]:
    """The first card; after each test it is as it was before."""
    before = [one.everything() for one in switched_on]
    yield switched_on[0]
    assert [one.everything() for one in switched_on] == before


@pytest.fixture
def other(switched_on: tuple[Card, ...]) -> Card:
    """The second card."""
    return switched_on[1]


@pytest.fixture
def ledger(tmp_path: pathlib.Path) -> Ledger:
    """Where it is noted what Pods have."""
    return Ledger(tmp_path / "devices")
