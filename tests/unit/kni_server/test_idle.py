"""When blocks go back: not so soon that they must be claimed again, and not so late that others wait for them."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable

import pytest
from podnet_api import pools
from podnet_kni_server.block_api import FakeBlockApi
from podnet_kni_server.blocks import Blocks
from podnet_kni_server.idle import IDLE_SECONDS, IDLE_SECONDS_SINGLE
from podnet_kni_server.leases import Holder, Leases
from podnet_tests.kni_world import network_config

MINUTE = 60.0
TIDY = 2.0


class Node:
    """A node at its own time: `until` lets it look at its blocks as often as the real one does."""

    def __init__(self, cidr: str, **range_: str) -> None:
        made = pools.pool_of(network_config("c", ipam={"ranges": [{"cidr": cidr, **range_}]}))
        assert made is not None
        self.pool = made
        self.api = FakeBlockApi()
        self.api.pools["c"] = made
        self.leases = Leases()
        self.blocks = Blocks("a", self.leases, self.api)
        self.now = 0.0

    async def pods(self, numbers: Iterable[int]) -> None:
        """These Pods come, and others with leases go."""
        wanted = {f"s{number}" for number in numbers}
        for number in range(200):
            if f"s{number}" not in wanted:
                self.leases.release(f"s{number}")
        for number in sorted(int(one[1:]) for one in wanted):
            await self.blocks.lease(self.pool, 4, Holder(f"s{number}", "net1", f"ns/p{number}"))
        await self._ahead()

    async def _ahead(self) -> None:
        """What the real one does ahead of need."""
        working = asyncio.create_task(self.blocks.run())
        await asyncio.sleep(0.005)
        working.cancel()

    async def jobs(self, starts: Iterable[float], seconds: float) -> None:
        """At each of these times a Pod comes, for so long."""
        for start in starts:
            await self.until(start)
            await self.pods([1])
            await self.until(start + seconds)
            await self.pods([])

    async def until(self, now: float) -> None:
        """Time passes."""
        while self.now < now:
            self.now = min(now, self.now + TIDY)
            await self.blocks.tidy(self.now)


async def test_jobs_that_come_every_few_minutes_find_their_block() -> None:
    one = Node("10.0.0.0/24")
    await one.jobs((round_ * 5 * MINUTE for round_ in range(24)), 30)
    assert one.api.writes <= 7, "claimed four times and given back three times, not 24 times"
    await one.until(one.now + 8 * IDLE_SECONDS + TIDY)
    assert not one.api.blocks, "and it goes back all the same"


async def test_what_was_claimed_again_once_goes_back_in_time_later() -> None:
    one = Node("10.0.0.0/24")
    await one.jobs((0.0, 3 * MINUTE, 6 * MINUTE), 10)
    await one.until(60 * MINUTE)
    assert not one.api.blocks
    await one.jobs([60 * MINUTE], MINUTE)
    await one.until(61 * MINUTE + IDLE_SECONDS + 2 * TIDY)
    assert not one.api.blocks, "an hour later it is as at first"


async def test_pods_that_come_and_go_at_the_edge_of_a_block_cost_nothing() -> None:
    one = Node("10.0.0.0/24")
    await one.pods(range(13))
    writes = one.api.writes
    assert writes == 2, "the block behind is claimed ahead of need"
    for round_ in range(1, 31):
        await one.until(round_ * 3 * MINUTE)
        await one.pods(range(11 if round_ % 2 else 13))
    assert one.api.writes == writes
    await one.pods(range(4))
    await one.until(one.now + IDLE_SECONDS + 2 * TIDY)
    assert one.api.writes == writes + 1, "with room to spare it goes back"


async def test_of_a_pool_that_is_used_up_blocks_go_back_in_time() -> None:
    """Whatever this node's habits are."""
    one = Node("10.0.0.0/24")
    await one.jobs((0.0, 3 * MINUTE, 6 * MINUTE), 10)
    other = Blocks("b", Leases(), one.api)
    await other.prepare(one.pool, 4, 254 - 15)
    await one.until(one.now + IDLE_SECONDS + 2 * TIDY)
    assert not [block for block in one.api.blocks.values() if block.spec.node_name == "a"]


async def test_static_addresses_that_come_and_go_keep_no_block() -> None:
    """Those apart from the range are claimed one by one."""
    one = Node("10.0.0.0/24", start="10.0.0.64")
    for round_ in range(4):
        await one.until(round_ * MINUTE)
        holder = Holder("static", "net1", "ns/static")
        await one.blocks.lease_exact(one.pool, ipaddress.ip_address("10.0.0.9"), holder)
        await one.until(round_ * MINUTE + 5)
        one.leases.release("static")
    await one.jobs([one.now + 30], 10)
    await one.until(one.now + IDLE_SECONDS + 2 * TIDY)
    assert not one.api.blocks


@pytest.mark.parametrize("rounds", [1, 4])
async def test_single_addresses_go_back_soon_always(rounds: int) -> None:
    one = Node("10.0.0.0/29")
    for round_ in range(rounds):
        await one.jobs([round_ * 30.0], 5)
        await one.until(one.now + IDLE_SECONDS_SINGLE + 2 * TIDY)
        assert not one.api.blocks
    assert one.api.writes == 2 * rounds


async def test_a_hundred_nodes_that_start_at_once_part_soon() -> None:
    """Each refused claim is a request: the API server says which was first."""
    made = Node("10.64.0.0/14")
    nodes = [Blocks(f"n{i}", Leases(), made.api) for i in range(100)]
    await asyncio.gather(*(one.lease(made.pool, 4, Holder("s", "net1", "ns/p")) for one in nodes))
    assert len(made.api.blocks) == 100
    assert made.api.writes - 100 <= 250, "requests that another was first for"
