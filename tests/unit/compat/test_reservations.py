"""Addresses that whereabouts has given: read from its objects, held out of our pools, let go when they are free."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from podnet_api import core, kni, pools
from podnet_api.errors import KubeError
from podnet_api.meta import ObjectMeta, OwnerReference
from podnet_compat import maker as makers
from podnet_compat import mirror as mirrors
from podnet_compat import names, reservations
from podnet_compat import reservations_live as lives
from podnet_compat import store as stores
from podnet_compat.reservations import Allocation, IPPool, IPPoolSpec, NodeSlicePool, OverlappingRangeIPReservation
from podnet_kni_server.block_api import FakeBlockApi
from podnet_kni_server.blocks import Blocks
from podnet_kni_server.errors import NoAddressError
from podnet_kni_server.leases import Holder, Leases
from podnet_tests import mirroring
from podnet_tests.mirroring import until

WHEREABOUTS = f"/apis/{reservations.GROUP}/v1alpha1"
IPPOOL = WHEREABOUTS + "/namespaces/kube-system/ippools/{}"
OVERLAPPING = WHEREABOUTS + "/namespaces/kube-system/overlappingrangeipreservations/{}"
NAD = "/apis/k8s.cni.cncf.io/v1/namespaces/test/network-attachment-definitions/net1"
BLOCK = "/apis/kni.multinetwork.x-k8s.io/v1alpha1/ipblocks/{}"
NETWORK = "/apis/multinetwork.x-k8s.io/v1alpha1/podnetworks/test.net1"
CONFIG = {"type": "macvlan", "master": "eth1", "ipam": {"type": "whereabouts", "range": "10.1.0.0/24"}}


def ippool(name: str, range_: str, **allocations: str) -> IPPool:
    given = {offset.removeprefix("n"): Allocation(podref=pod, ifname="net1") for offset, pod in allocations.items()}
    return IPPool(
        metadata=ObjectMeta(name=name, namespace="kube-system"), spec=IPPoolSpec(range=range_, allocations=given)
    )


def overlapping(name: str) -> OverlappingRangeIPReservation:
    return OverlappingRangeIPReservation(metadata=ObjectMeta(name=name), spec=Allocation(podref="a/p", ifname="net1"))


def slices(*parts: tuple[str, str]) -> NodeSlicePool:
    listed = [reservations.Slice(node_name=node, slice_range=part) for node, part in parts]
    return NodeSlicePool(metadata=ObjectMeta(name="x"), status=reservations.Slices(allocations=listed))


def given(network: str, *items: Any) -> set[str]:
    kinds = (IPPool, OverlappingRangeIPReservation, NodeSlicePool)
    listed = [[item for item in items if isinstance(item, kind)] for kind in kinds]
    return {str(one.address) for one in reservations.of(network, *listed)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("network", "items", "expected"),
    [
        ("", [ippool("10.1.0.0-24", "10.1.0.0/24", n1="a/p", n200="a/q")], {"10.1.0.1", "10.1.0.200"}),
        ("", [ippool("fd00--0-120", "fd00::/120", n1="a/p")], set()),
        ("", [ippool("fd00---120", "fd00::/120", n17="a/p")], {"fd00::11"}),
        ("red", [ippool("10.1.0.0-24", "10.1.0.0/24", n1="a/p")], set()),
        ("red", [ippool("red-10.1.0.0-24", "10.1.0.0/24", n1="a/p")], {"10.1.0.1"}),
        ("", [ippool("red-10.1.0.0-24", "10.1.0.0/24", n1="a/p")], set()),
        ("", [ippool("w1-10.1.0.0-26", "10.1.0.0/26", n1="a/p"), slices(("w1", "10.1.0.0/26"))], {"10.1.0.1"}),
        ("red", [ippool("red-w1-10.1.0.0-26", "10.1.0.0/26", n1="a/p"), slices(("w1", "10.1.0.0/26"))], {"10.1.0.1"}),
        ("", [ippool("w1-10.1.0.0-26", "10.1.0.0/26", n1="a/p"), slices(("", "10.1.0.0/26"))], set()),
        ("", [overlapping("10.1.0.7"), overlapping("fd00--7"), overlapping("red-10.1.0.8")], {"10.1.0.7", "fd00::7"}),
        ("red", [overlapping("10.1.0.7"), overlapping("red-10.1.0.8"), overlapping("red-fd00--8")],
         {"10.1.0.8", "fd00::8"}),
        ("", [ippool("x", "x", n1="a/p"), ippool("10.1.0.0-24", "10.1.0.0/24", x="a/p"), overlapping("x")], set()),
        ("", [ippool("255.255.255.0-24", "255.255.255.0/24", n256="a/p", n9999999999="a/p")], set()),
    ],
)  # fmt: skip
def test_what_whereabouts_says_is_given(network: str, items: list[Any], expected: set[str]) -> None:
    assert given(network, *items) == expected


def pool(sticky: bool) -> pools.Pool:
    spec = kni.NetworkConfigSpec(ipam=kni.Ipam(ranges=[kni.Range(cidr="10.1.0.0/24")], sticky=sticky))
    made = pools.pool_of(kni.NetworkConfig(metadata=ObjectMeta(name="test.net1"), spec=spec))
    assert made is not None
    return made


def pod(name: str, owner: str = "", node: str = "w1", status: str = "", phase: str = "Running") -> core.Pod:
    owners = [OwnerReference(api_version="apps/v1", kind="StatefulSet", name=owner, uid="u", controller=True)]
    annotations = {"k8s.v1.cni.cncf.io/network-status": status} if status else {}
    meta = ObjectMeta(name=name, namespace="a", owner_references=owners if owner else [], annotations=annotations)
    return core.Pod(metadata=meta, spec=core.PodSpec(node_name=node), status=core.PodStatus(phase=phase))


def test_addresses_are_held_as_a_node_would_claim_them() -> None:
    found = reservations.of("", [ippool("10.1.0.0-24", "10.1.0.0/24", n5="a/p", n6="a/db-0", n40="a/gone")], [], [])
    pods = {"a/p": pod("p"), "a/db-0": pod("db-0", "db")}
    single, whole = (reservations.holds(pool(sticky), found, pods) for sticky in (True, False))
    member = kni.Member(namespace="a", stateful_set="db", pod="db-0", interface="net1")
    assert {(b.spec.cidr, b.spec.node_name, b.spec.holder) for b in single} == {
        ("10.1.0.5/32", reservations.NOBODY, None),
        ("10.1.0.6/32", "w1", member),
        ("10.1.0.40/32", reservations.NOBODY, None),
    }
    assert sorted(b.spec.cidr for b in whole) == ["10.1.0.0/28", "10.1.0.32/28"]
    assert all(b.spec.holder is None for b in whole)
    assert {b.metadata.annotations[names.HELD_FOR] for b in whole} == {"a/p a/db-0", "a/gone"}
    assert {b.metadata.name for b in whole} == {"test.net1-10-1-0-0-28", "test.net1-10-1-0-32-28"}


async def test_no_node_gives_what_is_held_and_a_member_comes_back_to_its_own() -> None:
    """The KNI server's own counting, over two nodes, until the pool is used up."""
    allocations = {"n5": "a/p", "n6": "a/db-0", "n40": "a/gone"}
    found = reservations.of("", [ippool("10.1.0.0-24", "10.1.0.0/24", **allocations)], [], [])
    wanted, api = pool(sticky=True), FakeBlockApi()
    for block in reservations.holds(wanted, found, {"a/db-0": pod("db-0", "db", node="w1")}):
        await api.create(block)
    api.members["a/db-0"] = "db"
    nodes = [Blocks(name, Leases(), api) for name in ("w1", "w2")]
    assert str(await nodes[1].lease(wanted, 4, Holder("s0", "net1", "a/db-0"))) == "10.1.0.6"
    given = [str(await nodes[n % 2].lease(wanted, 4, Holder(f"s{n}", "net1", f"b/p{n}"))) for n in range(1, 252)]
    assert len(set(given)) == 251
    assert not {"10.1.0.5", "10.1.0.6", "10.1.0.40"} & set(given)
    with pytest.raises(NoAddressError, match="in use"):
        await nodes[0].lease(wanted, 4, Holder("s", "net1", "b/last"))


