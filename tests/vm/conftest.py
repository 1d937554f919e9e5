"""Tests for the VM alone: it has network cards with virtual functions, and its devices are nobody else's."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever stands in this directory runs in the VM."""
    for item in items:
        if "/vm/" in str(item.path):
            item.add_marker(pytest.mark.needs("vm"))
