"""Blocks and leases: no address twice over many nodes, few writes, nothing kept idle."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest
from podnet_api import pools
from podnet_api.errors import KubeError
from podnet_kni_server.block_api import FakeBlockApi
from podnet_kni_server.blocks import Blocks
from podnet_kni_server.errors import NoAddressError
from podnet_kni_server.idle import IDLE_SECONDS, IDLE_SECONDS_SINGLE
from podnet_kni_server.leases import Holder, Leases
from podnet_tests.kni_world import network_config


def pool(cidr: str, **ipam: object) -> pools.Pool:
    made = pools.pool_of(network_config("c", ipam={"ranges": [{"cidr": cidr}], **ipam}))
    assert made is not None
    return made


def holder(number: int) -> Holder:
    return Holder(f"s{number}", "net1", f"ns/p{number}")


def node(name: str, api: FakeBlockApi, leases: Leases | None = None) -> Blocks:
    return Blocks(name, leases or Leases(), api)


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
    for cidr, left, soon in (("10.0.0.0/29", [], True), ("10.1.0.0/24", ["10.1.0.0/28"], False)):
        wanted, leases = pool(cidr), Leases()
        api.pools["c"] = wanted
        mine = node("a", api, leases)
        await mine.lease(wanted, 4, holder(1))
        leases.release("s1")
        await mine.tidy(0)
        await mine.tidy(IDLE_SECONDS_SINGLE + 1)
        assert [b.spec.cidr for b in api.blocks.values()] == left, soon
    await mine.tidy(IDLE_SECONDS + 1)
    assert not api.blocks


async def test_blocks_of_a_pool_that_is_gone_go_back_at_once() -> None:
    api, leases, wanted = FakeBlockApi(), Leases(), pool("10.0.0.0/24")
    mine = node("a", api, leases)
    await mine.lease(wanted, 4, holder(1))
    await mine.tidy(0)
    assert len(api.blocks) == 1, "an address of it is in use"
    leases.release("s1")
    await mine.tidy(0)
    assert not api.blocks


async def test_a_block_in_use_is_never_given_back() -> None:
    api, wanted = FakeBlockApi(), pool("10.0.0.0/24")
    api.pools["c"] = wanted
    mine = node("a", api)
    await mine.lease(wanted, 4, holder(1))
    await mine.tidy(0)
    await mine.tidy(10 * IDLE_SECONDS)
    assert len(api.blocks) == 1


async def idle(api: FakeBlockApi, wanted: pools.Pool) -> tuple[Blocks, Leases]:
    """A node whose only block has just become idle."""
    leases = Leases()
    api.pools["c"] = wanted
    mine = node("a", api, leases)
    await mine.lease(wanted, 4, holder(1))
    leases.release("s1")
    await mine.tidy(0)
    return mine, leases


async def test_a_block_that_cannot_be_given_back_stays_ours() -> None:
    api, wanted = FakeBlockApi(), pool("10.0.0.0/24")
    mine, leases = await idle(api, wanted)
    api.down = True
    with pytest.raises(KubeError, match="cannot reach"):
        await mine.tidy(IDLE_SECONDS + 1)
    assert leases.free(wanted, 4) == 15
    assert await mine.lease(wanted, 4, holder(2))


async def test_a_block_whose_deletion_is_in_doubt_is_leased_no_more() -> None:
    api, wanted = FakeBlockApi(), pool("10.0.0.0/24")
    mine, leases = await idle(api, wanted)
    api.lose_answers = True
    with pytest.raises(KubeError, match="answer is lost"):
        await mine.tidy(IDLE_SECONDS + 1)
    api.lose_answers = False
    other = await node("b", api).lease(wanted, 4, holder(7))
    assert leases.free(wanted, 4) == 0
    assert await mine.lease(wanted, 4, holder(2)) != other
    await mine.tidy(IDLE_SECONDS + 2)
    assert len(api.blocks) == 2, "the other's block, which has the same name, is not deleted"


async def test_a_claim_whose_answer_was_lost_is_ours_when_the_watch_shows_it() -> None:
    api, leases, wanted = FakeBlockApi(), Leases(), pool("10.0.0.0/24")
    mine = node("a", api, leases)
    api.lose_answers = True
    with pytest.raises(NoAddressError, match="API server is away"):
        await mine.lease(wanted, 4, holder(1))
    [block] = api.blocks.values()
    mine.seen(None, block)
    assert leases.free(wanted, 4) == 15
    api.down = True
    assert await mine.lease(wanted, 4, holder(1))


async def test_a_block_that_somebody_deleted_is_claimed_again() -> None:
    api = FakeBlockApi()
    mine = node("a", api)
    working = asyncio.create_task(mine.run())
    await mine.lease(pool("10.0.0.0/24"), 4, holder(1))
    [block] = api.blocks.values()
    api.blocks.clear()
    mine.seen(block, None)
    await asyncio.sleep(0.01)
    assert list(api.blocks) == [block.metadata.name]
    working.cancel()


async def test_a_block_that_was_deleted_while_the_server_was_away_is_claimed_again() -> None:
    api, leases, wanted = FakeBlockApi(), Leases(), pool("10.0.0.0/24")
    api.pools["c"] = wanted
    leases.adopt("c", ipaddress.ip_address("10.0.0.20"), holder(1))
    mine = node("a", api, leases)
    mine.adopt()
    working = asyncio.create_task(mine.run())
    await asyncio.sleep(0.01)
    assert [block.spec.cidr for block in api.blocks.values()] == ["10.0.0.16/28"]
    assert leases.free(wanted, 4) == 15
    working.cancel()


async def test_a_block_that_another_took_is_leased_no_more() -> None:
    api, leases, wanted = FakeBlockApi(), Leases(), pool("10.0.0.0/24")
    mine = node("a", api, leases)
    working = asyncio.create_task(mine.run())
    await mine.lease(wanted, 4, holder(1))
    [block] = api.blocks.values()
    api.blocks.clear()
    await node("b", api).lease(wanted, 4, holder(7))
    mine.seen(block, None)
    await asyncio.sleep(0.01)
    assert leases.free(wanted, 4) == 0
    assert str(await mine.lease(wanted, 4, holder(2))) == "10.0.0.16"
    working.cancel()


async def test_a_block_that_was_given_back_stays_given_back() -> None:
    api, wanted = FakeBlockApi(), pool("10.0.0.0/29")
    mine, _ = await idle(api, wanted)
    working = asyncio.create_task(mine.run())
    [block] = api.blocks.values()
    await mine.tidy(IDLE_SECONDS_SINGLE + 1)
    mine.seen(block, None)
    await asyncio.sleep(0.01)
    assert not api.blocks
    working.cancel()


async def test_an_old_deletion_does_not_undo_a_new_claim() -> None:
    api, wanted = FakeBlockApi(), pool("10.0.0.0/29")
    mine, leases = await idle(api, wanted)
    [old] = api.blocks.values()
    await mine.tidy(IDLE_SECONDS_SINGLE + 1)
    working = asyncio.create_task(mine.run())
    await mine.lease(wanted, 4, holder(2))
    mine.seen(old, None)
    await asyncio.sleep(0.01)
    assert api.writes == 3
    assert leases.blocks("c")
    working.cancel()


async def test_a_static_address_names_its_holder() -> None:
    api, wanted = FakeBlockApi(), pool("10.0.0.0/29")
    a, b = node("a", api), node("b", api)
    address = ipaddress.ip_address("10.0.0.3")
    await a.lease_exact(wanted, address, holder(1))
    await a.lease_exact(wanted, address, holder(1))
    with pytest.raises(NoAddressError, match="Pod ns/p1 holds it"):
        await a.lease_exact(wanted, address, holder(2))
    with pytest.raises(NoAddressError, match="a Pod of node a holds it"):
        await b.lease_exact(wanted, address, holder(3))
    with pytest.raises(NoAddressError, match="no range of c gives it"):
        await a.lease_exact(wanted, ipaddress.ip_address("10.9.0.1"), holder(4))


async def test_a_static_address_in_the_block_of_another_node_says_what_to_do() -> None:
    api, wanted = FakeBlockApi(), pool("10.0.0.0/24")
    await node("a", api).lease(wanted, 4, holder(1))
    with pytest.raises(NoAddressError, match=r"node a holds block 10\.0\.0\.0/28; exclude the address"):
        await node("b", api).lease_exact(wanted, ipaddress.ip_address("10.0.0.9"), holder(2))


async def test_static_addresses_apart_from_what_is_leased_go_to_any_node() -> None:
    ranges = [{"cidr": "10.0.0.0/24", "gateway": "10.0.0.1", "start": "10.0.0.100", "exclude": ["10.0.0.128/28"]}]
    made = pools.pool_of(network_config("c", ipam={"ranges": ranges}))
    assert made is not None
    api = FakeBlockApi()
    nodes = [node(name, api) for name in "abc"]
    for number, text in enumerate(("10.0.0.10", "10.0.0.11", "10.0.0.130")):
        await nodes[number].lease_exact(made, ipaddress.ip_address(text), holder(number))
    assert sorted(b.spec.cidr for b in api.blocks.values()) == ["10.0.0.10/32", "10.0.0.11/32", "10.0.0.130/32"]
    with pytest.raises(NoAddressError, match="a Pod of node a holds it"):
        await nodes[1].lease_exact(made, ipaddress.ip_address("10.0.0.10"), holder(9))
    for text in ("10.0.0.0", "10.0.0.1", "10.0.0.255"):
        with pytest.raises(NoAddressError, match="no range of c gives it"):
            await nodes[0].lease_exact(made, ipaddress.ip_address(text), holder(9))
    assert str(await nodes[0].lease(made, 4, holder(5))) == "10.0.0.100"


async def test_a_pool_per_node_needs_no_api() -> None:
    api, wanted = FakeBlockApi(), pool("10.0.0.0/29", scope="node")
    a, b = node("a", api), node("b", api)
    assert await a.lease(wanted, 4, holder(1)) == await b.lease(wanted, 4, holder(2))
    assert api.writes == 0


async def test_blocks_are_claimed_ahead_of_need() -> None:
    api, leases, wanted = FakeBlockApi(), Leases(), pool("10.0.0.0/24")
    api.pools["c"] = wanted
    mine = node("a", api, leases)
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


async def test_each_pod_that_is_bound_here_finds_its_single_address_claimed() -> None:
    api, wanted = FakeBlockApi(), pool("10.0.0.0/29")
    mine = node("a", api)
    await asyncio.gather(*(mine.expect(wanted, 4, holder(i)) for i in range(4)))
    assert len(api.blocks) == 4
    api.down = True
    given = {await mine.lease(wanted, 4, holder(i)) for i in range(4)}
    assert len(given) == 4
    api.down = False
    await mine.expect(wanted, 4, holder(4))
    mine.forget("ns/p4")
    await mine.expect(wanted, 4, holder(5))
    assert len(api.blocks) == 5, "a Pod that went is not awaited"


async def test_blocks_of_another_size_are_not_overlapped() -> None:
    api = FakeBlockApi()
    await node("a", api).lease(pool("10.0.0.0/24", blockPrefix4=27), 4, holder(1))
    assert str(await node("b", api).lease(pool("10.0.0.0/24", blockPrefix4=29), 4, holder(2))) == "10.0.0.32"
    assert str(await node("b", api).lease(pool("10.0.0.0/24", blockPrefix4=26), 4, holder(3))) == "10.0.0.64"


@pytest.fixture
def sticky() -> pools.Pool:
    return pool("10.0.0.0/24", sticky=True)


@pytest.fixture
def keeping(sticky: pools.Pool) -> FakeBlockApi:
    """An API that knows the Pods of a StatefulSet."""
    api = FakeBlockApi()
    api.pools["c"] = sticky
    api.members = {f"ns/db-{i}": "db" for i in range(9)}
    return api


def member(number: int, attempt: int = 0) -> Holder:
    return Holder(f"db-{number}-{attempt}", "net1", f"ns/db-{number}")


async def test_a_member_comes_back_to_its_address_for_nothing(keeping: FakeBlockApi, sticky: pools.Pool) -> None:
    leases = Leases()
    mine = node("a", keeping, leases)
    first = [await mine.lease(sticky, 4, member(i)) for i in range(3)]
    for i in range(3):
        leases.release(f"db-{i}-0")
    await mine.tidy(0)
    await mine.tidy(10 * IDLE_SECONDS)
    assert await mine.lease(sticky, 4, holder(1)) not in first, "what is kept is given to nobody else"
    writes, keeping.down = keeping.writes, True
    assert [await mine.lease(sticky, 4, member(i, 1)) for i in (2, 1, 0)] == first[::-1]
    assert keeping.writes == writes == 4


async def test_a_member_takes_its_address_to_another_node_with_one_write(
    keeping: FakeBlockApi, sticky: pools.Pool
) -> None:
    leases = Leases()
    a, b = node("a", keeping, leases), node("b", keeping)
    address = await a.lease(sticky, 4, member(0))
    leases.release("db-0-0")
    writes = keeping.writes
    assert await b.lease(sticky, 4, member(0, 1)) == address
    assert keeping.writes == writes + 1
    [block] = keeping.blocks.values()
    assert block.spec.node_name == "b"
    a.seen(None, block)
    assert await a.lease(sticky, 4, holder(1)) != address


async def test_what_is_kept_is_let_go_with_its_member(keeping: FakeBlockApi, sticky: pools.Pool) -> None:
    """The controller deletes what nobody comes back for: while the Pod is there it is claimed again, later not."""
    leases = Leases()
    mine = node("a", keeping, leases)
    working = asyncio.create_task(mine.run())
    await mine.lease(sticky, 4, member(0))
    for remains in (1, 0):
        [block] = keeping.blocks.values()
        keeping.blocks.clear()
        if not remains:
            leases.release("db-0-0")
        mine.seen(block, None)
        await asyncio.sleep(0.01)
        assert len(keeping.blocks) == remains
    working.cancel()


async def test_a_server_that_was_killed_still_keeps_addresses(keeping: FakeBlockApi, sticky: pools.Pool) -> None:
    address = await node("a", keeping).lease(sticky, 4, member(0))
    again = node("a", keeping)
    again.adopt()
    assert await again.lease(sticky, 4, holder(1)) != address
    assert await again.lease(sticky, 4, member(0, 1)) == address


async def test_the_api_is_asked_before_a_member_gets_a_new_address(
    keeping: FakeBlockApi, sticky: pools.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = await node("a", keeping).lease(sticky, 4, member(0))
    monkeypatch.setattr(keeping, "known", list)
    assert await node("b", keeping).lease(sticky, 4, member(0, 1)) == address


async def test_two_interfaces_of_a_member_keep_two_addresses(keeping: FakeBlockApi, sticky: pools.Pool) -> None:
    mine = node("a", keeping)
    second = Holder("db-0-0", "net2", "ns/db-0")
    given = [await mine.lease(sticky, 4, one) for one in (member(0), second)]
    again = node("b", keeping)
    assert [await again.lease(sticky, 4, one) for one in (member(0, 1), Holder("db-0-1", "net2", "ns/db-0"))] == given


async def test_members_are_prepared_for(keeping: FakeBlockApi, sticky: pools.Pool) -> None:
    mine = node("a", keeping)
    await asyncio.gather(*(mine.expect(sticky, 4, Holder("", "net1", f"ns/db-{i}")) for i in (1, 0, 1)))
    keeping.down = True
    assert len({await mine.lease(sticky, 4, member(i)) for i in (0, 1)}) == 2
    with pytest.raises(NoAddressError, match="kept for Pod ns/db-2"):
        await mine.lease(sticky, 4, member(2))


async def test_a_static_address_that_is_kept_names_whom_for(keeping: FakeBlockApi, sticky: pools.Pool) -> None:
    address = await node("a", keeping).lease(sticky, 4, member(0))
    for name in "ab":
        with pytest.raises(NoAddressError, match=r"kept for Pod ns/db-0, which was on node a last"):
            await node(name, keeping).lease_exact(sticky, address, holder(1))
