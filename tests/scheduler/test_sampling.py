"""kube-scheduler looks at some of many nodes only: Pods for a network on three of 2,000 must be placed all the same."""

from __future__ import annotations

import pytest
from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import Network, Plane
from scheduler import story

NODES, CARRIERS = 2000, 3


@pytest.mark.needs("apiserver")
async def test_a_network_on_three_of_2000_nodes_is_found_at_the_first_try(control: Plane) -> None:
    await control.network(Network())
    await control.nodes(NODES, CARRIERS)
    async with story.running(control) as (bindings, port):
        await control.pods("pod", 5, planes.managed(planes.NETWORK), planes.listed(planes.NETWORK))
        await bindings.until(5, seconds=60)
        page = await control.metrics(port)
    assert not bindings.unschedulable
    assert set(bindings.node.values()) <= {f"node-{n:05}" for n in range(NODES - CARRIERS, NODES)}
    assert 'podnet_extender_answers_total{code="200",verb="filter"} 5.0' in page
