"""What the node agent writes, against an API in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from podnet_api import core, kni, names
from podnet_api.errors import NotFoundError
from podnet_api.meta import ObjectMeta, Resource
from podnet_kni_server import hostports
from podnet_kni_server.datapath.fake import FakeDatapath
from podnet_kni_server.node import NodeAgent
from podnet_tests.kni_world import network_config, pod_network

NODE = core.Node(metadata=ObjectMeta(name="n1", uid="u1", labels={"zone": "a"}))


class FakeClient:
    """The requests of the agent, and one NodeNetwork that is there or not."""

    def __init__(self) -> None:
        self.created: list[kni.NodeNetwork] = []
        self.applied: list[dict[str, Any]] = []
        self.merged: list[dict[str, Any]] = []

    async def create(self, item: kni.NodeNetwork) -> kni.NodeNetwork:
        self.created.append(item)
        return item

    async def apply(self, resource: Resource, body: dict[str, Any], *, subresource: str, manager: str) -> None:
        if not self.created:
            raise NotFoundError("cannot PATCH: 404", 404)
        self.applied.append(body["status"])

    async def merge(self, resource: Resource, name: str, patch: dict[str, Any]) -> None:
        self.merged.append(patch["metadata"]["labels"])


class Nodes:
    """A cache of one node."""

    def get(self, name: str) -> core.Node | None:
        return NODE if name == "n1" else None

    def __iter__(self) -> Iterator[core.Node]:
        return iter([NODE])


class FakeObjects:
    """What the agent reads: one node, one network."""

    node = "n1"

    def __init__(self) -> None:
        self.networks = [pod_network("blue")]
        self.nodes = Nodes()
        self.config = network_config("blue")
        self.pods: list[hostports.Pod] = []

    def on_asked_change(self, call: object) -> None:
        """Nothing changes here."""

    def on_network_change(self, call: object) -> None:
        """Nothing changes by itself."""

    def network_config(self, name: str) -> kni.NetworkConfig | None:
        return self.config if name == "blue" else None


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def datapath() -> FakeDatapath:
    return FakeDatapath()


USED = {"blue": 2}


@pytest.fixture
def agent(client: FakeClient, datapath: FakeDatapath) -> NodeAgent:
    return NodeAgent(
        client,  # type: ignore[arg-type]
        FakeObjects(),  # type: ignore[arg-type]
        datapath,
        used=lambda name: USED[name],
        free=lambda pool, version: 7,
        in_use=set,
    )


async def test_a_node_network_is_made_and_written_once(agent: NodeAgent, client: FakeClient) -> None:
    await agent.set_up()
    await agent.publish()
    await agent.publish()
    [made] = client.created
    assert [owner.uid for owner in made.metadata.owner_references] == ["u1"]
    [status] = client.applied
    [entry] = status["networks"]
    assert (entry["name"], entry["ready"], status["summary"]) == ("blue", True, "1 of 1 ready")
    assert entry["attachments"]["used"] == 2
    assert entry["addresses"] == {"free4": 7, "free6": 7}


async def test_one_that_somebody_deleted_comes_back(agent: NodeAgent, client: FakeClient) -> None:
    await agent.set_up()
    await agent.publish()
    client.created.clear()
    agent.hook_lost = "the runtime is gone"
    await agent.set_up()
    await agent.publish()
    assert len(client.created) == 1
    assert client.applied[-1]["networks"][0]["reason"] == "RuntimeHookLost"


async def test_labels_say_whether_it_is_ready(agent: NodeAgent, client: FakeClient) -> None:
    await agent.set_up()
    await agent.publish()
    assert client.merged == [{names.node_label("blue"): "ready"}]


async def test_counting_leaves_the_kernel_alone(
    agent: NodeAgent, client: FakeClient, datapath: FakeDatapath, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = asyncio.create_task(agent.run())
    for used in (3, 4, 5):
        monkeypatch.setitem(USED, "blue", used)
        agent.recount()
        await asyncio.sleep(0.1)
        assert client.applied[-1]["networks"][0]["attachments"]["used"] == used
    assert [call for call, _ in datapath.calls] == ["ensure_node"], "the first time only"
    agent.touch()
    await asyncio.sleep(0.1)
    assert len(datapath.calls) == 2
    working.cancel()
