"""Client and Cache against a small HTTP server that speaks the API's list and watch."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from podnet_api import kni
from podnet_api.errors import AlreadyExistsError, ConflictError, KubeError, NotFoundError
from podnet_api.kube import Cache, Client, Credentials
from podnet_api.meta import ObjectMeta

Json = dict[str, Any]


def block(name: str, version: int, note: str = "") -> Json:
    spec = {"networkConfig": "c", "cidr": "10.0.0.0/28", "nodeName": "n1"}
    return {"metadata": {"name": name, "resourceVersion": str(version), "annotations": {"note": note}}, "spec": spec}


class Api:
    """IPBlocks, listed in pages of one, and one queue of watch events for each watch."""

    def __init__(self) -> None:
        self.items: list[Json] = []
        self.lists = 0
        self.watches: asyncio.Queue[asyncio.Queue[Json | None]] = asyncio.Queue()
        self.from_version: list[str] = []
        self.refusal: tuple[int, str] | None = None

    def app(self) -> web.Application:
        app = web.Application()
        path = kni.IPBlock.resource.path()
        app.router.add_get(path, self.get)
        app.router.add_post(path, self.post)
        return app

    async def get(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            return await self.watch(request)
        place = int(request.query.get("continue") or 0)
        self.lists += place == 0
        more = str(place + 1) if place + 1 < len(self.items) else ""
        meta = {"resourceVersion": "100", "continue": more}
        return web.json_response({"metadata": meta, "items": self.items[place : place + 1]})

    async def watch(self, request: web.Request) -> web.StreamResponse:
        self.from_version.append(request.query["resourceVersion"])
        events: asyncio.Queue[Json | None] = asyncio.Queue()
        self.watches.put_nowait(events)
        answer = web.StreamResponse()
        await answer.prepare(request)
        while (event := await events.get()) is not None:
            await answer.write(json.dumps(event).encode() + b"\n")
        return answer

    async def post(self, request: web.Request) -> web.Response:
        code, reason = self.refusal or (201, "")
        body = await request.json()
        return web.json_response(body if code == 201 else {"message": "no", "reason": reason}, status=code)


@pytest.fixture
async def api() -> Api:
    return Api()


@pytest.fixture
async def client(api: Api) -> AsyncIterator[Client]:
    server = TestServer(api.app())
    await server.start_server()
    async with Client(Credentials(str(server.make_url("")).rstrip("/"), None), "test") as made:
        yield made
    await server.close()


@contextlib.asynccontextmanager
async def running(cache: Cache[kni.IPBlock]) -> AsyncIterator[None]:
    task = asyncio.create_task(cache.run())
    await asyncio.wait_for(cache.synced.wait(), 5)
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def eventually(probe: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not probe():
            await asyncio.sleep(0.01)


async def test_a_cache_follows_the_watch(api: Api, client: Client) -> None:
    api.items = [block("a", 1), block("b", 2)]
    cache = Cache(client, kni.IPBlock)
    told: list[tuple[str, str]] = []
    cache.listen(lambda old, new: told.append((old.metadata.name if old else "", new.metadata.name if new else "")))
    async with running(cache):
        events = await api.watches.get()
        events.put_nowait({"type": "ADDED", "object": block("c", 101)})
        events.put_nowait({"type": "DELETED", "object": block("a", 102)})
        events.put_nowait({"type": "MODIFIED", "object": block("b", 103, note="x" * 100_000)})
        await eventually(lambda: len(told) == 5)
        assert {one.metadata.name for one in cache} == {"b", "c"}
        changed = cache.get("b")
        assert changed is not None
        assert len(changed.metadata.annotations["note"]) == 100_000
    assert told == [("", "a"), ("", "b"), ("", "c"), ("a", ""), ("b", "b")]


async def test_what_the_watch_has_passed_is_not_learned(api: Api, client: Client) -> None:
    """The answer to a request may come after the event of a later write, or of the deletion."""
    api.items = [block("a", 1)]
    cache = Cache(client, kni.IPBlock)
    async with running(cache):
        events = await api.watches.get()
        cache.learn(_read(block("a", 101, note="mine")))
        cache.learn(_read(block("a", 100, note="older")))
        assert _notes(cache) == {"a": "mine"}
        events.put_nowait({"type": "MODIFIED", "object": block("a", 103, note="theirs")})
        events.put_nowait({"type": "DELETED", "object": block("b", 104)})
        events.put_nowait({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "105"}}})
        await eventually(lambda: _notes(cache) == {"a": "theirs"})
        cache.learn(_read(block("a", 102, note="late")))
        cache.learn(_read(block("b", 102, note="gone")))
        assert _notes(cache) == {"a": "theirs"}
        cache.learn(_read(block("b", 106, note="anew")))
        assert _notes(cache) == {"a": "theirs", "b": "anew"}


def _read(item: Json) -> kni.IPBlock:
    return msgspec.convert(item, kni.IPBlock)


def _notes(cache: Cache[kni.IPBlock]) -> dict[str, str]:
    return {one.metadata.name: one.metadata.annotations["note"] for one in cache}


async def test_a_bookmark_moves_the_version_and_nothing_else(api: Api, client: Client) -> None:
    cache = Cache(client, kni.IPBlock)
    async with running(cache):
        events = await api.watches.get()
        events.put_nowait({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "150"}}})
        events.put_nowait(None)
        await asyncio.wait_for(api.watches.get(), 5)
    assert api.from_version == ["100", "150"]
    assert api.lists == 1


async def test_a_watch_that_is_too_old_lists_again(api: Api, client: Client) -> None:
    api.items = [block("a", 1)]
    cache = Cache(client, kni.IPBlock)
    async with running(cache):
        events = await api.watches.get()
        api.items = [block("b", 200)]
        events.put_nowait({"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}})
        await eventually(lambda: [one.metadata.name for one in cache] == ["b"])
    assert api.lists == 2


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (404, "NotFound", NotFoundError),
        (409, "AlreadyExists", AlreadyExistsError),
        (409, "Conflict", ConflictError),
        (500, "InternalError", KubeError),
    ],
)
async def test_refusals_have_a_class_and_name_the_call(
    api: Api, client: Client, code: int, reason: str, kind: type[KubeError]
) -> None:
    api.refusal = code, reason
    spec = kni.IPBlockSpec(network_config="c", cidr="10.0.0.0/28", node_name="n")
    with pytest.raises(KubeError) as caught:
        await client.create(kni.IPBlock(metadata=ObjectMeta(name="a"), spec=spec))
    assert isinstance(caught.value, kind)
    assert caught.value.code == code
    assert str(caught.value).startswith("cannot POST /apis/kni.multinetwork.x-k8s.io/v1alpha1/ipblocks")


async def test_a_server_that_is_away_is_an_error_and_no_hang() -> None:
    async with Client(Credentials("http://127.0.0.1:9", None), "test") as client:
        with pytest.raises(KubeError, match="cannot GET"):
            await client.get(kni.IPBlock, "a")
