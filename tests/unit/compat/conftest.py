"""An API server in memory, behind the real client: what the controller, the webhook and the collector are tested on."""

from __future__ import annotations

import asyncio
import datetime
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
import pytest
from podnet_api.errors import AlreadyExistsError, ConflictError, KubeError, NotFoundError
from podnet_api.kube import Client, Credentials
from podnet_api.kube.client import K
from podnet_compat import store as stores
from podnet_compat.maker import Maker

Object = dict[str, Any]


class FakeApi(Client):
    """Objects by path. Watches, resource versions, names that are taken, preconditions and finalizers work;
    ``broken`` makes every request fail, as a lost API server does."""

    def __init__(self) -> None:
        super().__init__(Credentials("http://fake", None), "podnet-compat")
        self.objects: dict[str, Object] = {}
        self.events: list[Object] = []
        self.requests: list[tuple[str, str]] = []
        self.broken = False
        self._versions = itertools.count(1)
        self._watchers: list[tuple[str, asyncio.Queue[bytes]]] = []

    def put(self, path: str, **changes: Any) -> Object:
        """Write an object as somebody else does."""
        item = {**self.objects.get(path, {}), **changes}
        return self._write(path, item, "MODIFIED" if path in self.objects else "ADDED")

    def serve(self, version: str, *plurals: str) -> None:
        """Have the kinds ``plurals`` of group and version ``version`` installed."""
        self.put(f"/apis/{version}", metadata={}, resources=[{"name": plural} for plural in plurals])

    def drop(self, path: str) -> None:
        """Delete an object as somebody else does."""
        item = self.objects.pop(path)
        item["metadata"]["resourceVersion"] = str(next(self._versions))
        self._tell(path, "DELETED", item)

    def names(self, plural: str) -> list[str]:
        """Names of all objects of one kind."""
        return sorted(path.rpartition("/")[2] for path in self.objects if f"/{plural}/" in path)

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        await asyncio.sleep(0)
        if self.broken:
            raise KubeError(f"cannot {method} {path}: it is gone")
        if method != "GET":
            self.requests.append((method, path))
        handler: Callable[[str, Object], Object] = getattr(self, f"_{method.lower()}")
        return json.dumps(handler(path, json.loads(body) if body else {})).encode()

    async def watch(
        self, kind: type[K], namespace: str, version: str, **selectors: str
    ) -> AsyncGenerator[tuple[str, msgspec.Raw], None]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        entry = (kind.resource.path().rpartition("/")[2], queue)
        self._watchers.append(entry)
        try:
            while True:
                type_, item = json.loads(await queue.get())
                yield type_, msgspec.Raw(json.dumps(item).encode())
        finally:
            self._watchers.remove(entry)

    def _get(self, path: str, _: Object) -> Object:
        if path in self.objects:
            return self.objects[path]
        plural = path.rpartition("/")[2]
        if plural in {one["name"] for item in self.objects.values() for one in item.get("resources", [])}:
            items = [item for key, item in self.objects.items() if key.split("/")[-2] == plural]
            return {"metadata": {"resourceVersion": "1"}, "items": items}
        if "." in plural or plural.startswith("v1") or plural in {
            "network-attachment-definitions", "podnetworks", "networkconfigs", "podnetworkattachments",
            "attachmentconfigs", "pods", "ippools", "overlappingrangeipreservations", "nodeslicepools",
            "ipblocks"}:  # fmt: skip
            items = [item for key, item in self.objects.items() if key.split("/")[-2] == plural]
            if items or "." not in plural:
                return {"metadata": {"resourceVersion": "1"}, "items": items}
        raise NotFoundError(f"cannot GET {path}: 404", 404)

    def _post(self, path: str, body: Object) -> Object:
        if path.endswith("/events"):
            self.events.append(body)
            return body
        whole = f"{path}/{body['metadata']['name']}"
        if whole in self.objects:
            raise AlreadyExistsError(f"cannot POST {path}: 409 AlreadyExists", 409, "AlreadyExists")
        now = datetime.datetime.now(datetime.UTC).isoformat()
        body["metadata"] |= {"uid": f"uid-{next(self._versions)}", "creationTimestamp": now}
        return self._write(whole, body, "ADDED")

    def _put(self, path: str, body: Object) -> Object:
        old = self._get(path, {})
        if body["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]:
            raise ConflictError(f"cannot PUT {path}: 409", 409)
        return self._write(path, body, "MODIFIED")

    def _patch(self, path: str, body: Object) -> Object:
        item: Object = json.loads(json.dumps(self._get(path, {})))
        if (
            body["metadata"].get("resourceVersion", item["metadata"]["resourceVersion"])
            != item["metadata"]["resourceVersion"]
        ):
            raise ConflictError(f"cannot PATCH {path}: 409", 409)
        given = item["metadata"].get("annotations", {}) | body["metadata"]["annotations"]
        item["metadata"]["annotations"] = {key: text for key, text in given.items() if text is not None}
        return self._write(path, item, "MODIFIED")

    def _delete(self, path: str, body: Object) -> Object:
        item = self._get(path, {})
        wanted = body.get("preconditions", {})
        if any(item["metadata"][key] != value for key, value in wanted.items()):
            raise ConflictError(f"cannot DELETE {path}: 409", 409)
        if item["metadata"].get("finalizers"):
            item["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            return self._write(path, item, "MODIFIED")
        self.drop(path)
        return item

    def _write(self, path: str, item: Object, type_: str) -> Object:
        item = json.loads(json.dumps(item))
        item["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[path] = item
        self._tell(path, type_, item)
        return item

    def _tell(self, path: str, type_: str, item: Object) -> None:
        for plural, queue in self._watchers:
            if path.split("/")[-2] == plural:
                queue.put_nowait(json.dumps([type_, item]).encode())


@pytest.fixture
def api() -> FakeApi:
    """An empty API server."""
    return FakeApi()


@pytest.fixture
async def store(api: FakeApi) -> AsyncIterator[stores.Store]:
    """A store that follows it."""
    made = stores.Store(api)
    task = asyncio.create_task(made.run())
    await made.synced()
    await made.nads.synced.wait()
    yield made
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
def maker(store: stores.Store) -> Maker:
    """A maker on that store."""
    return Maker(store)
