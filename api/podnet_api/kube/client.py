"""Typed requests to the API server, each with a deadline.

Programs of every room make one Client at start and close it at the end. Kinds are the Models that carry
a ``resource``.
"""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from podnet_api.errors import AlreadyExistsError, ConflictError, GoneError, KubeError, NotFoundError, UnreachableError
from podnet_api.kube.credentials import Credentials
from podnet_api.meta import Kind, Model, Resource, manifest

DEADLINE = 10.0
"""Seconds that one request may take."""
PAGE = 500
WATCH_SECONDS = 300
_WATCH_SLACK = 30
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"


K = TypeVar("K", bound=Kind)


class _ListMeta(Model, frozen=True, kw_only=True):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class _List(Model, frozen=True, kw_only=True):
    metadata: _ListMeta = _ListMeta()
    items: list[msgspec.Raw] = []


class _Status(Model, frozen=True, kw_only=True):
    message: str = ""
    reason: str = ""
    code: int = 0


class _Event(Model, frozen=True, kw_only=True):
    type: str
    object: msgspec.Raw


class Client:
    """A connection to one API server. ``name`` is the User-Agent and the default field manager."""

    def __init__(self, credentials: Credentials, name: str) -> None:
        self.name = name
        self._credentials = credentials
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._credentials.tls or False, limit=100)
        tracing = aiohttp.TraceConfig()
        tracing.on_request_headers_sent.append(_note_sent)
        self._session = aiohttp.ClientSession(
            self._credentials.server,
            connector=connector,
            headers={"User-Agent": self.name},
            auto_decompress=True,
            trace_configs=[tracing],
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, kind: type[K], name: str, namespace: str = "") -> K:
        """One object. Raises NotFoundError when it is absent."""
        body = await self.request("GET", kind.resource.path(namespace, name))
        return msgspec.json.decode(body, type=kind)

    async def list_all(self, kind: type[K], namespace: str = "", **selectors: str) -> tuple[list[K], str]:
        """All objects, page by page, and the resource version of the list.

        ``selectors``: labelSelector, fieldSelector.
        """
        items: list[K] = []
        version = ""
        async for page, at in self.pages(kind, namespace, **selectors):
            items += page
            version = at
        return items, version

    async def pages(
        self, kind: type[K], namespace: str = "", **selectors: str
    ) -> AsyncGenerator[tuple[list[K], str], None]:
        """The same, for who keeps less of each object than is sent: only one page is there at a time."""
        query = {**selectors, "limit": str(PAGE)}
        decoder = msgspec.json.Decoder(kind)
        while True:
            body = await self.request("GET", kind.resource.path(namespace), query)
            page = msgspec.json.decode(body, type=_List)
            yield [decoder.decode(raw) for raw in page.items], page.metadata.resource_version
            if not page.metadata.continue_:
                return
            query["continue"] = page.metadata.continue_

    async def create(self, item: K) -> K:
        """Create ``item``. Raises AlreadyExistsError when the name is taken."""
        path = item.resource.path(item.metadata.namespace)
        body = await self.request("POST", path, body=msgspec.json.encode(manifest(item)))
        return msgspec.json.decode(body, type=type(item))

    async def apply(
        self, resource: Resource, body: Mapping[str, Any], *, subresource: str = "", manager: str = ""
    ) -> bytes:
        """Server-side apply of ``body`` (which needs metadata.name), taking over fields of other managers; the object
        after it."""
        meta = body["metadata"]
        path = resource.path(meta.get("namespace", ""), meta["name"], subresource)
        query = {"fieldManager": manager or self.name, "force": "true"}
        whole = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return await self.request("PATCH", path, query, msgspec.json.encode(whole), _APPLY)

    async def merge(
        self, resource: Resource, name: str, patch: Mapping[str, Any], *, namespace: str = "", subresource: str = ""
    ) -> bytes:
        """JSON merge patch (RFC 7386); the object after it. Never on pods/status: it wipes the kubelet's conditions."""
        path = resource.path(namespace, name, subresource)
        return await self.request("PATCH", path, {"fieldManager": self.name}, msgspec.json.encode(patch), _MERGE)

    async def json_patch(
        self, resource: Resource, name: str, patch: list[dict[str, Any]], *, namespace: str = ""
    ) -> None:
        """JSON patch (RFC 6902); its ``test`` operations make it a compare-and-swap."""
        path = resource.path(namespace, name)
        await self.request("PATCH", path, {"fieldManager": self.name}, msgspec.json.encode(patch), _JSON_PATCH)

    async def delete(self, kind: type[K], name: str, namespace: str = "", *, uid: str = "") -> None:
        """Delete one object; with ``uid`` only that very object. An absent object is no error."""
        options = {"preconditions": {"uid": uid}} if uid else {}
        try:
            await self.request("DELETE", kind.resource.path(namespace, name), body=msgspec.json.encode(options))
        except NotFoundError:
            return

    async def event(
        self, about: Kind, type_: str, reason: str, message: str, component: str, *, name: str = ""
    ) -> None:
        """Record an Event (``type_`` is Normal or Warning) about an object. With ``name``, one that replicas agree on,
        once: raises AlreadyExistsError."""
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        meta, resource = about.metadata, about.resource
        namespace = meta.namespace or "default"
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name or f"{meta.name}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "name": meta.name,
                "namespace": meta.namespace,
                "uid": meta.uid,
            },
            "type": type_,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": component},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "reportingComponent": component,
        }
        await self.request("POST", f"/api/v1/namespaces/{namespace}/events", body=msgspec.json.encode(body))

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        """One request; the body of a 2xx answer. Raises a KubeError for anything else."""
        headers = {**self._credentials.headers(), "Content-Type": content_type, "Accept": "application/json"}
        sent: list[bool] = []
        try:
            async with (
                asyncio.timeout(DEADLINE),
                self._open().request(
                    method, path, params=query, data=body, headers=headers, trace_request_ctx=sent
                ) as answer,
            ):
                content = await answer.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            kind = KubeError if sent else UnreachableError
            raise kind(f"cannot {method} {path}: {error!r}") from error
        if answer.status >= 400:
            raise _error(method, path, answer.status, content)
        return content

    async def watch(
        self, kind: type[K], namespace: str, version: str, **selectors: str
    ) -> AsyncGenerator[tuple[str, msgspec.Raw], None]:
        """Events after ``version``: (ADDED | MODIFIED | DELETED | BOOKMARK, object as JSON) until the
        server ends the watch. Raises GoneError when ``version`` is too old."""
        query = {
            **selectors,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        path = kind.resource.path(namespace)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=DEADLINE, sock_read=WATCH_SECONDS + _WATCH_SLACK)
        headers = self._credentials.headers()
        try:
            async with self._open().get(path, params=query, headers=headers, timeout=timeout) as answer:
                if answer.status >= 400:
                    raise _error("WATCH", path, answer.status, await answer.read())
                async for line in _lines(answer.content):
                    yield _decode_event(path, line)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise KubeError(f"cannot watch {path}: {error!r}") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise KubeError("cannot use the API client: it is not open")
        return self._session


async def _note_sent(session: aiohttp.ClientSession, context: Any, params: object) -> None:
    """aiohttp sends a request a second time when a connection breaks: the error of that tells nothing of the first."""
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.append(True)


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length: aiohttp's own iteration refuses lines over 64 KiB."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


def _decode_event(path: str, line: bytes) -> tuple[str, msgspec.Raw]:
    event = msgspec.json.decode(line, type=_Event)
    if event.type == "ERROR":
        status = msgspec.json.decode(event.object, type=_Status)
        raise _error("WATCH", path, status.code, bytes(event.object))
    return event.type, event.object


def _error(method: str, path: str, code: int, content: bytes) -> KubeError:
    try:
        status = msgspec.json.decode(content, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        status = _Status(message=content[:200].decode(errors="replace"))
    kinds: dict[int, type[KubeError]] = {404: NotFoundError, 409: ConflictError, 410: GoneError}
    kind = AlreadyExistsError if status.reason == "AlreadyExists" else kinds.get(code, KubeError)
    return kind(f"cannot {method} {path}: {code} {status.reason}: {status.message}", code, status.reason)
