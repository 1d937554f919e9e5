"""The HTTP side: kube-scheduler's protocol as it stands on the wire, and what is posted wrong."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request
from podnet_api import names
from podnet_scheduler_extender import app
from podnet_scheduler_extender.fake import NAMESPACE, Cluster, listed

Client = TestClient[Request, Application]
Start = Callable[[Application], Awaitable[Client]]


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.config("blue")
    made.network("blue")
    made.node("a", "blue", capacity=1)
    made.node("b", "blue", capacity=2)
    made.node("c")
    return made


@pytest.fixture
async def client(cluster: Cluster, aiohttp_client: Start) -> Client:
    return await aiohttp_client(app.build(cluster.extender, lambda: True))


def pod(name: str = "p", **metadata: Any) -> dict[str, Any]:
    annotations = {names.NETWORKS_ANNOTATION: listed(["blue"])}
    meta = {"name": name, "namespace": NAMESPACE, "uid": name, "annotations": annotations, "labels": {"x": "y"}}
    return {"metadata": meta | metadata, "spec": {"containers": [{"name": "main"}]}, "status": {}}


async def post(client: Client, verb: str, body: Any, status: int = 200) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client.post(f"/{verb}", data=data, headers={"Content-Type": "application/json"}) as answer:
        text = await answer.text()
        assert answer.status == status, text
        return json.loads(text) if status == 200 else text


async def test_filter_speaks_in_go_names(client: Client) -> None:
    asked = {"Pod": pod(), "Nodes": None, "NodeNames": ["a", "b", "c", "ghost"]}
    assert await post(client, "filter", asked) == {
        "NodeNames": ["a", "b"],
        "Nodes": None,
        "FailedNodes": {},
        "FailedAndUnresolvableNodes": dict.fromkeys(["c", "ghost"], "networks not available on the node"),
        "Error": "",
    }


async def test_no_room_is_resolvable(cluster: Cluster, client: Client) -> None:
    cluster.pod("one", ["blue"], node="a")
    answer = await post(client, "filter", {"Pod": pod(), "NodeNames": ["a"]})
    assert answer["NodeNames"] == []
    assert answer["FailedNodes"] == {"a": "no attachments left on the node"}


async def test_whole_nodes_come_back_as_they_came(client: Client) -> None:
    nodes = [{"metadata": {"name": name, "labels": {"n": name}}, "spec": {"podCIDR": "10.0.0.0/24"}} for name in "ac"]
    answer = await post(client, "filter", {"Pod": pod(), "Nodes": {"metadata": {}, "items": nodes}})
    assert (answer["NodeNames"], answer["Nodes"]) == (None, {"items": nodes[:1]})
    assert list(answer["FailedAndUnresolvableNodes"]) == ["c"]


@pytest.mark.parametrize("asked", [{}, {"NodeNames": None}, {"NodeNames": []}, {"Nodes": None, "NodeNames": None}])
async def test_no_nodes_no_answer_but_no_crash(client: Client, asked: dict[str, Any]) -> None:
    answer = await post(client, "filter", {"Pod": pod()} | asked)
    assert (answer["NodeNames"], answer["FailedNodes"], answer["Error"]) == ([], {}, "")
    assert await post(client, "prioritize", {"Pod": pod()} | asked) == []


async def test_nodes_without_items(client: Client) -> None:
    answer = await post(client, "filter", {"Pod": pod(), "Nodes": {"items": None}})
    assert answer["Nodes"] == {"items": []}


async def test_prioritize_is_a_bare_list(cluster: Cluster, client: Client) -> None:
    cluster.pod("one", ["blue"], node="b")
    answer = await post(client, "prioritize", {"Pod": pod(), "NodeNames": ["a", "b"]})
    assert answer == [{"Host": "a", "Score": 4}]


async def test_preempt_leaves_out_nodes_that_victims_do_not_free(cluster: Cluster, client: Client) -> None:
    cluster.pod("one", ["blue"], node="a")
    cluster.pod("two", ["blue"], node="b")
    cluster.pod("three", ["blue"], node="b")
    victims = {
        "a": {"Pods": [{"UID": "one"}], "NumPDBViolations": 1},
        "b": {"Pods": [], "NumPDBViolations": 0},
        "c": {"Pods": [{"UID": "other"}], "NumPDBViolations": 0},
    }
    asked = {"Pod": pod(), "NodeNameToVictims": None, "NodeNameToMetaVictims": victims}
    assert await post(client, "preempt", asked) == {"NodeNameToMetaVictims": {"a": victims["a"]}}
    whole = {"b": {"Pods": [{"metadata": {"uid": "two"}}, {"metadata": {"uid": "none"}}], "NumPDBViolations": 0}}
    answer = await post(client, "preempt", {"Pod": pod(), "NodeNameToVictims": whole})
    kept = {"Pods": [{"UID": "two"}, {"UID": "none"}], "NumPDBViolations": 0}
    assert answer == {"NodeNameToMetaVictims": {"b": kept}}
    assert cluster.state.snapshot.stocks["blue"].attachments == {"a": 1, "b": 2}
    assert await post(client, "preempt", {"Pod": pod()}) == {"NodeNameToMetaVictims": {}}


@pytest.mark.parametrize("verb", ["filter", "prioritize", "preempt"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not JSON",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"Pod": ',
        json.dumps({"Pod": pod(), "NodeNames": ["a"] * 50}).encode()[:-20],
        b"[" * 100_000,
        {"NodeNames": ["a"]},
        {"Pod": None, "NodeNames": ["a"]},
        {"Pod": "p"},
        {"Pod": {}},
        {"Pod": pod(uid="")},
        {"Pod": pod(), "NodeNames": "a", "NodeNameToMetaVictims": "a"},
    ],
)
async def test_what_cannot_be_answered_is_an_error_that_says_so(client: Client, verb: str, body: Any) -> None:
    text = await post(client, verb, body, 400)
    assert text.startswith("cannot ")
    await post(client, "filter", {"Pod": pod(), "NodeNames": ["a"]})


@pytest.mark.parametrize("verb", ["filter", "prioritize"])
async def test_a_whole_node_that_is_no_text_does_not_come_back(client: Client, verb: str) -> None:
    body = json.dumps({"Pod": pod(), "Nodes": {"items": [{"metadata": {"name": "a", "~": 1}}]}}).encode()
    await post(client, verb, body)
    assert (await post(client, verb, body.replace(b"~", b"\x80"), 400)).startswith("cannot read the Nodes")


@pytest.mark.parametrize("change", [{"annotations": None}, {"annotations": {}}, {"annotations": {"a": "b"}}])
async def test_a_pod_without_networks_passes(client: Client, change: dict[str, Any]) -> None:
    answer = await post(client, "filter", {"Pod": pod(**change), "NodeNames": ["a", "c", "ghost"]})
    assert answer["NodeNames"] == ["a", "c", "ghost"]


@pytest.mark.parametrize("text", ["", "null", "{}", "[null]", "[[", '[{"podNetworkName":7}]', "é" * 9])
async def test_a_broken_list_is_refused_everywhere(client: Client, text: str) -> None:
    broken = pod(annotations={names.NETWORKS_ANNOTATION: text})
    answer = await post(client, "filter", {"Pod": broken, "NodeNames": ["a"]})
    assert answer["FailedAndUnresolvableNodes"] == {"a": "the Pod's list of networks is invalid"}


async def test_huge_requests(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    names_ = [f"node-{number}" for number in range(100_000)]
    answer = await post(client, "filter", {"Pod": pod(), "NodeNames": ["a", *names_]})
    assert answer["NodeNames"] == ["a"]
    assert len(answer["FailedAndUnresolvableNodes"]) == 100_000


async def test_too_large_is_said(cluster: Cluster, aiohttp_client: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "BODY_LIMIT", 1000)
    client = await aiohttp_client(app.build(cluster.extender, lambda: True))
    await post(client, "filter", b" " * 2000, 413)


async def test_not_ready_until_listed(cluster: Cluster, aiohttp_client: Start) -> None:
    ready: list[bool] = []
    client = await aiohttp_client(app.build(cluster.extender, lambda: bool(ready)))
    assert (await client.get("/readyz")).status == 503
    assert (await client.get("/healthz")).status == 200
    await post(client, "filter", {"Pod": pod(), "NodeNames": ["a"]}, 503)
    assert len(cluster.extender.ledger) == 0
    ready.append(True)
    assert (await client.get("/readyz")).status == 200
    await post(client, "filter", {"Pod": pod(), "NodeNames": ["a"]})


async def explained(client: Client, pod: str) -> list[str]:
    return (await (await client.get("/explain", params={"pod": pod})).text()).splitlines()


async def test_explain(cluster: Cluster, client: Client) -> None:
    cluster.pod("p", ["blue"])
    fits = [
        "  a: fits (score 10: 100% free, addresses at hand; blue: 0 of 1 attachments in use)",
        "  b: fits (score 10: 100% free, addresses at hand; blue: 0 of 2 attachments in use)",
        "  c: networks not available on the node",
    ]
    assert await explained(client, "team/p") == ["Pod team/p: fits", *fits]
    answer = await client.get("/explain", params={"pod": "team/p", "output": "json"})
    report = await answer.json()
    assert (report["fits"], [node["why"] for node in report["nodes"]][:2]) == (True, ["fits", "fits"])
    cluster.filter("p", ["blue"], "ab")
    assert await explained(client, "team/p") == ["Pod team/p: in flight, told 2 nodes: a, b"]
    cluster.pod("p", ["blue"], node="a")
    assert await explained(client, "team/p") == ["Pod team/p: on node a"]
    cluster.pod("p", ["blue"], node="a", phase="Succeeded")
    assert await explained(client, "team/p") == ["Pod team/p: Succeeded"]
    cluster.pod("q", ["green"])
    [first, *_] = await explained(client, "team/q")
    assert first.startswith("Pod team/q: NetworkNotFound: PodNetwork green does not exist")
    assert (await client.get("/explain", params={"pod": "team/nobody"})).status == 404
    assert (await client.get("/explain")).status == 400


async def test_no_other_endpoint_writes(cluster: Cluster, aiohttp_client: Start) -> None:
    served = app.build(cluster.extender, lambda: True)
    routes = {(route.method, route.resource.canonical) for route in served.router.routes() if route.resource}
    assert {path for method, path in routes if method not in {"GET", "HEAD"}} == {"/filter", "/prioritize", "/preempt"}
    client = await aiohttp_client(served)
    cluster.unschedulable("waits", ["nowhere"])
    await post(client, "filter", {"Pod": pod("flies"), "NodeNames": ["a"]})
    before = (len(cluster.extender.ledger), len(cluster.extender.waiting))
    for path in sorted({path for method, path in routes if method == "GET"}):
        for pod_ in ("team/waits", "team/flies"):
            assert (await client.get(path, params={"pod": pod_})).status in {200, 404}
        assert (await client.post(path, data=b"{}")).status == 405
    assert before == (1, 0) == (len(cluster.extender.ledger), len(cluster.extender.waiting))
    assert (await client.get("/filter")).status == 405
    assert (await client.post("/bind", data=b"{}")).status == 404


async def test_metrics(client: Client) -> None:
    await post(client, "filter", {"Pod": pod(), "NodeNames": ["a", "c"]})
    await post(client, "prioritize", {"Pod": pod(), "NodeNames": ["a", "c"]})
    await post(client, "preempt", {"Pod": pod()})
    await post(client, "filter", b"{", 400)
    page = await (await client.get("/metrics")).text()
    assert 'podnet_extender_answers_total{code="200",verb="filter"} 1.0' in page
    assert 'podnet_extender_answers_total{code="400",verb="filter"} 1.0' in page
    for verb, count in {"filter": 2, "prioritize": 1, "preempt": 1}.items():
        assert f'podnet_extender_request_seconds_bucket{{le="+Inf",verb="{verb}"}} {count}.0' in page
        assert f'podnet_extender_request_seconds_count{{verb="{verb}"}} {count}.0' in page
    assert 'podnet_extender_refused_nodes_total{reason="networks not available on the node"} 1.0' in page
