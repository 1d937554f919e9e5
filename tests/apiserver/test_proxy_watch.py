"""Much through podnet-proxy: a list of thousands of Pods, and a watch that stays open while Pods change.

`make soak-proxy` runs it with 5,000 Pods and a watch of 30 minutes; PODNET_WATCH_SECONDS and PODNET_WATCH_PODS say
otherwise. What the API server says directly is what the proxy must say, in the same order, with the list shown.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import aiohttp
import msgspec
import pytest
from podnet_api import core
from podnet_api.kube import Cache, Client, Credentials
from podnet_api.meta import Model, ObjectMeta, Resource
from podnet_api.proxy import carriers, shown

PODS_AT_ALL = int(os.environ.get("PODNET_WATCH_PODS", "400"))
WATCH_SECONDS = float(os.environ.get("PODNET_WATCH_SECONDS", "6"))
KEY = "multinetwork.x-k8s.io/networks"
LISTED = '[{"podNetworkName":"blue"},{"podNetworkName":"red","interfaceName":"red0"}]'
NAMESPACE = "many"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
HEADERS = {"Authorization": "Bearer administrator"}

pytestmark = pytest.mark.timeout(WATCH_SECONDS * 2 + 600)


@dataclass
class Side:
    """One way to the API server."""

    session: aiohttp.ClientSession
    events: list[bytes] = field(default_factory=list)

    async def read(self, path: str) -> bytes:
        """A whole answer."""
        async with self.session.get(path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()

    async def follow(self, version: str) -> None:
        """One watch, never opened again; what comes is kept in ``events``."""
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(int(WATCH_SECONDS) + 60)}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self.session.get(PODS, params=query, timeout=timeout) as answer:
            assert answer.status == 200
            while line := await answer.content.readuntil(b"\n"):
                self.events.append(line)


@pytest.fixture
async def sides(proxy: Any, apiserver: Any) -> AsyncIterator[tuple[Side, Side]]:
    """Through the proxy, and directly."""
    async with session(proxy) as ours, session(apiserver) as theirs:
        yield Side(ours), Side(theirs)


def session(server: Any) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=Credentials.load(str(server.kubeconfig)).tls or False)
    return aiohttp.ClientSession(server.url, connector=connector, headers=HEADERS, read_bufsize=1 << 22)


@pytest.fixture
async def many(sides: tuple[Side, Side]) -> AsyncIterator[None]:
    """Pods, every third with networks."""
    _, direct = sides
    async with direct.session.post("/api/v1/namespaces", json={"metadata": {"name": NAMESPACE}}) as made:
        assert made.status in {201, 409}
    at_once = asyncio.Semaphore(16)

    async def make(number: int) -> None:
        annotations = {KEY: LISTED} if number % 3 == 0 else {}
        spec = {"containers": [{"name": "a", "image": "x"}], "terminationGracePeriodSeconds": 0}
        body = {"metadata": {"name": f"pod-{number}", "annotations": annotations}, "spec": spec}
        async with at_once, direct.session.post(PODS, json=body) as made:
            assert made.status == 201, await made.text()

    await asyncio.gather(*map(make, range(PODS_AT_ALL)))
    yield
    async with direct.session.delete(f"{PODS}?gracePeriodSeconds=0") as gone:
        assert gone.status == 200


async def test_a_large_list(sides: tuple[Side, Side], many: None) -> None:
    through, direct = sides
    for query in ("", "?resourceVersion=0", "?limit=50", "?pretty=true"):
        ours, theirs = await at_one_revision(through, direct, PODS + query)
        expected = json.loads(shown.whole(theirs, carriers.POD))
        assert json.loads(ours) == expected, query
        count = sum("networks" in item["spec"] for item in expected["items"])
        assert count == -(-len(expected["items"]) // 3) or query == "?limit=50"


async def at_one_revision(through: Side, direct: Side, path: str) -> tuple[bytes, bytes]:
    """A list read both ways while nothing else was written: the API server renews a Lease of its own now and then."""
    async with asyncio.timeout(120):
        while True:
            before, ours, after = await direct.read(path), await through.read(path), await direct.read(path)
            if before == after:
                return ours, after


async def test_a_long_watch(sides: tuple[Side, Side], many: None) -> None:
    through, direct = sides
    version = json.loads(await direct.read(f"{PODS}?limit=1"))["metadata"]["resourceVersion"]
    followers = [asyncio.create_task(side.follow(version)) for side in sides]
    await change(direct)
    deadline = time.monotonic() + 30
    while len(through.events) < len(direct.events) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    for follower in followers:
        assert not follower.done(), follower
        follower.cancel()
    await asyncio.gather(*followers, return_exceptions=True)
    assert len(direct.events) > WATCH_SECONDS / 2
    assert through.events == [shown.event(line[:-1], carriers.POD) + b"\n" for line in direct.events]
    assert any(b'"networks":[' in line for line in through.events)


async def change(side: Side) -> None:
    """Changes one Pod after the other; of a long watch, with silences of half a minute."""
    chance, end, number = random.Random(1), time.monotonic() + WATCH_SECONDS, 0
    while time.monotonic() < end:
        number += 1
        patch = {"metadata": {"labels": {"mark": str(number)}}}
        kind = {"Content-Type": "application/merge-patch+json"}
        name = f"pod-{chance.randrange(PODS_AT_ALL)}"
        async with side.session.patch(f"{PODS}/{name}", data=json.dumps(patch), headers=kind) as changed:
            assert changed.status == 200
        if WATCH_SECONDS > 600:
            await asyncio.sleep(35 if number % 200 == 0 else 0.5)
        else:
            await asyncio.sleep(0.02)


class _Spec(Model, frozen=True, kw_only=True):
    networks: list[dict[str, str]] = []


class _Pod(Model, frozen=True, kw_only=True):
    """A Pod as a program that knows the field reads it."""

    resource: ClassVar[Resource] = core.Pod.resource

    metadata: ObjectMeta
    spec: _Spec = _Spec()


async def test_a_cache_of_ours(proxy: Any, sides: tuple[Side, Side], many: None) -> None:
    """List and watch as podnet's own programs do it, pointed at the proxy."""
    async with Client(Credentials.load(str(proxy.kubeconfig)), "cache") as client:
        cache = Cache(client, _Pod, namespace=NAMESPACE)
        task = asyncio.create_task(cache.run())
        async with asyncio.timeout(30):
            await cache.synced.wait()
            patch = {"metadata": {"labels": {"seen": "yes"}}}
            await client.merge(core.Pod.resource, "pod-0", patch, namespace=NAMESPACE)
            while (found := cache.get("pod-0", NAMESPACE)) is None or "seen" not in found.metadata.labels:
                await asyncio.sleep(0.05)
        task.cancel()
    assert found.spec.networks == msgspec.json.decode(LISTED)
    assert len(cache) == PODS_AT_ALL
