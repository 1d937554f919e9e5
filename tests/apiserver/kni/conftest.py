"""The real KNI server as a process, on a node that is a network namespace, before a real API server."""

from __future__ import annotations

import asyncio
import os
import pathlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
from podnet_api import kni, multinetwork
from podnet_tests import kni_world
from podnet_tests.machine import NODE, Machine

KNI = "/apis/kni.multinetwork.x-k8s.io/v1alpha1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever stands in this directory needs root and these programs."""
    for item in items:
        if "/apiserver/kni/" in str(item.path):
            for what in ("root", "ip", "nft"):
                item.add_marker(pytest.mark.needs(what))
            item.add_marker(pytest.mark.skipif(os.geteuid() != 0, reason="needs root"))


@pytest.fixture(scope="module")
def networks(apiserver: Any) -> Iterator[None]:
    """blue: two families in blocks; green: single addresses; tiny: six of them; kept: sticky; bare: no addresses,
    so that nodes count by themselves."""
    bodies: dict[str, Any] = {
        "blue": {"ranges": [{"cidr": "10.80.0.0/22"}, {"cidr": "fd80::/64"}]},
        "green": {"ranges": [{"cidr": "10.81.0.0/25"}]},
        "tiny": {"ranges": [{"cidr": "10.82.0.0/29"}]},
        "bare": None,
        "kept": {"ranges": [{"cidr": "10.83.0.0/24"}], "sticky": True},
    }
    paths: list[str] = []
    head = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
    assert apiserver.send("POST", "/api/v1/nodes", head).code == 201
    for name, ipam in bodies.items():
        more = {} if ipam else {"capacity": {"attachments": 3}}
        for item in (kni_world.network_config(name, ipam=ipam, **more), kni_world.pod_network(name)):
            made = asyncio.run(_create(apiserver, item))
            paths.insert(0, made)
    yield
    for path in (*paths, f"/api/v1/nodes/{NODE}", f"{KNI}/nodenetworks/{NODE}", f"{KNI}/ipblocks"):
        apiserver.send("DELETE", path)


async def _create(server: Any, item: kni.NetworkConfig | multinetwork.PodNetwork) -> str:
    async with server.client() as client:
        await client.create(item)
        if isinstance(item, multinetwork.PodNetwork):  # there is no controller here
            ready = msgspec.to_builtins(kni_world.READY) | {"lastTransitionTime": "2026-01-01T00:00:00Z"}
            body = {"metadata": {"name": item.metadata.name}, "status": {"conditions": [ready]}}
            await client.apply(item.resource, body, subresource="status")
    return str(item.resource.path(name=item.metadata.name))


@pytest.fixture
async def machine(apiserver: Any, networks: None) -> AsyncIterator[Machine]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        made = Machine(apiserver, pathlib.Path(directory), NODE)
        try:
            await made.open()
            yield made
        except BaseException:
            print(made.log.read_text(errors="replace")[-6000:])
            raise
        finally:
            await made.close()
