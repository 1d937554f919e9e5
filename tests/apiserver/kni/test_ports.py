"""Ports of the node that Kubernetes gives to Pods are not mapped to others: on a node with a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from podnet_api import names
from podnet_kni_server.nri import errors, types
from podnet_tests import kni_world
from podnet_tests.machine import NODE, Machine, eventually

PODS = "/api/v1/namespaces/default/pods"
KNI = "/apis/kni.multinetwork.x-k8s.io/v1alpha1"
NETWORKS = "/apis/multinetwork.x-k8s.io/v1alpha1"
SPACE, ATTACHMENTS = "namespaces/default", "podnetworkattachments"


MAPPED = {"podNetworkAttachmentName": "mapped"}


def _made(server: Any, path: str, kind: str, version: str, name: str, spec: Any) -> str:
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
    answer = server.send("POST", path, body)
    assert answer.code == 201, answer.message
    return f"{path}/{name}"


@pytest.fixture
def mapped(apiserver: Any, networks: None) -> Iterator[None]:
    """A network whose nodes reach its Pods, and an attachment that maps a port."""
    ipam = {"ranges": [{"cidr": "10.84.0.0/24", "gateway": "10.84.0.1"}]}
    config = kni_world.network_config("ported", bridge={"gateway": True}, ipam=ipam)
    mapping = {"portMappings": [{"hostPort": 8080, "containerPort": 80}]}
    reference = {"group": names.KNI_GROUP, "kind": "AttachmentConfig", "name": "mapped"}
    attachment = {"podNetworkName": "ported", "parametersRefs": [reference]}
    network = msgspec.to_builtins(kni_world.pod_network("ported").spec)
    own, core = names.KNI_API_VERSION, names.API_VERSION
    made = [
        _made(apiserver, f"{KNI}/networkconfigs", "NetworkConfig", own, "ported", msgspec.to_builtins(config.spec)),
        _made(apiserver, f"{NETWORKS}/podnetworks", "PodNetwork", core, "ported", network),
        _made(apiserver, f"{KNI}/{SPACE}/attachmentconfigs", "AttachmentConfig", own, "mapped", mapping),
        _made(
            apiserver, f"{NETWORKS}/{SPACE}/podnetworkattachments", "PodNetworkAttachment", core, "mapped", attachment
        ),
    ]
    ready = msgspec.to_builtins(kni_world.READY) | {"lastTransitionTime": "2026-01-01T00:00:00Z"}
    answer = apiserver.send("PATCH", f"{made[1]}/status", {"status": {"conditions": [ready]}})
    assert answer.code == 200, answer.message
    yield
    for path in reversed(made):
        apiserver.send("DELETE", path)


async def _started(machine: Machine) -> types.PodSandbox | None:
    try:
        return await machine.run_pod(MAPPED)
    except errors.StatusError:
        return None


def _web(server: Any) -> str:
    """A Pod with a hostPort, on this node."""
    container = {"name": "main", "image": "example.com/main:1", "ports": [{"containerPort": 80, "hostPort": 8080}]}
    return _made(server, PODS, "Pod", "v1", "web", {"nodeName": NODE, "containers": [container]})


async def test_the_host_port_of_another_pod_is_refused(apiserver: Any, mapped: None, machine: Machine) -> None:
    web = _web(apiserver)
    await machine.start()
    with pytest.raises(errors.StatusError, match="TCP port 8080 of the node is the hostPort of Pod default/web"):
        await machine.run_pod(MAPPED)
    assert not machine.records()
    assert apiserver.send("DELETE", web, {"gracePeriodSeconds": 0}).code == 200
    async with asyncio.timeout(10):
        while not (pod := await _started(machine)):
            await asyncio.sleep(0.2)  # until the node has heard that the Pod is gone
    await eventually(machine.faults)
    await machine.stop_pod(pod.id)


async def test_a_host_port_that_comes_later_is_told(apiserver: Any, mapped: None, machine: Machine) -> None:
    """It needs nothing of us, so it starts; and what arrives at the port goes to another."""
    await machine.start()
    pod = await machine.run_pod(MAPPED, name="first")
    web = _web(apiserver)
    uid = apiserver.send("GET", web).body["metadata"]["uid"]

    def untold() -> Any:
        events = apiserver.send("GET", "/api/v1/namespaces/default/events").body["items"]
        told = [e["message"] for e in events if (e["involvedObject"]["uid"], e["reason"]) == (uid, "HostPortTaken")]
        wanted = (
            f"cannot lead TCP port 8080 of node {NODE} to this Pod: portMappings of Pod default/first took it before"
        )
        return told != [wanted] and (told or "no Event")

    await eventually(untold)
    assert apiserver.send("DELETE", web, {"gracePeriodSeconds": 0}).code == 200
    await machine.stop_pod(pod.id)
