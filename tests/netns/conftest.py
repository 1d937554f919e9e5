"""One lab per test; all of them need root."""

import os
from collections.abc import AsyncIterator

import pytest
from netns.lab import Lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever stands in this directory needs root."""
    for item in items:
        if "/netns/" in str(item.path):
            item.add_marker(pytest.mark.needs("root"))
            item.add_marker(pytest.mark.skipif(os.geteuid() != 0, reason="needs root"))


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """Namespaces that go away with the test."""
    made = Lab()
    try:
        yield made
    finally:
        await made.close()
