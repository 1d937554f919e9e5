"""The short run of chaos.py; `make chaos` is the long one."""

from __future__ import annotations

import pytest
from benchmark.scheduler.plane import Plane
from scheduler import chaos


@pytest.mark.needs("apiserver")
async def test_nothing_is_given_twice_and_nobody_is_left_waiting(control: Plane) -> None:
    report = await chaos.Chaos(control, 300, pause=1.5).run()
    print(report)
    assert report.over_commits == []
    assert report.placed == report.room
    assert report.followed == chaos.DELETED
    assert min(report.kills["extender"], report.kills["scheduler"]) >= 2
