"""Which networks Pods use: read for all who ask at once, and never from before the question."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from podnet_compat import usage


def put(api: Any, name: str, network: str, phase: str = "Running") -> None:
    annotations = {"multinetwork.x-k8s.io/networks": json.dumps([{"podNetworkName": network}])}
    meta = {"name": name, "namespace": "test", "annotations": annotations}
    api.put(f"/api/v1/namespaces/test/pods/{name}", metadata=meta, status={"phase": phase})


async def test_many_questions_are_few_lists(api: Any, monkeypatch: Any) -> None:
    lists = 0
    ask = api.request

    async def request(method: str, path: str, query: Mapping[str, str] | None = None, *rest: Any) -> bytes:
        nonlocal lists
        lists += path.endswith("/pods")
        await asyncio.sleep(0.01)
        answer: bytes = await ask(method, path, query, *rest)
        return answer

    monkeypatch.setattr(api, "request", request)
    put(api, "a", "blue")
    pods = usage.Pods(api)
    first = asyncio.create_task(pods.used([]))
    await asyncio.sleep(0.005)
    put(api, "b", "red")
    later = [asyncio.create_task(pods.used([])) for _ in range(20)]
    assert "blue" in (await first).networks
    found = await asyncio.gather(*later)
    assert {each.networks for each in found} == {frozenset({"blue", "red"})}, "a list under way says too little"
    assert lists == 2
    put(api, "a", "blue", phase="Succeeded")
    assert (await pods.used([])).networks == {"red"}
