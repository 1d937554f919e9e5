"""The controller against an API server in memory: made, followed, kept while used, removed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import operator
from collections.abc import AsyncIterator
from typing import Any

import pytest
from podnet_api.meta import manifest
from podnet_compat import maker as makers
from podnet_compat import mirror as mirrors
from podnet_compat import nad as nads
from podnet_compat import names
from podnet_compat import store as stores
from podnet_compat.legacy import nad as read_nad
from podnet_tests.mirroring import until

NADS = "/apis/k8s.cni.cncf.io/v1/namespaces/{}/network-attachment-definitions/{}"
NETWORK = "/apis/multinetwork.x-k8s.io/v1alpha1/podnetworks/{}"
CONFIG = "/apis/kni.multinetwork.x-k8s.io/v1alpha1/networkconfigs/{}"
POD = "/api/v1/namespaces/test/pods/web"

FIRST: dict[str, Any] = {"type": "macvlan", "master": "eth1", "ipam": {"type": "whereabouts", "range": "10.1.0.0/24"}}
OTHER_MTU = {**FIRST, "mtu": 1400}
OTHER_RANGE = {**FIRST, "ipam": {"type": "whereabouts", "range": "10.2.0.0/24"}}
REFUSED = {"type": "macvlan", "master": "a/b"}


def put_nad(api: Any, config: Any, name: str = "net1", namespace: str = "test") -> None:
    meta = api.objects.get(NADS.format(namespace, name), {}).get("metadata") or {
        "name": name, "namespace": namespace, "uid": f"uid-{name}"}  # fmt: skip
    api.put(NADS.format(namespace, name), metadata=meta, spec={"config": json.dumps(config)})


def put_pod(api: Any, *networks: str, phase: str = "Running") -> None:
    listed = json.dumps([{"podNetworkName": name} for name in networks])
    meta = {"name": "web", "namespace": "test", "annotations": {"multinetwork.x-k8s.io/networks": listed}}
    api.put(POD, metadata=meta, status={"phase": phase})


def word(api: Any, name: str = "net1", namespace: str = "test") -> str:
    meta = api.objects[NADS.format(namespace, name)]["metadata"]
    return str(meta.get("annotations", {}).get(names.TRANSLATION, ""))


def ok(api: Any, namespace: str) -> bool:
    return word(api, namespace=namespace) == "ok"


def spec(api: Any, name: str = "test.net1") -> Any:
    return api.objects.get(CONFIG.format(name), {}).get("spec")


async def settled() -> None:
    await asyncio.sleep(0.1)


@pytest.fixture(autouse=True)
async def mirror(
    store: stores.Store, maker: makers.Maker, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[mirrors.Mirror]:
    monkeypatch.setattr(mirrors, "SWEEP", 0.2)
    monkeypatch.setattr(mirrors, "_BACKOFF", (0.02, 0.1))
    made = mirrors.Mirror(store, maker)
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_nad_has_its_objects_and_says_so(api: Any) -> None:
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok")
    native = nads.translate(read_nad(api.objects[NADS.format("test", "net1")]))
    assert spec(api) == manifest(native.config)["spec"]
    assert api.objects[NETWORK.format("test.net1")]["spec"] == manifest(native.network)["spec"]
    assert api.events == []
    writes = len(api.requests)
    await asyncio.sleep(0.5)
    assert len(api.requests) == writes, "a sweep over settled NADs writes nothing"


async def test_a_refused_nad_says_why_in_annotation_and_event(api: Any) -> None:
    put_nad(api, REFUSED)
    await until(lambda: api.events)
    await settled()
    [event] = api.events
    assert (event["reason"], event["type"]) == ("NotTranslated", "Warning")
    assert event["involvedObject"]["name"] == "net1"
    assert event["message"] == word(api)
    assert "a/b" in word(api)
    assert api.names("podnetworks") == api.names("networkconfigs") == []
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok" and spec(api))


async def test_nads_that_were_there_before_the_program(api: Any) -> None:
    put_nad(api, FIRST, "a")
    put_nad(api, REFUSED, "b")
    await until(lambda: word(api, "a") == "ok" and "a/b" in word(api, "b"))


async def test_an_edit_for_plugins_is_followed_while_pods_use_the_network(api: Any) -> None:
    put_nad(api, {"type": "mynet"})
    await until(lambda: word(api) == "ok")
    put_pod(api, "test.net1")
    put_nad(api, {"type": "mynet", "mtu": 1400})
    await until(lambda: "1400" in spec(api)["cni"]["config"])
    assert word(api) == "ok"


async def test_a_network_is_replaced_when_plugins_take_over_and_kept_while_pods_use_it(api: Any) -> None:
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok")
    put_pod(api, "test.net1")
    put_nad(api, {"type": "mynet"})
    await until(lambda: "while Pods use the network" in word(api))
    assert "macvlan" in spec(api)
    put_pod(api, "test.net1", phase="Succeeded")
    await until(lambda: spec(api) and "cni" in spec(api) and word(api) == "ok")


@pytest.mark.parametrize("change", [OTHER_MTU, OTHER_RANGE])
async def test_an_edit_is_followed_when_nobody_uses_the_network(api: Any, change: Any) -> None:
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok")
    put_nad(api, change)
    wanted = "10.2.0.0/24" if change is OTHER_RANGE else 1400
    await until(lambda: spec(api) and wanted in (spec(api).get("mtu"), spec(api)["ipam"]["ranges"][0]["cidr"]))
    await until(lambda: api.names("podnetworks") == ["test.net1"])
    await settled()
    assert api.names("networkconfigs") == ["test.net1"]
    assert word(api) == "ok"


async def test_an_edit_in_place_reaches_a_used_network(api: Any) -> None:
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok")
    put_pod(api, "test.net1")
    put_nad(api, OTHER_MTU)
    await until(lambda: spec(api).get("mtu") == 1400)


async def test_an_edit_that_needs_a_new_network_waits_for_the_pods(api: Any) -> None:
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok")
    before = spec(api)
    put_pod(api, "test.net1")
    put_nad(api, OTHER_RANGE)
    await until(lambda: "while Pods use the network" in word(api))
    assert spec(api) == before
    assert [event["reason"] for event in api.events] == ["NotTranslated"]
    put_pod(api, "test.net1", phase="Succeeded")
    await until(lambda: word(api) == "ok" and spec(api) and spec(api) != before)


async def test_the_objects_go_with_the_nad_but_not_under_pods(api: Any) -> None:
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok")
    put_pod(api, "test.net1")
    api.drop(NADS.format("test", "net1"))
    await asyncio.sleep(0.5)
    assert api.names("podnetworks") == ["test.net1"]
    api.drop(POD)
    await until(lambda: api.names("podnetworks") == api.names("networkconfigs") == [])


async def test_a_nad_that_comes_back_finds_its_objects(api: Any) -> None:
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok")
    put_pod(api, "test.net1")
    uid = api.objects[NETWORK.format("test.net1")]["metadata"]["uid"]
    api.drop(NADS.format("test", "net1"))
    await settled()
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok")
    assert api.objects[NETWORK.format("test.net1")]["metadata"]["uid"] == uid


async def test_copies_of_a_nad_share_one_pool_until_the_last_goes(api: Any) -> None:
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok")
    put_nad(api, FIRST, namespace="blue")
    await until(lambda: word(api, namespace="blue") == "ok")
    assert api.names("podnetworks") == ["blue.net1", "test.net1"]
    assert api.names("networkconfigs") == ["test.net1"]
    api.drop(NADS.format("test", "net1"))
    await until(lambda: api.names("podnetworks") == ["blue.net1"])
    await settled()
    assert api.names("networkconfigs") == ["test.net1"]
    put_nad(api, OTHER_RANGE)
    await until(lambda: word(api) == "ok")
    assert len(api.names("networkconfigs")) == 2
    api.drop(NADS.format("blue", "net1"))
    api.drop(NADS.format("test", "net1"))
    await until(lambda: api.names("podnetworks") == api.names("networkconfigs") == [])


async def test_the_last_copy_takes_the_shared_config_with_it(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "SWEEP", 60.0)
    await asyncio.sleep(0.3)
    for namespace in ("test", "blue"):
        put_nad(api, FIRST, namespace=namespace)
        await until(functools.partial(ok, api, namespace))
    for namespace in ("test", "blue"):
        api.drop(NADS.format(namespace, "net1"))
        await until(lambda: len(api.names("podnetworks")) < 2)
    await until(lambda: api.names("podnetworks") == api.names("networkconfigs") == [])


async def test_copies_can_be_edited_one_after_the_other(api: Any) -> None:
    for namespace in ("test", "blue"):
        put_nad(api, FIRST, namespace=namespace)
        await until(functools.partial(ok, api, namespace))
    put_pod(api, "test.net1", "blue.net1")
    put_nad(api, OTHER_MTU)
    await until(lambda: "NADs that share" in word(api))
    put_nad(api, OTHER_MTU, namespace="blue")
    await until(lambda: word(api) == word(api, namespace="blue") == "ok")
    assert spec(api)["mtu"] == 1400


async def test_what_somebody_else_made_is_not_touched(api: Any) -> None:
    api.put(NETWORK.format("test.net1"), metadata={"name": "test.net1", "uid": "u"}, spec={"provider": "x.io/y"})
    put_nad(api, FIRST)
    await until(lambda: "was not made from it" in word(api))
    assert api.objects[NETWORK.format("test.net1")]["spec"] == {"provider": "x.io/y"}
    api.drop(NETWORK.format("test.net1"))
    await until(lambda: word(api) == "ok")


async def test_what_somebody_deletes_is_made_again(api: Any) -> None:
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok")
    for path in (NETWORK.format("test.net1"), CONFIG.format("test.net1")):
        api.drop(path)
        await until(functools.partial(operator.contains, api.objects, path))


async def test_a_network_under_removal_is_waited_for(api: Any) -> None:
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok")
    path = NETWORK.format("test.net1")
    meta = {**api.objects[path]["metadata"], "finalizers": ["x/in-use"]}
    api.put(path, metadata={**meta, "deletionTimestamp": "2026-01-01T00:00:00Z"})
    await until(lambda: "is being removed" in word(api))
    api.drop(path)
    await until(lambda: word(api) == "ok")


async def test_a_lost_api_server_delays_and_loses_nothing(api: Any) -> None:
    api.broken = True
    put_nad(api, FIRST)
    await settled()
    assert api.names("podnetworks") == []
    api.broken = False
    await until(lambda: word(api) == "ok")


async def test_further_uses_and_a_nad_of_that_name(api: Any, store: stores.Store, maker: makers.Maker) -> None:
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok")
    nad = store.nads.get("net1", "test")
    assert nad is not None
    await maker.further(nad, "test.net1-2")
    await maker.further(nad, "test.net1-2")
    assert api.objects[NETWORK.format("test.net1-2")]["spec"]["parametersRefs"][0]["name"] == "test.net1"
    put_pod(api, "test.net1-2")
    put_nad(api, OTHER_RANGE, "net1-2")
    await until(lambda: "rename one" in word(api, "net1-2"))
    api.drop(POD)
    await until(lambda: word(api, "net1-2") == "ok")
    assert spec(api, "test.net1-2")["ipam"]["ranges"] == [{"cidr": "10.2.0.0/24"}]
    with pytest.raises(makers.HeldError, match="somebody else made one"):
        await maker.further(nad, "test.net1-2")


async def test_equal_networks_that_came_apart_become_one(api: Any) -> None:
    """Two replicas may make one each for two copies of a NAD; or an edit makes two NADs equal."""
    put_nad(api, FIRST)
    await until(lambda: word(api) == "ok")
    put_nad(api, OTHER_RANGE, namespace="blue")
    await until(functools.partial(ok, api, "blue"))
    put_pod(api, "blue.net1")
    put_nad(api, FIRST, namespace="blue")
    await until(lambda: "while Pods use the network" in word(api, namespace="blue"))
    api.drop(POD)
    await until(functools.partial(ok, api, "blue"))
    await until(lambda: api.names("networkconfigs") == ["test.net1"])
    assert api.names("podnetworks") == ["blue.net1", "test.net1"]


async def test_two_replicas_agree(api: Any, mirror: mirrors.Mirror) -> None:
    other = stores.Store(api)
    second = mirrors.Mirror(other, makers.Maker(other))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(other.run()), group.create_task(second.run())]
        await other.synced()
        for namespace in ("a", "b", "c", "d"):
            put_nad(api, FIRST, namespace=namespace)
        put_nad(api, REFUSED, "x")
        for namespace in ("a", "b", "c", "d"):
            await until(functools.partial(ok, api, namespace))
        await until(lambda: len(api.names("networkconfigs")) == 1)
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
    assert api.names("podnetworks") == ["a.net1", "b.net1", "c.net1", "d.net1"]
    assert (
        len({api.objects[NETWORK.format(n)]["spec"]["parametersRefs"][0]["name"] for n in api.names("podnetworks")})
        == 1
    )
    assert len(api.events) == 1
