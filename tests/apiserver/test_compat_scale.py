"""Many NADs and Pods through compat before a real API server: writes stay few, attachments are shared and collected.

40 NADs and 300 Pods in `make test`; PODNET_COMPAT_NADS and PODNET_COMPAT_PODS say other numbers (`make bench-compat`:
500 and 10,000).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

import pytest
from podnet_api import core, kni, multinetwork
from podnet_api import names as api_names
from podnet_api.admission import Allow, Deny, Request
from podnet_api.errors import AlreadyExistsError
from podnet_api.kube import Client, Credentials
from podnet_api.meta import ObjectMeta
from podnet_compat import attached_live, collector, names, reservations
from podnet_compat import maker as makers
from podnet_compat import mirror as mirrors
from podnet_compat import pod as pods
from podnet_compat import reservations_live as lives
from podnet_compat import store as stores
from podnet_compat import webhook as webhooks
from podnet_compat.legacy import Nad
from podnet_tests import legacy_kinds

pytestmark = pytest.mark.timeout(900)

NADS = int(os.environ.get("PODNET_COMPAT_NADS", "40"))
PODS = int(os.environ.get("PODNET_COMPAT_PODS", "300"))
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SPACES = ("scale-a", "scale-b")
PATIENCE = 120.0
BROKEN = "broken"
DISTINCT = 20
"""Different requests that the Pods make."""


class Counting(Client):
    """A client that counts its writes."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(credentials, "podnet-compat")
        self.writes = 0

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        self.writes += method != "GET"
        return await super().request(method, path, query, body, content_type)


class Compat:
    """The program's parts, and what it has written."""

    def __init__(self, client: Counting) -> None:
        self.client = client
        self.store = stores.Store(client)
        self.live = lives.Live(self.store)
        maker = makers.Maker(self.store, self.live)
        self.mirror = mirrors.Mirror(self.store, maker)
        self.webhook = webhooks.Webhook(self.store, maker, pods.Policy())

    async def admit(self, namespace: str, name: str, text: str) -> Allow | Deny:
        """The answer about a Pod with the annotation ``text``."""
        pod = {"metadata": {"name": name, "annotations": {names.NETWORKS: text}}, "spec": {}}
        asked = Request(name, "CREATE", "somebody", namespace, name, pod, None, dry_run=False)
        return await self.webhook.mutate_pod(asked)


@pytest.fixture(scope="module")
def kinds(apiserver: Any) -> Iterator[Any]:
    """The API server with the kinds of Multus and whereabouts, and two namespaces."""
    definitions = [legacy_kinds.NAD, *legacy_kinds.WHEREABOUTS]
    for definition in definitions:
        assert apiserver.send("POST", CRDS, definition).code == 201
    for space in SPACES:
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}
        assert apiserver.send("POST", "/api/v1/namespaces", made).code == 201
    deadline = time.monotonic() + 30
    while apiserver.send("GET", reservations.IPPool.resource.path("kube-system")).code != 200:
        assert time.monotonic() < deadline, "the kinds are not served"
        time.sleep(0.1)
    yield apiserver
    for definition in definitions:
        apiserver.send("DELETE", f"{CRDS}/{definition['metadata']['name']}")


@pytest.fixture
async def compat(kinds: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Compat]:
    """compat at work."""
    monkeypatch.setattr(mirrors, "SWEEP", 2.0)
    monkeypatch.setattr(lives, "PAUSE", 0.2)
    monkeypatch.setattr(lives, "PERIOD", 2.0)
    monkeypatch.setattr(lives, "YOUNG", 0.0)
    monkeypatch.setattr(attached_live, "FRESH", 0.0)
    async with Counting(Credentials.load(str(kinds.kubeconfig))) as client:
        made = Compat(client)
        tasks = [asyncio.create_task(part.run()) for part in (made.store, made.live, made.mirror)]
        yield made
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(true: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await true():
            await asyncio.sleep(0.2)


def config(number: int) -> str:
    """Two namespaces have the same NADs, of which each pair is one wire."""
    ipam = {"type": "whereabouts", "range": f"10.{100 + number // 256}.{number % 256}.0/24"}
    return json.dumps({"type": "macvlan", "master": "eth1", "ipam": ipam})


async def put_nad(client: Client, namespace: str, name: str, text: str) -> None:
    body = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": name},
            "spec": {"config": text}}  # fmt: skip
    await client.request("POST", Nad.resource.path(namespace), body=json.dumps(body).encode())


async def word(client: Client, namespace: str, name: str) -> str:
    found = await client.get(Nad, name, namespace)
    return found.metadata.annotations.get(names.TRANSLATION, "")


async def many(made: list[Awaitable[object]], at_once: int = 16) -> None:
    limit = asyncio.Semaphore(at_once)

    async def one(each: Awaitable[object]) -> None:
        async with limit:
            await each

    await asyncio.gather(*(one(each) for each in made))


