"""podnet-controller as a process before a real API server: conditions, default, finalizers, Events."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from podnet_api import core, kni, multinetwork, names
from podnet_api.controller import duplicates, garbage, kept
from podnet_api.controller.store import Store
from podnet_api.kube import Cache

MULTINETWORK = "/apis/multinetwork.x-k8s.io/v1alpha1"
KNI = "/apis/kni.multinetwork.x-k8s.io/v1alpha1"
NETWORKS, CONFIGS = f"{MULTINETWORK}/podnetworks", f"{KNI}/networkconfigs"
ATTACHMENTS = f"{MULTINETWORK}/namespaces/default/podnetworkattachments"
ATTACHMENT_CONFIGS = f"{KNI}/namespaces/default/attachmentconfigs"
PODS = "/api/v1/namespaces/default/pods"
FINALIZER = "multinetwork.x-k8s.io/in-use"
SECONDS = 15


@pytest.fixture(scope="module")
def server(apiserver: Any, spawn: Any) -> Iterator[Any]:
    process: subprocess.Popen[bytes] = spawn("podnet_api.controller.main", "--no-leader-elect")
    yield apiserver
    assert process.poll() is None, "the controller ended by itself"
    process.terminate()
    process.wait(15)
    apiserver.send("DELETE", f"{NETWORKS}/default")


def eventually(check: Callable[[], Any]) -> Any:
    """What ``check`` gives once it gives something."""
    deadline = time.monotonic() + SECONDS
    while not (found := check()):
        assert time.monotonic() < deadline, f"{check} stays {found!r}"
        time.sleep(0.05)
    return found


def network(name: str, provider: str = "multinetwork.x-k8s.io/kni", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "multinetwork.x-k8s.io/v1alpha1",
        "kind": "PodNetwork",
        "metadata": {"name": name},
        "spec": {"provider": provider, **spec},
    }


def refs(name: str, kind: str = "NetworkConfig", group: str = "kni.multinetwork.x-k8s.io") -> list[dict[str, str]]:
    return [{"group": group, "kind": kind, "name": name}]


def config(name: str, *ranges: dict[str, str]) -> dict[str, Any]:
    ipam = {"ipam": {"ranges": list(ranges)}} if ranges else {}
    return {
        "apiVersion": "kni.multinetwork.x-k8s.io/v1alpha1",
        "kind": "NetworkConfig",
        "metadata": {"name": name},
        "spec": {"bridge": {}, **ipam},
    }


def attachment(name: str, to: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "multinetwork.x-k8s.io/v1alpha1",
        "kind": "PodNetworkAttachment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"podNetworkName": to, **spec},
    }


def pod(name: str, networks: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {"multinetwork.x-k8s.io/networks": networks}},
        "spec": {"containers": [{"name": "main", "image": "example.com/main:1"}]},
    }


def created(server: Any, path: str, body: dict[str, Any]) -> None:
    answer = server.send("POST", path, body)
    assert answer.code == 201, answer.message


def condition(server: Any, path: str, kind: str) -> dict[str, Any]:
    found = server.send("GET", path).body.get("status", {}).get("conditions", [])
    return next((dict(one) for one in found if one["type"] == kind), {})


def stands(server: Any, path: str, kind: str, status: str, reason: str) -> dict[str, Any]:
    """Wait until a condition is so; the condition."""

    def check() -> dict[str, Any]:
        found = condition(server, path, kind)
        return found if (found.get("status"), found.get("reason")) == (status, reason) else {}

    return dict(eventually(check))


def finalizers(server: Any, path: str) -> list[str]:
    return list(server.send("GET", path).body["metadata"].get("finalizers") or [])


def gone(server: Any, path: str) -> None:
    eventually(lambda: server.send("GET", path).code == 404)


def test_default_exists_and_comes_back(server: Any) -> None:
    path = f"{NETWORKS}/default"
    first = eventually(lambda: server.send("GET", path).body.get("metadata", {}).get("uid"))
    stands(server, path, "Ready", "True", "Ready")
    found = server.send("GET", path).body["metadata"]
    assert not found.get("finalizers")
    assert not found.get("annotations")
    assert server.send("DELETE", path).code == 200
    second = eventually(lambda: server.send("GET", path).body.get("metadata", {}).get("uid"))
    assert second != first


def test_ready_follows_the_parameters(server: Any) -> None:
    path = f"{NETWORKS}/later"
    created(server, NETWORKS, network("later", parametersRefs=refs("later")))
    missing = stands(server, path, "ParamsReady", "False", "ParamsNotFound")
    assert "NetworkConfig later does not exist; create the object" in missing["message"]
    assert "ParamsNotFound" in stands(server, path, "Ready", "False", "ParamsNotReady")["message"]
    created(server, CONFIGS, config("later", {"cidr": "10.0.0.0/24"}))
    stands(server, path, "ParamsReady", "True", "Ready")
    ready = stands(server, path, "Ready", "True", "Ready")
    assert ready["observedGeneration"] == 1
    patched = server.send("PATCH", path, {"spec": {"enabled": False}})
    assert patched.code == 200, patched.message
    off = stands(server, path, "Ready", "False", "AdministrativelyDisabled")
    assert off["observedGeneration"] == 2
    assert condition(server, path, "ParamsReady")["lastTransitionTime"] <= off["lastTransitionTime"]
    meta = server.send("GET", path).body["metadata"]
    assert meta["finalizers"] == [FINALIZER]
    assert not meta.get("annotations")
    told = {"ParamsNotFound", "ParamsNotReady", "Ready", "ParamsReady", "AdministrativelyDisabled"}
    eventually(lambda: told <= {e["reason"] for e in _events(server, "later")})


def _events(server: Any, name: str) -> list[dict[str, Any]]:
    items = server.send("GET", "/api/v1/namespaces/default/events").body["items"]
    return [item for item in items if item["involvedObject"]["name"] == name]


@pytest.mark.parametrize(
    ("name", "spec", "reason", "text"),
    [
        ("bare", {}, "ParamsMissing", "spec.parametersRefs: Required value"),
        ("foreign", {"parametersRefs": refs("x", "Fabric", "example.com")}, "ParamsUnsupported", "[0].group"),
        ("double", {"parametersRefs": refs("x") + refs("y")}, "ParamsUnsupported", "spec.parametersRefs[1]"),
        ("overlap", {"parametersRefs": refs("overlap")}, "ParamsInvalid", "spec.ipam.ranges[1]"),
    ],
)
def test_bad_parameters_are_named(server: Any, name: str, spec: dict[str, Any], reason: str, text: str) -> None:
    if name == "overlap":
        created(server, CONFIGS, config("overlap", {"cidr": "10.0.0.0/16"}, {"cidr": "10.0.1.0/24"}))
    created(server, NETWORKS, network(name, **spec))
    assert text in stands(server, f"{NETWORKS}/{name}", "ParamsReady", "False", reason)["message"]
    stands(server, f"{NETWORKS}/{name}", "Ready", "False", "ParamsNotReady")


def test_other_providers_report_for_themselves(server: Any) -> None:
    path = f"{NETWORKS}/theirs"
    created(server, NETWORKS, network("theirs", "example.com/fabric", parametersRefs=refs("a", "F", "example.com")))
    assert "has not set ParamsReady" in stands(server, path, "Ready", "False", "ParamsNotReady")["message"]
    theirs = {
        "type": "ParamsReady",
        "status": "True",
        "reason": "Accepted",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = server.send("GET", path).body["status"]
    server.send("PATCH", f"{path}/status", {"status": {"conditions": [*status["conditions"], theirs]}})
    stands(server, path, "Ready", "True", "Ready")
    assert condition(server, path, "ParamsReady") == theirs


def test_attachment_follows_its_network(server: Any) -> None:
    path = f"{ATTACHMENTS}/mine"
    created(server, ATTACHMENTS, attachment("mine", "parent", parametersRefs=refs("mine", "AttachmentConfig")))
    assert "does not exist" in stands(server, path, "Ready", "False", "PodNetworkNotReady")["message"]
    created(server, CONFIGS, config("parent"))
    created(server, NETWORKS, network("parent", parametersRefs=refs("parent")))
    stands(server, path, "ParamsReady", "False", "ParamsNotFound")
    made = {
        "apiVersion": "kni.multinetwork.x-k8s.io/v1alpha1",
        "kind": "AttachmentConfig",
        "metadata": {"name": "mine"},
    }
    created(server, ATTACHMENT_CONFIGS, made)
    stands(server, path, "Ready", "True", "Ready")


def test_what_is_used_stays(server: Any) -> None:
    created(server, CONFIGS, config("used"))
    created(server, NETWORKS, network("used", parametersRefs=refs("used")))
    created(server, ATTACHMENTS, attachment("used", "used"))
    created(server, PODS, pod("direct", '[{"podNetworkName":"used"}]'))
    created(server, PODS, pod("by-attachment", '[{"podNetworkAttachmentName":"used"}]'))
    paths = [f"{CONFIGS}/used", f"{NETWORKS}/used", f"{ATTACHMENTS}/used"]
    for path in paths:
        eventually(partial(finalizers, server, path))
        assert server.send("DELETE", path).code == 200
    messages = eventually(lambda: {e["message"] for e in _events(server, "used") if e["reason"] == "InUse"})
    assert any("cannot be deleted yet, in use by" in message for message in messages)
    for path in paths:
        assert server.send("GET", path).body["metadata"]["deletionTimestamp"]
    now = {"gracePeriodSeconds": 0}
    server.send("DELETE", f"{PODS}/by-attachment", now)
    gone(server, paths[2])
    assert server.send("GET", paths[1]).code == 200
    server.send("DELETE", f"{PODS}/direct", now)
    for path in paths:
        gone(server, path)


def test_a_finished_pod_holds_nothing(server: Any) -> None:
    created(server, NETWORKS, network("done", "example.com/x"))
    created(server, PODS, pod("done", '[{"podNetworkName":"done"}]'))
    eventually(partial(finalizers, server, f"{NETWORKS}/done"))
    server.send("DELETE", f"{NETWORKS}/done")
    eventually(lambda: [e for e in _events(server, "done") if e["reason"] == "InUse"])
    server.send("PATCH", f"{PODS}/done/status", {"status": {"phase": "Succeeded"}})
    gone(server, f"{NETWORKS}/done")


async def test_what_vanished_nodes_left_is_deleted(server: Any) -> None:
    """Not at once: the node may come back, and its Pods may still run."""
    blocks = f"{KNI}/ipblocks"
    created(server, "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "stays"}})
    for node, cidr in (("stays", "10.0.0.0/28"), ("gone", "10.0.0.16/28"), ("busy", "10.0.0.32/28")):
        created(server, blocks, block(node, cidr, node))
    held = block("held", "10.0.0.48/32", "whereabouts.cni.cncf.io")
    held["metadata"]["labels"] = {"multinetwork.x-k8s.io/generated-by": "compat"}
    created(server, blocks, held)
    bound = pod("bound", "[]")
    bound["spec"]["nodeName"] = "busy"
    created(server, PODS, bound)
    async with server.client() as client:
        collector = garbage.Collector(client, absent=300)
        for now in (0.0, 299.0):
            await collector.look(now)
            assert len(server.send("GET", blocks).body["items"]) == 4
        await collector.look(300.0)
    left = [item["metadata"]["name"] for item in server.send("GET", blocks).body["items"]]
    assert left == ["busy", "held", "stays"], "what compat holds is of no node"


def block(name: str, cidr: str, node: str, holder: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {"networkConfig": "keeping" if holder else "x", "cidr": cidr, "nodeName": node}
    if holder:
        owner = holder.rpartition("-")[0]
        spec["holder"] = {"namespace": "default", "statefulSet": owner, "pod": holder, "interface": "net1"}
    head = {"apiVersion": "kni.multinetwork.x-k8s.io/v1alpha1", "kind": "IPBlock", "metadata": {"name": name}}
    return {**head, "spec": spec}


async def test_what_is_kept_for_members_goes_with_them_and_not_with_a_node(server: Any) -> None:
    blocks, sets = f"{KNI}/ipblocks", "/apis/apps/v1/namespaces/default/statefulsets"
    template = {"metadata": {"labels": {"app": "box"}}, "spec": pod("x", "[]")["spec"]}
    spec = {"replicas": 2, "serviceName": "box", "selector": {"matchLabels": {"app": "box"}}, "template": template}
    created(server, sets, {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "box"}, "spec": spec})
    created(server, CONFIGS, config("keeping", {"cidr": "10.9.0.0/24"}))
    for number, holder in enumerate(("box-0", "box-1", "box-2", "box-3", "gone-0")):
        created(server, blocks, block(f"kept-{holder}", f"10.9.0.{number}/32", "no-such-node", holder))
    created(server, PODS, pod("box-3", "[]"))

    def left() -> list[str]:
        items = server.send("GET", blocks).body["items"]
        return [item["metadata"]["name"].removeprefix("kept-") for item in items if "holder" in item["spec"]]

    async with server.client() as client:
        nodes = garbage.Collector(client, absent=0)
        await nodes.look(0.0)
        keeper = kept.Keeper(client, unneeded=60)
        for now in (0.0, 59.0):
            await keeper.look(now)
            assert left() == ["box-0", "box-1", "box-2", "box-3", "gone-0"]
        await keeper.look(60.0)
        assert left() == ["box-0", "box-1", "box-3"], "a Pod is left of the member that was scaled down"
        server.send("DELETE", f"{PODS}/box-3", {"gracePeriodSeconds": 0})
        server.send("DELETE", f"{sets}/box")
        for now in (61.0, 121.0):
            await keeper.look(now)
        assert left() == []
        created(server, blocks, block("kept-x-0", "10.9.0.9/32", "no-such-node", "x-0"))
        server.send("DELETE", f"{CONFIGS}/keeping")
        gone(server, f"{CONFIGS}/keeping")
        await keeper.look(122.0)
    assert left() == [], "nothing is kept of a pool that is gone"


def _told_of(server: Any, name: str, reason: str) -> bool:
    return any(event["reason"] == reason and event["type"] == "Warning" for event in _events(server, name))


def test_pools_that_overlap_say_so_until_they_do_not(server: Any) -> None:
    for name, cidr in (("lapping", "10.70.0.0/16"), ("lapped", "10.70.3.0/24"), ("apart", "10.71.0.0/16")):
        created(server, CONFIGS, config(name, {"cidr": cidr}))
        created(server, NETWORKS, network(name, parametersRefs=refs(name)))
    for name in ("lapping", "lapped"):
        found = stands(server, f"{NETWORKS}/{name}", "PoolOverlap", "True", "PoolOverlap")
        assert "of the common address space both give 10.70.3.1; give one of them another range" in found["message"]
        stands(server, f"{NETWORKS}/{name}", "Ready", "True", "Ready")
        eventually(partial(_told_of, server, name, "PoolOverlap"))
    assert not condition(server, f"{NETWORKS}/apart", "PoolOverlap")
    server.send("DELETE", f"{NETWORKS}/lapped")
    server.send("DELETE", f"{CONFIGS}/lapped")
    gone(server, f"{CONFIGS}/lapped")
    eventually(lambda: not condition(server, f"{NETWORKS}/lapping", "PoolOverlap"))


async def test_a_mac_address_on_two_nodes_is_told(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "EVERY", 0.2)
    created(server, CONFIGS, {**config("wire"), "spec": {"vxlan": {"vni": 77}}})
    created(server, NETWORKS, network("wire", parametersRefs=refs("wire")))
    for name in ("twin-a", "twin-b"):
        twin = pod(name, '[{"podNetworkName":"wire"}]')
        twin["metadata"]["annotations"][names.STATUS_ANNOTATION] = '[{"network":"wire","mac":"02:00:00:00:00:01"}]'
        twin["spec"]["nodeName"] = name
        created(server, PODS, twin)
    async with server.client() as client, asyncio.TaskGroup() as tasks:
        pods, store = Cache(client, core.Pod), Store()
        for kind in (multinetwork.PodNetwork, kni.NetworkConfig):
            items, version = await client.list_all(kind)
            store.replace(kind, items, version)
        work = [tasks.create_task(pods.run()), tasks.create_task(duplicates.watch(client, pods, store))]
        for _ in range(100):
            await asyncio.sleep(0.1)
            found = [e["message"] for e in _events(server, "twin-a") if e["reason"] == duplicates.REASON]
            if found:
                break
        for task in work:
            task.cancel()
    assert found == ["02:00:00:00:00:01 on PodNetwork wire is also that of Pod default/twin-b on node twin-b"]