def test_only_what_our_pool_could_give_is_held() -> None:
    found = reservations.of("", [ippool("10.0.0.0-8", "10.0.0.0/8", n5="a/p", n65541="a/q")], [], [])
    assert [str(one.address) for one in reservations.within(pool(True), found)] == ["10.1.0.5"]


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (None, False),
        (pod("p"), True),
        (pod("p", phase="Succeeded"), False),
        (pod("p", status='[{"ips":["10.1.0.5"]}]'), True),
        (pod("p", status='[{"ips":["10.1.0.50"]}]'), False),
    ],
)
def test_a_reservation_counts_while_its_pod_has_the_address(there: core.Pod | None, expected: bool) -> None:
    [one] = reservations.of("", [ippool("10.1.0.0-24", "10.1.0.0/24", n5="a/p")], [], [])
    assert reservations.alive(one, {"a/p": there} if there else {}) == expected


def put_nad(api: Any, config: Any = CONFIG) -> None:
    meta = {"name": "net1", "namespace": "test", "uid": "uid-net1"}
    api.put(NAD, metadata=meta, spec={"config": json.dumps(config)})


def put_pool(api: Any, **allocations: str) -> None:
    given = {
        offset.removeprefix("n"): {"podref": who, "ifname": "net1", "id": "c"} for offset, who in allocations.items()
    }
    meta = {"name": "10.1.0.0-24", "namespace": "kube-system", "uid": "u"}
    api.put(IPPOOL.format("10.1.0.0-24"), metadata=meta, spec={"range": "10.1.0.0/24", "allocations": given})


