"""Addresses of Pods that Multus attached, in networks whose IPAM notes them on the nodes alone (host-local): what the
Pods' network-status says is kept out of our pools, so that no address is given twice."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from podnet_api import core, kni, pools
from podnet_api import names as api_names
from podnet_api.errors import InvalidError
from podnet_api.meta import ObjectMeta
from podnet_compat import attached, attached_live, names
from podnet_compat import mirror as mirrors
from podnet_compat import nad as nads
from podnet_compat import reservations_live as lives
from podnet_compat import store as stores
from podnet_compat.legacy import Nad, NadSpec
from podnet_kni_server.block_api import FakeBlockApi
from podnet_kni_server.blocks import Blocks
from podnet_kni_server.errors import NoAddressError
from podnet_kni_server.leases import Holder, Leases
from podnet_tests import mirroring
from podnet_tests.mirroring import until

NADS = "/apis/k8s.cni.cncf.io/v1/namespaces/{}/network-attachment-definitions/{}"
CONFIGS = "/apis/kni.multinetwork.x-k8s.io/v1alpha1/networkconfigs/{}"
NETWORK = "/apis/multinetwork.x-k8s.io/v1alpha1/podnetworks/{}"
LOCAL = {"type": "host-local", "subnet": "10.1.0.0/27"}
MACVLAN = {"type": "macvlan", "master": "eth1", "ipam": LOCAL}
BRIDGE = {"type": "bridge", "bridge": "br1", "isGateway": True, "ipam": LOCAL}


def status(*ips: str, name: str = "test/net1") -> str:
    rows = [{"name": "cluster", "interface": "eth0", "ips": ["10.1.0.30"], "default": True, "dns": {}}]
    return json.dumps([*rows, {"name": name, "interface": "net1", "ips": list(ips), "dns": {}}])


def pod(text: str, phase: str = "Running", host: bool = False, listed: str | None = None) -> core.Pod:
    annotations = {api_names.NPWG_STATUS_ANNOTATION: text}
    annotations |= {} if listed is None else {api_names.NETWORKS_ANNOTATION: listed}
    meta = ObjectMeta(name="p", namespace="a", annotations=annotations)
    return core.Pod(metadata=meta, spec=core.PodSpec(host_network=host), status=core.PodStatus(phase=phase))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (pod(status("10.1.0.5", "fd00::5")), {"10.1.0.5", "fd00::5"}),
        (pod(status("10.1.0.5/24")), {"10.1.0.5"}),
        (pod(status("10.1.0.5"), phase="Succeeded"), set()),
        (pod(status("10.1.0.5"), host=True), set()),
        (pod(status("10.1.0.5"), listed="[]"), set()),
        (pod(status("x", "10.1.0.300", "")), set()),
        (pod(status("10.1.0.5", name="net1")), set()),
        (pod("{"), set()),
        (pod(""), set()),
    ],
)
def test_what_others_attached_has_addresses(given: core.Pod, expected: set[str]) -> None:
    found = attached.of([given])
    assert {str(one.address) for one in found.get(("test", "net1"), ())} == expected
    assert set(found) <= {("test", "net1")}
    listed = [one for each in found.values() for one in each]
    assert all((one.pod, one.interface, one.source) == ("a/p", "net1", "Pod a/p") for one in listed)


def test_what_is_in_use_is_said_in_few_words() -> None:
    alone = [ipaddress.ip_address(text) for text in ("10.1.0.5", "10.1.0.4", "fd00::9", "10.1.0.4")]
    assert attached.text(alone) == "10.1.0.4/31,fd00::9/128"
    many = [ipaddress.ip_address(f"10.{n // 64}.{n % 64 * 4}.7") for n in range(400)]
    found = attached.covering(many)
    assert len(found) <= attached.MOST
    assert all(any(one in net for net in found) for one in many)
    assert attached.text([]) == ""


def translated(config: Any, in_use: str) -> nads.Native:
    meta = ObjectMeta(name="net1", namespace="test", annotations={names.IN_USE: in_use})
    return nads.translate(Nad(metadata=meta, spec=NadSpec(config=json.dumps(config))))


def test_a_nad_excludes_what_it_is_told() -> None:
    ipam = translated(BRIDGE, "10.1.0.4/31, 10.9.0.0/24,fd00::/64").config.spec.ipam
    assert ipam is not None
    assert ipam.ranges[0].exclude == ["10.1.0.4/31"]
    with pytest.raises(InvalidError, match="in-use"):
        translated(BRIDGE, "x")


async def test_no_node_gives_what_a_pod_of_multus_has_where_each_counts_by_itself() -> None:
    """The KNI server's own counting, until the range is used up."""
    given = attached.text(one.address for one in attached.of([pod(status("10.1.0.5", "10.1.0.9"))])["test", "net1"])
    wanted = translated(BRIDGE, given).pool
    assert wanted is not None
    assert wanted.per_node
    node = Blocks("w1", Leases(), FakeBlockApi())
    found = [str(await node.lease(wanted, 4, Holder(f"s{n}", "net1", f"b/p{n}"))) for n in range(27)]
    assert len(set(found)) == 27
    assert not {"10.1.0.1", "10.1.0.5", "10.1.0.9"} & set(found)
    with pytest.raises(NoAddressError):
        await node.lease(wanted, 4, Holder("s", "net1", "b/last"))


