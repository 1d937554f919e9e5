"""A Pod with networks that waits for processors too is placed within two seconds of their coming.

kube-scheduler must see that by itself: the extender is not asked while no node has room otherwise, and what it could
touch on such a Pod wakes nobody (Kubernetes 1.36: of Pods NodeResourcesFit hears only that they go or shrink). Hence
the Pod asks for none of the resource by whose name the extender is called; see ``placement``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import Network, Plane
from scheduler import story

ALL = "64"
"""Processors of a node of the plane."""
Step = Callable[[Plane, str], Coroutine[Any, Any, None]]
"""On the plane, with the network and the node of this name."""


def asking(spec: dict[str, Any], cpu: str) -> dict[str, Any]:
    """``spec`` with a request for processors."""
    spec["containers"][0]["resources"]["requests"] = {"cpu": cpu}
    return spec


async def busy(control: Plane, name: str) -> None:
    """The network's only node has no processors left."""
    await control.node(name, [Network(name)])
    await control.pod(f"holder-{name}", asking(planes.plain(), ALL) | {"nodeName": name})


async def full_here_busy_there(control: Plane, name: str) -> None:
    """One node has processors and no attachments, another attachments and no processors."""
    await busy(control, name)
    await control.node(f"{name}-full", [Network(name, capacity=0)])


async def freed(control: Plane, name: str) -> None:
    await control.send("DELETE", f"{planes.PODS}/holder-{name}?gracePeriodSeconds=0")


async def grown(control: Plane, name: str) -> None:
    amounts = {"cpu": "128"}
    patch = {"status": {"allocatable": amounts, "capacity": amounts}}
    await control.send("PATCH", f"/api/v1/nodes/{name}/status", patch, "application/merge-patch+json")


async def added(control: Plane, name: str) -> None:
    await control.node(f"{name}-new", [Network(name)])


async def attachments_added(control: Plane, name: str) -> None:
    await control.carry(f"{name}-full", Network(name), ready=True)


CASES: dict[str, tuple[Step, Step]] = {
    "freed": (busy, freed),
    "grown": (busy, grown),
    "added": (busy, added),
    "freed-there": (full_here_busy_there, freed),
    "grown-there": (full_here_busy_there, grown),
    "attachments-here": (full_here_busy_there, attachments_added),
}


@pytest.mark.needs("apiserver")
async def test_what_comes_wakes_who_waits_for_it(control: Plane) -> None:
    took: dict[str, float] = {}
    async with story.running(control) as (bindings, _):
        for name, (before, event) in CASES.items():
            await control.network(Network(name))
            await before(control, name)
            await control.pod(f"waits-{name}", asking(planes.managed(name), "8"), planes.listed(name))
            took[name] = await story.placed_after(bindings, f"waits-{name}", event(control, name))
    print("placed after s:", {name: round(seconds, 2) for name, seconds in took.items()})
    assert max(took.values()) < story.SECONDS