def put_pod(api: Any, name: str, phase: str = "Running") -> None:
    api.put(f"/api/v1/namespaces/a/pods/{name}", metadata={"name": name, "namespace": "a"}, status={"phase": phase})


@pytest.fixture
async def live(api: Any, store: stores.Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[lives.Live]:
    monkeypatch.setattr(mirrors, "_BACKOFF", (0.02, 0.1))
    monkeypatch.setattr(lives, "PAUSE", 0.02)
    monkeypatch.setattr(lives, "PERIOD", 0.2)
    monkeypatch.setattr(lives, "FRESH", 0.05)
    monkeypatch.setattr(lives, "YOUNG", 0.0)
    kinds = ("ippools", "overlappingrangeipreservations", "nodeslicepools")
    api.objects[WHEREABOUTS] = {"resources": [{"name": kind} for kind in kinds]}
    async with mirroring.holding(store) as made:
        yield made


async def test_addresses_in_use_are_held_before_the_network_is_there(api: Any, live: lives.Live) -> None:
    put_pod(api, "p")
    put_pool(api, n5="a/p")
    put_nad(api)
    await until(lambda: NETWORK in api.objects)
    order = [path for method, path in api.requests if method == "POST"]
    assert [path.rpartition("/")[2] for path in order[:3]] == ["networkconfigs", "ipblocks", "podnetworks"]
    block = api.objects[BLOCK.format("test.net1-10-1-0-5-32")]
    assert block["spec"] == {"networkConfig": "test.net1", "cidr": "10.1.0.5/32", "nodeName": reservations.NOBODY}
    assert api.objects[NAD]["metadata"]["annotations"][names.STICKY] == "true"


async def test_it_follows_whereabouts(api: Any, live: lives.Live) -> None:
    for name in ("p", "q"):
        put_pod(api, name)
    put_pool(api, n5="a/p")
    put_nad(api)
    await until(lambda: NETWORK in api.objects)
    put_pool(api, n5="a/p", n6="a/q")
    await until(lambda: BLOCK.format("test.net1-10-1-0-6-32") in api.objects)
    put_pool(api, n6="a/q")
    await until(lambda: api.names("ipblocks") == ["test.net1-10-1-0-6-32"])
    put_pod(api, "q", phase="Succeeded")
    await until(lambda: api.names("ipblocks") == [])


async def test_what_a_node_holds_already_is_told_once(api: Any, live: lives.Live) -> None:
    put_pod(api, "p")
    put_pod(api, "q")
    put_pool(api, n5="a/p")
    put_nad(api)
    await until(lambda: NETWORK in api.objects)
    spec = {"networkConfig": "test.net1", "cidr": "10.1.0.9/32", "nodeName": "w1"}
    api.put(BLOCK.format("test.net1-10-1-0-9-32"), metadata={"name": "test.net1-10-1-0-9-32", "uid": "u"}, spec=spec)
    put_pool(api, n5="a/p", n9="a/q")
    await until(lambda: api.events)
    await asyncio.sleep(0.5)
    [event] = api.events
    assert event["reason"] == "AddressInUse"
    assert "a/q" in event["message"]
    assert "attach-with: plugins" in event["message"]


async def test_a_network_nobody_has_addresses_of_is_as_ever(api: Any, live: lives.Live) -> None:
    put_pool(api)
    put_nad(api)
    await until(lambda: NETWORK in api.objects)
    assert names.STICKY not in api.objects[NAD]["metadata"].get("annotations", {})
    assert api.names("ipblocks") == []


async def test_without_whereabouts_nothing_waits_for_it(api: Any, store: stores.Store) -> None:
    made = lives.Live(store)
    task = asyncio.create_task(made.run())
    mirror = asyncio.create_task(mirrors.Mirror(store, makers.Maker(store, made)).run())
    put_nad(api)
    await until(lambda: NETWORK in api.objects)
    for one in (task, mirror):
        one.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await one


async def test_nothing_is_made_while_it_is_not_known_what_was_given(
    api: Any, store: stores.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives, "_ATTEND", 0.05)
    monkeypatch.setattr(mirrors, "_BACKOFF", (0.02, 0.1))
    made = lives.Live(store)
    mirror = asyncio.create_task(mirrors.Mirror(store, makers.Maker(store, made)).run())
    put_nad(api)
    await asyncio.sleep(0.3)
    assert NETWORK not in api.objects
    assert not mirror.done()
    task = asyncio.create_task(made.run())
    await until(lambda: NETWORK in api.objects)
    for one in (task, mirror):
        one.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await one


async def test_a_pod_that_comes_before_the_mirror_waits_for_what_the_nad_is_told(
    api: Any, store: stores.Store, live: lives.Live
) -> None:
    """Who asks for the network's objects has the NAD as it was before it became sticky."""
    put_pod(api, "p")
    put_pool(api, n5="a/p")
    await asyncio.sleep(0.1)
    put_nad(api)
    await until(lambda: store.nads.get("net1", "test"))
    before = store.nads.get("net1", "test")
    assert before is not None
    maker = makers.Maker(store, live)
    for _ in range(50):
        try:
            made = await maker.ensure(before)
        except (makers.BusyError, KubeError):
            await asyncio.sleep(0.05)
        else:
            break
    assert made == "test.net1"
    assert BLOCK.format("test.net1-10-1-0-5-32") in api.objects
    assert api.objects[f"/apis/kni.multinetwork.x-k8s.io/v1alpha1/networkconfigs/{made}"]["spec"]["ipam"]["sticky"]
