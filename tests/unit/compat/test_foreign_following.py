"""Networks of other systems while they live: made, followed, removed; their kinds may be installed or not."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from podnet_api import names as api_names
from podnet_api.admission import Allow, Request
from podnet_compat import names
from podnet_compat import store as stores
from podnet_compat.foreign import watching
from podnet_tests import foreign_live, npwg_examples, ovn_examples
from podnet_tests.foreign_live import Live

DANM = "/apis/danm.io/v1"
NET = f"{DANM}/namespaces/a/danmnets/n"
POD = "/api/v1/namespaces/a/pods/p"
NADS = "/apis/k8s.cni.cncf.io/v1/namespaces/a/network-attachment-definitions"
CONFIGS = "/apis/kni.multinetwork.x-k8s.io/v1alpha1/networkconfigs"
NETWORKS = "/apis/multinetwork.x-k8s.io/v1alpha1/podnetworks"


def put(api: Any, path: str = NET, *, top: dict[str, Any] | None = None, **options: Any) -> None:
    """A network of DANM, or another object with ``top``."""
    namespace, name = path.split("/")[-3], path.rpartition("/")[2]
    meta = {"name": name} | ({"namespace": namespace} if "/namespaces/" in path else {})
    body = {"spec": {"NetworkID": name, "Options": {"host_device": "e1", "cidr": "10.0.0.0/24", **options}}}
    api.put(path, metadata=meta, **(body if top is None else top))


def use(api: Any, network: str = "a.n") -> None:
    """A Pod that lives on ``network``."""
    listed = f'[{{"podNetworkName":"{network}"}}]'
    meta = {"name": "p", "namespace": "a", "annotations": {api_names.NETWORKS_ANNOTATION: listed}}
    api.put(POD, metadata=meta, spec={}, status={"phase": "Running"})


@contextlib.asynccontextmanager
async def running(api: Any, store: stores.Store, named: str) -> AsyncIterator[Live]:
    """The parts for the systems ``named``, with their watches; looks are the test's."""
    live = foreign_live.live(store, named)
    task = asyncio.create_task(live.watched.run())
    for kind in live.watched.kinds:
        root = f"/apis/{kind.group}/{kind.versions[0]}"
        if kind.plural in [one["name"] for one in api.objects.get(root, {}).get("resources", [])]:
            await eventually(lambda kind=kind: live.watched.of(kind) is not None)  # type: ignore[misc]
    yield live
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
async def live(api: Any, store: stores.Store) -> AsyncIterator[Live]:
    api.serve("danm.io/v1", "danmnets", "tenantnetworks", "clusternetworks", "tenantconfigs")
    async with running(api, store, "danm") as made:
        yield made


async def settled(live: Live) -> None:
    """Look until there is nothing more to do. Watches, here, are a few turns of the loop late."""
    for _ in range(8):
        for _ in range(20):
            await asyncio.sleep(0)
        again = await live.following.look()
    assert not again


def spec(api: Any, name: str = "a.n") -> dict[str, Any]:
    found: dict[str, Any] = api.objects[f"{CONFIGS}/{name}"]["spec"]
    return found


def cidr(api: Any, name: str = "a.n") -> str:
    found: str = spec(api, name)["ipam"]["ranges"][0]["cidr"]
    return found


async def test_a_network_is_made_before_a_pod_names_it(api: Any, live: Live) -> None:
    put(api)
    await settled(live)
    assert (api.names("podnetworks"), api.names("networkconfigs")) == (["a.n"], ["a.n"])
    before = len(api.requests)
    await settled(live)
    assert len(api.requests) == before