def put_pod(client: Client, namespace: str, name: str, listed: str) -> Awaitable[bytes]:
    meta = {"name": name, "annotations": {api_names.NETWORKS_ANNOTATION: listed}}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return client.request("POST", core.Pod.resource.path(namespace), body=json.dumps(body).encode())


def native(answer: Allow | Deny) -> str:
    assert isinstance(answer, Allow), answer
    values = [step["value"] for step in answer.patch if step["path"].endswith("~1networks")]
    assert len(values) == 1
    return str(values[0])


async def test_many_nads_and_pods(compat: Compat, monkeypatch: pytest.MonkeyPatch) -> None:
    client = compat.client
    each = NADS // 2
    await many([put_nad(client, space, f"n{n}", config(n)) for space in SPACES for n in range(each)])
    await put_nad(client, SPACES[0], BROKEN, '{"type":"macvlan","master":"a/b"}')

    async def mirrored() -> bool:
        found, _ = await client.list_all(Nad)
        ours = [nad for nad in found if nad.metadata.namespace in SPACES]
        return len(ours) == 2 * each + 1 and all(names.TRANSLATION in nad.metadata.annotations for nad in ours)

    begin, before = time.monotonic(), 2 * each + 1
    await until(mirrored)
    took, wrote = time.monotonic() - begin, client.writes - before
    print(f"\n{2 * each} NADs mirrored after {took:.1f} s with {wrote} writes")
    # A NetworkConfig for each pair, a PodNetwork and a word for each NAD, an Event; a few are written twice.
    assert wrote <= 1.1 * (each + 2 * each + 2 * each + 2)
    configs, _ = await client.list_all(kni.NetworkConfig, labelSelector=names.SELECTOR)
    assert sum(one.metadata.name.startswith("scale-") for one in configs) == each

    before, begin, lists = client.writes, time.monotonic(), dict[str, str]()
    await many([_admit(compat, number, each, lists) for number in range(PODS)])
    took, wrote = time.monotonic() - begin, client.writes - before
    print(f"{PODS} Pods admitted in {took:.1f} s with {wrote} writes")
    distinct = len(set(lists.values()))
    assert wrote <= 3 * min(PODS, DISTINCT * 2) + took // 30 * DISTINCT * 4, (
        "an attachment and its parameters, now and then a mark"
    )
    generated, _ = await client.list_all(multinetwork.PodNetworkAttachment, labelSelector=names.SELECTOR)
    assert len([one for one in generated if one.metadata.namespace in SPACES]) == distinct <= DISTINCT * 2
    await many([put_pod(client, name.split("/")[0], name.split("/")[1], text) for name, text in lists.items()])
    print(f"most memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB, the test's own included")
    await _edits_are_followed(compat)
    await _pods_keep_and_let_go(compat, list(lists), monkeypatch)


async def _admit(compat: Compat, number: int, nads: int, lists: dict[str, str]) -> None:
    namespace, kind = SPACES[number % 2], number % DISTINCT
    nad = kind % nads
    entry = {"name": f"n{nad}", "ips": [f"10.{100 + nad // 256}.{nad % 256}.{10 + kind}"]}
    lists[f"{namespace}/p{number}"] = native(await compat.admit(namespace, f"p{number}", json.dumps([entry])))


async def _edits_are_followed(compat: Compat) -> None:
    """One that can be made in place reaches the network under its Pods; one that cannot waits, and says so. (Pods of
    the first namespace use the even ones.)"""
    client, space = compat.client, SPACES[0]
    refused = await compat.admit(space, "x", BROKEN)
    assert isinstance(refused, Deny)
    assert "spec.config.master" in str(refused.faults[0])
    text = await word(client, space, BROKEN)
    assert "spec.config.master" in text
    events = json.loads(await client.request("GET", f"/api/v1/namespaces/{space}/events"))["items"]
    said = [event for event in events if event["involvedObject"]["name"] == BROKEN]
    assert [(event["reason"], event["message"]) for event in said] == [("NotTranslated", text)]
    longer = json.dumps({**json.loads(config(0)), "mtu": 1400})
    for namespace in SPACES:
        await client.merge(Nad.resource, "n0", {"spec": {"config": longer}}, namespace=namespace)

    async def in_place() -> bool:
        found, _ = await client.list_all(kni.NetworkConfig, labelSelector=names.SELECTOR)
        return any(one.spec.mtu == 1400 for one in found)

    await until(in_place)
    await client.merge(Nad.resource, "n4", {"spec": {"config": config(77)}}, namespace=space)
    await until(lambda: _says(client, space, "n4", "while Pods use the network"))


async def _says(client: Client, namespace: str, name: str, text: str) -> bool:
    return text in await word(client, namespace, name)


