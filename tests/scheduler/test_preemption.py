"""Preemption by a real kube-scheduler: nobody is evicted where that would not give the Pod its network."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import NETWORK, Network, Plane
from scheduler import story

CLASSES = {"idle": -10, "low": 1, "high": 100, "top": 1000}


async def classes(control: Plane) -> None:
    """PriorityClasses."""
    group = "scheduling.k8s.io/v1"
    for name, value in CLASSES.items():
        made = {"apiVersion": group, "kind": "PriorityClass", "metadata": {"name": name}, "value": value}
        await control.send("POST", f"/apis/{group}/priorityclasses", made)


def pod(spec: dict[str, Any], priority: str, cpu: int, node: str = "") -> dict[str, Any]:
    """``spec`` with a priority and a request for processors, on ``node`` already where that is said."""
    spec["containers"][0]["resources"]["requests"] = {"cpu": str(cpu)}
    there = {"nodeName": node} if node else {}
    return spec | there | {"priorityClassName": priority, "terminationGracePeriodSeconds": 0}


async def names(control: Plane) -> set[str]:
    """The Pods that there are."""
    return {item["metadata"]["name"] for item in (await control.send("GET", planes.PODS))["items"]}


@pytest.mark.needs("apiserver")
async def test_victims_are_taken_where_they_free_the_network_too(control: Plane) -> None:
    """Processors lack on both nodes. On b, where the victim is worth least, the last attachment stays in use."""
    await classes(control)
    network, listed = Network(capacity=1), planes.listed(NETWORK)
    await control.network(network)
    for node in "ab":
        await control.node(node, [network])
    await control.pod("attached-a", pod(planes.managed(NETWORK), "low", 64, "a"), listed)
    await control.pod("attached-b", pod(planes.managed(NETWORK), "top", 1, "b"), listed)
    await control.pod("plain-b", pod(planes.plain(), "idle", 63, "b"))
    async with story.running(control) as (bindings, port):
        await control.pod("urgent", pod(planes.managed(NETWORK), "high", 32), listed)
        await story.until(lambda: "urgent" in bindings.node)
        assert bindings.node["urgent"] == "a"
        assert await names(control) == {"urgent", "attached-b", "plain-b"}
        assert await control.answers(port, "preempt") >= 1


@pytest.mark.needs("apiserver")
async def test_nobody_goes_for_a_network_that_is_nowhere(control: Plane) -> None:
    """Processors lack too, so that there are victims to be had; but no node would take the Pod then."""
    await classes(control)
    network = Network(capacity=1)
    await control.node("a", [network])
    await control.pod("plain", pod(planes.plain(), "idle", 64, "a"))
    async with story.running(control) as (bindings, port):
        await control.pod("urgent", pod(planes.managed(NETWORK), "high", 32), planes.listed(NETWORK))
        await story.until(lambda: "urgent" in bindings.unschedulable)
        await asyncio.sleep(2)
        assert await names(control) == {"urgent", "plain"}
        assert await control.answers(port, "preempt") >= 1


@pytest.mark.needs("apiserver")
async def test_what_nodes_count_is_preempted_for(control: Plane) -> None:
    """Hybrid: kube-scheduler knows by itself that the attachment is what lacks."""
    await classes(control)
    network, listed = Network(capacity=1), planes.listed(NETWORK)
    await control.network(network)
    await control.node("a", [network])
    await control.pod("attached", pod(planes.counted(NETWORK), "low", 1, "a"), listed)
    await control.pod("plain", pod(planes.plain(), "idle", 1, "a"))
    async with story.running(control) as (bindings, _):
        await control.pod("urgent", pod(planes.counted(NETWORK), "high", 1), listed)
        await story.until(lambda: "urgent" in bindings.node)
        assert await names(control) == {"urgent", "plain"}