async def test_an_edit_is_brought_to_the_networkconfig(api: Any, live: Live) -> None:
    put(api)
    await settled(live)
    use(api)
    put(api, routes={"10.9.0.0/16": "10.0.0.1"}, allocation_pool={"start": "10.0.0.1", "end": "10.0.0.254"})
    put(api, routes={"10.9.0.0/16": "10.0.0.1"})
    await settled(live)
    assert "routes" not in spec(api)  # the gateway is kept out of the ranges, which are immutable
    api.drop(POD)
    await settled(live)
    assert spec(api)["routes"] == [{"destination": "10.9.0.0/16", "gateway": "10.0.0.1"}]
    use(api)
    put(api, routes={"10.8.0.0/16": "10.0.0.1"})
    uid = api.objects[f"{CONFIGS}/a.n"]["metadata"]["uid"]
    await settled(live)
    assert spec(api)["routes"] == [{"destination": "10.8.0.0/16", "gateway": "10.0.0.1"}]
    assert api.objects[f"{CONFIGS}/a.n"]["metadata"]["uid"] == uid, "in place, under Pods that use it"
    assert "cannot follow the edit of DanmNet a/n" in api.events[0]["message"]


async def test_addresses_change_when_no_pod_uses_them(api: Any, live: Live) -> None:
    put(api)
    await settled(live)
    use(api)
    put(api, cidr="10.5.0.0/24")
    await settled(live)
    assert cidr(api) == "10.0.0.0/24"
    [event] = api.events
    assert (event["reason"], event["involvedObject"]["kind"]) == ("NotTranslated", "DanmNet")
    assert "Pods use PodNetwork a.n, which stays as it was until they are gone" in event["message"]
    api.drop(POD)
    await settled(live)
    assert cidr(api) == "10.5.0.0/24"
    assert api.names("podnetworks") == ["a.n"]


async def test_what_has_no_source_goes_when_no_pod_uses_it(api: Any, live: Live) -> None:
    put(api)
    await settled(live)
    use(api)
    api.drop(NET)
    await settled(live)
    assert api.names("podnetworks") == ["a.n"]
    api.drop(POD)
    await settled(live)
    assert (api.names("podnetworks"), api.names("networkconfigs")) == ([], [])


async def test_generated_attachments_hold_a_network_no_longer_than_a_pod_may_need(api: Any, live: Live) -> None:
    """The controller keeps a PodNetwork as long as there is an attachment to it."""
    put(api)
    keys = {"danm.io/interfaces": '[{"network": "n", "ip": "10.0.0.9"}]'}
    item = {"metadata": {"generateName": "web-", "annotations": keys}, "spec": {}}
    await live.hook.mutate_pod(Request("1", "CREATE", "me", "a", "web-", item, None, False))
    [name] = api.names("podnetworkattachments")
    api.drop(NET)
    for _ in range(20):
        await asyncio.sleep(0)
    assert await live.following.look(), "a Pod may be on its way"
    assert api.names("podnetworks") == ["a.n"]
    path = f"/apis/multinetwork.x-k8s.io/v1alpha1/namespaces/a/podnetworkattachments/{name}"
    old = {**api.objects[path]["metadata"], "annotations": {names.LAST_USED: "2026-01-01T00:00:00+00:00"}}
    api.put(path, metadata=old)
    await settled(live)
    assert (api.names("podnetworkattachments"), api.names("podnetworks")) == ([], [])


async def test_further_uses_go_as_well(api: Any, live: Live) -> None:
    put(api)
    keys = {"danm.io/interfaces": '[{"network": "n", "ip": "dynamic"}, {"network": "n", "ip": "dynamic"}]'}
    item = {"metadata": {"generateName": "web-", "annotations": keys}, "spec": {}}
    await live.hook.mutate_pod(Request("1", "CREATE", "me", "a", "web-", item, None, False))
    await settled(live)
    assert api.names("podnetworks") == ["a.n", "a.n-2"]
    use(api, "a.n-2")
    api.drop(NET)
    await settled(live)
    assert api.names("podnetworks") == ["a.n", "a.n-2"], "they are one network"
    api.drop(f"{NETWORKS}/a.n")  # by somebody who should not have
    await settled(live)
    assert api.names("podnetworks") == ["a.n-2"]
    api.drop(POD)
    await settled(live)
    assert (api.names("podnetworks"), api.names("networkconfigs")) == ([], [])