async def _pods_keep_and_let_go(compat: Compat, made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A NAD that is deleted leaves its network to its Pods; with them it goes, and so do the attachments."""
    client, space = compat.client, SPACES[0]
    await client.delete(Nad, "n2", space)
    monkeypatch.setattr(collector, "GRACE", 0.0)
    await asyncio.sleep(1.5)
    await collector.collect(compat.store)
    assert await client.get(multinetwork.PodNetwork, f"{space}.n2")
    left, _ = await client.list_all(multinetwork.PodNetworkAttachment, labelSelector=names.SELECTOR)
    assert any(one.metadata.namespace in SPACES for one in left), "Pods name them"
    paths = [core.Pod.resource.path(*name.split("/")) for name in made]
    await many([client.request("DELETE", path, {"gracePeriodSeconds": "0"}) for path in paths])

    async def gone() -> bool:
        found, _ = await client.list_all(multinetwork.PodNetwork, labelSelector=names.SELECTOR)
        return f"{space}.n2" not in {one.metadata.name for one in found}

    async def collected() -> bool:
        await collector.collect(compat.store)
        found, _ = await client.list_all(multinetwork.PodNetworkAttachment, labelSelector=names.SELECTOR)
        others, _ = await client.list_all(kni.AttachmentConfig, labelSelector=names.SELECTOR)
        left = [*(one.metadata.namespace for one in found), *(one.metadata.namespace for one in others)]
        return not set(left) & set(SPACES)

    await until(gone)
    await until(lambda: _says(client, space, "n4", "ok"))
    await until(collected)


async def test_what_whereabouts_has_given_no_node_can_claim(compat: Compat) -> None:
    """The address is held before the network is there, under the name of a node's own claim."""
    client, space = compat.client, SPACES[1]
    meta = {"name": "10.200.0.0-24"}
    given = {"range": "10.200.0.0/24", "allocations": {"5": {"id": "c", "podref": f"{space}/old", "ifname": "net1"}}}
    body = {"apiVersion": "whereabouts.cni.cncf.io/v1alpha1", "kind": "IPPool", "metadata": meta, "spec": given}
    await client.request("POST", reservations.IPPool.resource.path("kube-system"), body=json.dumps(body).encode())
    await put_pod(client, space, "old", "[]")
    await put_nad(client, space, "kept", json.dumps({"type": "macvlan", "master": "eth1", "ipam": {
        "type": "whereabouts", "range": "10.200.0.0/24"}}))  # fmt: skip
    await until(lambda: _says(client, space, "kept", "ok"))
    [block], _ = await client.list_all(kni.IPBlock, labelSelector=names.SELECTOR)
    assert (block.spec.cidr, block.spec.network_config) == ("10.200.0.5/32", f"{space}.kept")
    spec = kni.IPBlockSpec(network_config=f"{space}.kept", cidr="10.200.0.5/32", node_name="w1")
    claim = kni.IPBlock(metadata=ObjectMeta(name=block.metadata.name), spec=spec)
    with pytest.raises(AlreadyExistsError):
        await client.create(claim)
    await client.request("DELETE", core.Pod.resource.path(space, "old"), {"gracePeriodSeconds": "0"})

    async def free() -> bool:
        blocks, _ = await client.list_all(kni.IPBlock, labelSelector=names.SELECTOR)
        return not blocks

    await until(free)


@pytest.mark.parametrize("kind", ["bridge", "macvlan"])
async def test_what_a_pod_of_multus_has_is_not_given(compat: Compat, kind: str) -> None:
    """host-local's own record is on the node; what it gave stands on the Pod. A bridge counts on each node."""
    client, space, subnet = compat.client, SPACES[1], "10.201.0.0/24" if kind == "bridge" else "10.202.0.0/24"
    address = subnet.replace("0/24", "5")
    rows = [{"name": f"{space}/own-{kind}", "interface": "net1", "ips": [address], "dns": {}}]
    meta = {"name": f"old-{kind}", "annotations": {api_names.NPWG_STATUS_ANNOTATION: json.dumps(rows)}}
    spec = {"containers": [{"name": "c", "image": "i"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
    await client.request("POST", core.Pod.resource.path(space), body=json.dumps(pod).encode())
    more = {"bridge": "br1", "isGateway": True} if kind == "bridge" else {"master": "eth1"}
    ipam = {"type": "host-local", "subnet": subnet}
    await put_nad(client, space, f"own-{kind}", json.dumps({"type": kind, "ipam": ipam, **more}))
    await until(lambda: _says(client, space, f"own-{kind}", "ok"))
    made = await client.get(kni.NetworkConfig, f"{space}.own-{kind}")
    blocks, _ = await client.list_all(kni.IPBlock, labelSelector=names.SELECTOR)
    held = {block.spec.cidr for block in blocks if block.spec.network_config == made.metadata.name}
    assert made.spec.ipam is not None
    excluded = made.spec.ipam.ranges[0].exclude
    assert (excluded, held) == (([f"{address}/32"], set()) if kind == "bridge" else ([], {f"{address}/32"}))
    await client.request("DELETE", core.Pod.resource.path(space, f"old-{kind}"), {"gracePeriodSeconds": "0"})

    async def free() -> bool:
        left, _ = await client.list_all(kni.IPBlock, labelSelector=names.SELECTOR)
        return all(block.spec.network_config != made.metadata.name for block in left)

    await until(free)
