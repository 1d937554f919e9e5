"""Blocks and leases: no address twice over many nodes, few writes, nothing kept idle."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest
from podnet_api import pools
from podnet_kni_server.blocks import IDLE_SECONDS, IDLE_SECONDS_SINGLE, Blocks, FakeBlockApi
from podnet_kni_server.errors import NoAddressError
from podnet_kni_server.leases import Holder, Leases
from podnet_tests.kni_world import network_config


def pool(cidr: str, **ipam: object) -> pools.Pool:
    made = pools.pool_of(network_config("c", ipam={"ranges": [{"cidr": cidr}], **ipam}))
    assert made is not None
    return made


def holder(number: int) -> Holder:
    return Holder(f"s{number}", "net1", f"ns/p{number}")


def node(name: str, api: FakeBlockApi) -> Blocks:
    return Blocks(name, Leases(), api)


async def test_many_nodes_never_give_an_address_twice() -> None:
    api, wanted = FakeBlockApi(), pool("10.0.0.0/20")
    nodes = [node(f"n{i}", api) for i in range(20)]

    async def fill(number: int) -> list[pools.Address]:
        return [await nodes[number].lease(wanted, 4, holder(number * 100 + i)) for i in range(40)]

    given = [address for part in await asyncio.gather(*(fill(i) for i in range(20))) for address in part]
    assert len(set(given)) == len(given) == 800
    assert len(api.blocks) <= 60
    assert api.writes < 800 / 3


async def test_the_last_address_and_no_further() -> None:
    api, wanted = FakeBlockApi(), pool("10.0.0.0/29")
    nodes = [node("a", api), node("b", api)]
    for i in range(6):
        await nodes[i % 2].lease(wanted, 4, holder(i))
    with pytest.raises(NoAddressError, match="all 6 are in use"):
        await nodes[0].lease(wanted, 4, holder(9))


async def test_single_addresses_go_back_soon_and_blocks_later() -> None:
    api = FakeBlockApi()
    small, large = pool("10.0.0.0/29"), pool("10.1.0.0/24")
    leases = Leases()
    mine = Blocks("a", leases, api)
    for number, wanted in enumerate((small, large)):
        await mine.lease(wanted, 4, holder(number))
        leases.release(f"s{number}")
    await mine.tidy(0)
    await mine.tidy(IDLE_SECONDS_SINGLE + 1)
    assert [b.spec.cidr for b in api.blocks.values()] == ["10.1.0.0/28"]
    await mine.tidy(IDLE_SECONDS + 1)
    assert not api.blocks


async def test_blocks_of_a_pool_that_is_gone_go_back_at_once() -> None:
    api, leases = FakeBlockApi(), Leases()
    mine = Blocks("a", leases, api)
    await mine.lease(pool("10.0.0.0/24"), 4, holder(1))
    api.deleted_pools.add("c")
    await mine.tidy(0)
    assert len(api.blocks) == 1, "an address of it is in use"
    leases.release("s1")
    await mine.tidy(0)
    assert not api.blocks


async def test_a_block_in_use_is_never_given_back() -> None:
    api = FakeBlockApi()
    mine = node("a", api)
    await mine.lease(pool("10.0.0.0/24"), 4, holder(1))
    await mine.tidy(0)
    await mine.tidy(10 * IDLE_SECONDS)
    assert len(api.blocks) == 1


async def test_a_block_that_cannot_be_given_back_stays_ours() -> None:
    api, leases, wanted = FakeBlockApi(), Leases(), pool("10.0.0.0/24")
    mine = Blocks("a", leases, api)
    await mine.lease(wanted, 4, holder(1))
    leases.release("s1")
    await mine.tidy(0)
    api.down = True
    with pytest.raises(Exception, match="cannot reach"):
        await mine.tidy(IDLE_SECONDS + 1)
    assert leases.free(wanted, 4) == 15


async def test_a_block_that_somebody_deleted_is_claimed_again() -> None:
    api = FakeBlockApi()
    mine = node("a", api)
    working = asyncio.create_task(mine.run())
    await mine.lease(pool("10.0.0.0/24"), 4, holder(1))
    [block] = api.blocks.values()
    api.blocks.clear()
    mine.lost(block)
    await asyncio.sleep(0.01)
    assert list(api.blocks) == [block.metadata.name]
    working.cancel()


async def test_a_block_that_was_given_back_stays_given_back() -> None:
    api, leases = FakeBlockApi(), Leases()
    mine = Blocks("a", leases, api)
    working = asyncio.create_task(mine.run())
    await mine.lease(pool("10.0.0.0/29"), 4, holder(1))
    [block] = api.blocks.values()
    leases.release("s1")
    await mine.tidy(0)
    await mine.tidy(IDLE_SECONDS_SINGLE + 1)
    mine.lost(block)
    await asyncio.sleep(0.01)
    assert not api.blocks
    working.cancel()


async def test_a_static_address_names_its_holder() -> None:
    api, wanted = FakeBlockApi(), pool("10.0.0.0/29")
    a, b = node("a", api), node("b", api)
    address = ipaddress.ip_address("10.0.0.3")
    await a.lease_exact(wanted, address, holder(1))
    await a.lease_exact(wanted, address, holder(1))
    with pytest.raises(NoAddressError, match="Pod ns/p1 holds it"):
        await a.lease_exact(wanted, address, holder(2))
    with pytest.raises(NoAddressError, match="node a holds that block"):
        await b.lease_exact(wanted, address, holder(3))
    with pytest.raises(NoAddressError, match="no range of c gives it"):
        await a.lease_exact(wanted, ipaddress.ip_address("10.9.0.1"), holder(4))


async def test_a_pool_per_node_needs_no_api() -> None:
    api, wanted = FakeBlockApi(), pool("10.0.0.0/29", scope="node")
    a, b = node("a", api), node("b", api)
    assert await a.lease(wanted, 4, holder(1)) == await b.lease(wanted, 4, holder(2))
    assert api.writes == 0


async def test_blocks_are_claimed_ahead_of_need() -> None:
    api, leases, wanted = FakeBlockApi(), Leases(), pool("10.0.0.0/24")
    mine = Blocks("a", leases, api)
    await mine.prepare(wanted, 4)
    assert len(api.blocks) == 1
    ahead = asyncio.create_task(mine.run())
    for i in range(12):
        await mine.lease(wanted, 4, holder(i))
    await asyncio.sleep(0.01)
    assert leases.free(wanted, 4) == 15 - 12 + 16
    await mine.tidy(0)
    await mine.tidy(10 * IDLE_SECONDS)
    assert len(api.blocks) == 2, "the reserve of a pool in use is kept"
    ahead.cancel()
    assert not mine.low(pool("10.0.0.0/29"), 4)