async def test_a_network_that_comes_back_finds_its_own(api: Any, live: Live) -> None:
    put(api)
    await settled(live)
    use(api)
    uid = api.objects[f"{NETWORKS}/a.n"]["metadata"]["uid"]
    api.drop(NET)
    await settled(live)
    put(api)
    await settled(live)
    assert api.objects[f"{NETWORKS}/a.n"]["metadata"]["uid"] == uid


async def test_what_it_hangs_on_is_followed(api: Any, live: Live) -> None:
    """A TenantNetwork takes its device from the TenantConfig."""
    config, tenant = f"{DANM}/tenantconfigs/tc", f"{DANM}/namespaces/a/tenantnetworks/t"
    put(api, config, top={"hostDevices": [{"name": "e4"}]})
    put(api, tenant, host_device="")
    await settled(live)
    assert spec(api, "a.t")["uplink"] == {"interface": "e4"}
    put(api, config, top={"hostDevices": [{"name": "e5"}]})
    await settled(live)
    assert spec(api, "a.t")["uplink"] == {"interface": "e5"}


async def test_what_cannot_be_translated_says_so_once(api: Any, live: Live) -> None:
    put(api)
    await settled(live)
    put(api, vlan=5, vxlan=6)
    await settled(live)
    await settled(live)
    [event] = api.events
    assert "spec.Options.vxlan: Invalid value: 6" in event["message"]
    assert cidr(api) == "10.0.0.0/24", "what was made stays"


async def test_two_of_one_name(api: Any, live: Live) -> None:
    put(api)
    await settled(live)
    put(api, f"{DANM}/namespaces/a/tenantnetworks/n")
    await settled(live)
    assert "was made from DanmNet a/n; rename one of them" in api.events[0]["message"]


async def test_one_name_in_both_groups_of_danm(api: Any, store: stores.Store) -> None:
    """While DANM is being upgraded: the first counts, and nothing goes back and forth."""
    other = "/apis/danm.k8s.io/v1"
    for root in (DANM, other):
        api.serve(root.removeprefix("/apis/"), "danmnets")
    put(api)
    put(api, NET.replace(DANM, other), cidr="10.5.0.0/24")
    async with running(api, store, "danm") as live:
        await settled(live)
        before = len(api.requests)
        await settled(live)
        assert cidr(api) == "10.0.0.0/24"
        assert len(api.requests) == before


async def test_what_somebody_made_is_not_touched(api: Any, live: Live) -> None:
    own = {"provider": "multinetwork.x-k8s.io/kni"}
    api.put(f"{NETWORKS}/a.n", metadata={"name": "a.n"}, spec=own)
    put(api)
    await settled(live)
    api.drop(NET)
    await settled(live)
    assert api.objects[f"{NETWORKS}/a.n"]["spec"] == own


async def test_what_somebody_deleted_is_made_again(api: Any, live: Live) -> None:
    put(api)
    await settled(live)
    api.drop(f"{NETWORKS}/a.n")
    await settled(live)
    assert api.names("podnetworks") == ["a.n"]