def put_nad(api: Any, config: Any, namespace: str = "test") -> None:
    meta = {"name": "net1", "namespace": namespace, "uid": f"uid-{namespace}"}
    api.put(NADS.format(namespace, "net1"), metadata=meta, spec={"config": json.dumps(config)})


def put_pod(api: Any, text: str, name: str = "p", phase: str = "Running", **more: str) -> None:
    annotations = {api_names.NPWG_STATUS_ANNOTATION: text, **more}
    meta = {"name": name, "namespace": "a", "annotations": annotations}
    api.put(f"/api/v1/namespaces/a/pods/{name}", metadata=meta, status={"phase": phase})


def told(api: Any, namespace: str = "test") -> dict[str, str]:
    return dict(api.objects[NADS.format(namespace, "net1")]["metadata"].get("annotations", {}))


def excluded(api: Any) -> Any:
    """What the network's range leaves out; None while it is made anew."""
    config = api.objects.get(CONFIGS.format("test.net1"))
    return config and config["spec"]["ipam"]["ranges"][0].get("exclude", [])


@pytest.fixture
async def live(api: Any, store: stores.Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[lives.Live]:
    """Without whereabouts."""
    monkeypatch.setattr(mirrors, "_BACKOFF", (0.02, 0.1))
    monkeypatch.setattr(lives, "PAUSE", 0.02)
    monkeypatch.setattr(lives, "PERIOD", 0.1)
    monkeypatch.setattr(lives, "YOUNG", 0.0)
    async with mirroring.holding(store) as made:
        yield made


async def test_what_a_pod_has_is_held_before_the_network_is_there(api: Any, live: lives.Live) -> None:
    """A network that leaves its node: blocks hold what is in use, and nothing of it is given; then it is let go."""
    put_pod(api, status("10.1.0.5"))
    put_nad(api, MACVLAN)
    await until(lambda: NETWORK.format("test.net1") in api.objects)
    order = [path.rpartition("/")[2] for method, path in api.requests if method == "POST"]
    assert order[:3] == ["networkconfigs", "ipblocks", "podnetworks"]
    assert api.names("ipblocks") == ["test.net1-10-1-0-5-32"]
    config = msgspec.convert(api.objects[CONFIGS.format("test.net1")], kni.NetworkConfig)
    wanted, blocks = pools.pool_of(config), FakeBlockApi()
    assert wanted is not None
    for path, item in api.objects.items():
        if "/ipblocks/" in path:
            await blocks.create(msgspec.convert(item, kni.IPBlock))
    nodes = [Blocks(name, Leases(), blocks) for name in ("w1", "w2")]
    found = [str(await nodes[n % 2].lease(wanted, 4, Holder(f"s{n}", "net1", f"b/p{n}"))) for n in range(28)]
    assert len(set(found)) == 28
    assert "10.1.0.5" not in found
    put_pod(api, status("10.1.0.5"), phase="Succeeded")
    await until(lambda: api.names("ipblocks") == [])


@pytest.mark.usefixtures("live")
async def test_where_each_node_counts_the_range_leaves_it_out_until_it_is_free(api: Any) -> None:
    put_pod(api, status("10.1.0.5"))
    put_nad(api, BRIDGE)
    await until(lambda: told(api).get(names.TRANSLATION) == "ok")
    assert told(api)[names.IN_USE] == "10.1.0.5/32"
    assert excluded(api) == ["10.1.0.5/32"]
    assert api.names("ipblocks") == []
    listed = json.dumps([{"podNetworkName": "test.net1", "interfaceName": "net1"}])
    put_pod(api, "", "q", **{api_names.NETWORKS_ANNOTATION: listed})
    put_pod(api, status("10.1.0.5"), phase="Succeeded")
    await asyncio.sleep(0.4)
    assert told(api)[names.IN_USE] == "10.1.0.5/32"
    api.drop("/api/v1/namespaces/a/pods/q")
    await until(lambda: excluded(api) == [])
    assert names.IN_USE not in told(api)


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(("config", "key"), [(BRIDGE, names.IN_USE), (MACVLAN, names.STICKY)])
async def test_copies_of_a_nad_are_told_alike_and_share_one_pool(api: Any, config: Any, key: str) -> None:
    put_pod(api, status("10.1.0.5", name="two/net1"))
    for namespace in ("one", "two"):
        put_nad(api, config, namespace)
    await until(lambda: all(told(api, space).get(names.TRANSLATION) == "ok" for space in ("one", "two")), 20)
    assert told(api, "one")[key] == told(api, "two")[key]
    assert names.ATTACH_WITH not in told(api, "one") | told(api, "two")
    assert len(api.names("networkconfigs")) == 1


@pytest.mark.usefixtures("live")
async def test_a_nad_that_comes_later_is_looked_for_anew(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached_live, "FRESH", 0.0)
    put_nad(api, BRIDGE, "one")
    await until(lambda: told(api, "one").get(names.TRANSLATION) == "ok")
    put_pod(api, status("10.1.0.5", name="two/net1"))
    put_nad(api, {**BRIDGE, "mtu": 1400}, "two")
    await until(lambda: names.IN_USE in told(api, "two"))
