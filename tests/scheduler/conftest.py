"""A control plane without nodes, of its own for each test: what one test leaves must not weigh on the next."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from benchmark.scheduler.plane import Plane, plane
from podnet_hack import errors


@pytest.fixture
async def control() -> AsyncIterator[Plane]:
    """The plane."""
    try:
        context = plane()
        made = await context.__aenter__()
    except errors.HackError as error:
        pytest.skip(f"no kube-apiserver, kube-scheduler and etcd: {error}")
    try:
        yield made
    finally:
        await context.__aexit__(None, None, None)