async def test_a_kind_that_is_not_installed_is_left_alone(
    api: Any, store: stores.Store, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was made from it, when it was, too. Installed, it is watched."""
    monkeypatch.setattr(watching, "AGAIN", 0.0)
    put(api)
    await settled(live)
    item = api.objects.pop(NET)
    api.objects.pop(DANM)
    async with running(api, store, "danm") as other:
        await settled(other)
        assert (api.names("podnetworks"), api.names("danmnets")) == (["a.n"], [])
        api.serve("danm.io/v1", "danmnets")
        api.put(NET, **item)
        await eventually(lambda: any(other.watched.of(kind) for kind in other.watched.kinds))
        put(api, cidr="10.6.0.0/24")
        await settled(other)
        assert cidr(api) == "10.6.0.0/24"


async def eventually(done: Callable[[], bool]) -> None:
    for turn in itertools.count():
        if done():
            return
        assert turn < 1000
        await asyncio.sleep(0)


async def test_bodies_are_read_once_for_each_version(api: Any, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        put(api, f"{DANM}/namespaces/a/danmnets/n{number}")
    await settled(live)
    read, request = list[str](), api.request

    async def counted(method: str, path: str, *rest: Any, **more: Any) -> bytes:
        read.append(path)
        found: bytes = await request(method, path, *rest, **more)
        return found

    monkeypatch.setattr(api, "request", counted)
    await settled(live)
    keys = {"danm.io/interfaces": '[{"network": "n7", "ip": "dynamic"}]'}
    item = {"metadata": {"generateName": "web-", "annotations": keys}, "spec": {}}
    answer = await live.hook.mutate_pod(Request("1", "CREATE", "me", "a", "web-", item, None, False))
    assert isinstance(answer, Allow)
    assert answer.patch
    assert [path for path in read if path.startswith(DANM)] == [], "nor for a Pod"
    read.clear()
    put(api, f"{DANM}/namespaces/a/danmnets/n7", cidr="10.7.0.0/24")
    await settled(live)
    assert read.count(f"{DANM}/namespaces/a/danmnets/n7") == 1
    assert not [path for path in read if path.endswith("/danmnets")]


async def test_a_lost_api_server_is_asked_again(api: Any, live: Live) -> None:
    put(api)
    await settled(live)
    put(api, cidr="10.5.0.0/24")
    for _ in range(20):
        await asyncio.sleep(0)
    api.broken = True
    assert await live.following.look()
    api.broken = False
    await settled(live)
    assert cidr(api) == "10.5.0.0/24"


async def test_it_works_by_itself(api: Any, store: stores.Store, live: Live) -> None:
    """A change, a short pause, a look."""
    task = asyncio.create_task(live.following.run())
    put(api)
    for _ in range(100):
        if api.names("podnetworks"):
            break
        await asyncio.sleep(0.02)
    assert api.names("podnetworks") == ["a.n"]
    task.cancel()
    await asyncio.wait([task])


def nad(api: Any, item: dict[str, Any]) -> None:
    rest = {key: value for key, value in item.items() if key not in {"apiVersion", "kind"}}
    api.put(f"{NADS}/{item['metadata']['name']}", **rest)


async def test_nads_of_antrea_are_followed_with_their_pools(api: Any, store: stores.Store) -> None:
    api.serve("crd.antrea.io/v1beta1", "ippools")
    agent = npwg_examples.agent("eth1")
    api.put("/api/v1/namespaces/kube-system/configmaps/antrea-config", metadata=agent["metadata"], data=agent["data"])
    pool = npwg_examples.ippool(subnetInfo={"gateway": "10.9.0.1", "prefixLength": 24, "vlan": 5})
    path = "/apis/crd.antrea.io/v1beta1/ippools/pool4"
    api.put(path, metadata=pool["metadata"], spec=pool["spec"])
    nad(api, npwg_examples.antrea(ipam={"type": "antrea", "ippools": ["pool4"]}))
    async with running(api, store, "antrea") as live:
        await settled(live)
        assert spec(api, "a.net")["vlan"] == {"vid": 5}
        pool["spec"]["subnetInfo"]["vlan"] = 6
        api.put(path, spec=pool["spec"])
        await settled(live)
        assert spec(api, "a.net")["vlan"] == {"vid": 6}


async def test_the_mirror_keeps_its_own(api: Any, store: stores.Store) -> None:
    """What OVN-Kubernetes calls otherwise is made here; what is called as the mirror calls it is the mirror's."""
    nad(api, ovn_examples.overlay("net", "a", "tenant"))
    nad(api, ovn_examples.overlay("red", "a", "a_red"))
    async with running(api, store, "ovn-kubernetes") as live:
        await settled(live)
        assert api.names("podnetworks") == ["tenant"]
