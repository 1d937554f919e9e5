"""Create, replace and patch: the list is moved into its annotation on the way, and shown in the answer.

What has to be known of the object that is there is read with the caller's own rights. A caller who may write but not
read may replace all the same: then nothing is restored, and a contradiction is refused. A patch of the list that is
there needs to read it, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec

from podnet_api.errors import InvalidError
from podnet_api.faults import Fault, FaultType
from podnet_api.proxy import bodies, carriage, exchange, headers, patches, pointers, requests, shown
from podnet_api.proxy.carriers import Carrier
from podnet_api.proxy.exchange import Reply
from podnet_api.proxy.requests import Target
from podnet_api.proxy.upstream import Call, Upstream

Json = dict[str, Any]
_TRIES = 5
"""As often as the API server itself tries a patch again."""
_CREATED = frozenset((requests.JSON, requests.YAML))
_PATCHES = frozenset((requests.APPLY, requests.MERGE, requests.STRATEGIC, requests.JSON_PATCH))


def understood(method: str, content_type: str) -> bool:
    """Whether a body is of a form that can hold the field: protobuf and CBOR cannot."""
    kind = requests.media_type(content_type)
    return kind in (_PATCHES if method == "PATCH" else _CREATED)


class _NoObjectError(Exception):
    """There is no object, or the caller may not read it: ``reply`` says which."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.code)
        self.reply = reply


class Writing:
    """One write by one caller."""

    def __init__(self, upstream: Upstream, call: Call, target: Target, content_type: str) -> None:
        self._upstream = upstream
        self._call = call
        self._target = target
        self._kind = requests.media_type(content_type)

    async def write(self, body: bytes) -> Reply:
        """The API server's answer. Raises InvalidError, UnreadableError."""
        try:
            return await self._written(body)
        except _NoObjectError as error:
            return error.reply

    async def _written(self, body: bytes) -> Reply:
        # YAML takes its time; others shall not wait for it.
        item = await asyncio.to_thread(bodies.decode, body)
        if self._kind == requests.JSON_PATCH:
            return await self._guarded(lambda: self._operations(item, body))
        if not isinstance(item, dict):
            return await self._send(body)
        if self._call.method == "PATCH" and self._kind != requests.APPLY:
            if self._kind == requests.STRATEGIC and patches.needs_current(item, self._target.carrier):
                return await self._guarded(lambda: self._merged(item))
            strategic = self._kind == requests.STRATEGIC
            changed = patches.lowered(item, self._target.carrier, None, strategic=strategic)
            return await self._send(bodies.encode(item) if changed else body)
        return await self._object(item, body)

    async def _object(self, item: Json, body: bytes) -> Reply:
        """A whole object: created, replaced or applied."""
        carrier = self._target.carrier
        replaced = self._call.method == "PUT"
        kept = None
        if replaced and _depends(item, carrier):
            kept = carriage.annotation(await self._current(needed=False), carrier)
        if not bodies.lowered(item, carrier, kept, restore=replaced and carrier.is_pod):
            return await self._send(body)
        if self._kind == requests.YAML:
            plain = headers.without(self._call.headers, "content-type")
            self._call = replace(self._call, headers=[*plain, ("Content-Type", requests.JSON)])
        return await self._send(bodies.encode(item))

    async def _merged(self, patch: Json) -> bytes:
        """A strategic patch that changes the list that is there."""
        carrier = self._target.carrier
        made: Json = msgspec.json.decode(msgspec.json.encode(patch))
        current = await self._current()
        patches.lowered(made, carrier, carriage.annotation(current, carrier), strategic=True)
        version = (carriage.mapping(current, "metadata") or {}).get("resourceVersion")
        if version:
            made.setdefault("metadata", {}).setdefault("resourceVersion", version)
        return bodies.encode(made)

    async def _operations(self, patch: Any, body: bytes) -> bytes:
        """A JSON patch."""
        carrier, operations = self._target.carrier, pointers.readable(patch)
        operations = pointers.stripped(operations, carrier)
        if not pointers.touches(operations, carrier):
            return bodies.encode(operations) if operations != patch else body
        current = await self._current()
        seen = msgspec.json.decode(shown.one(msgspec.json.encode(current), carrier))
        try:
            made = pointers.lowered(operations, seen, carrier, carriage.annotation(current, carrier))
        except pointers.PointerError as error:
            if any(pointers.within(one, carrier) for one in operations):
                raise InvalidError(carrier.kind, [Fault(carrier.field, FaultType.INVALID, str(error))]) from error
            return body  # the API server says it in its own words
        return bodies.encode(made)

    async def _current(self, *, needed: bool = True) -> Json:
        """The object that is there. Where there is none, or the caller may not read it: {}, or _NoObjectError."""
        path = self._call.path.rstrip("/")
        if self._target.subresource:
            path = path.rpartition("/")[0]
        kept = headers.without(self._call.headers, "content-type", "accept", "accept-encoding")
        call = replace(
            self._call, method="GET", path=path, query="", headers=[*kept, ("Accept", requests.JSON)], long=False
        )
        reply = await exchange.ask(self._upstream, call, None)
        if needed and reply.code != 200:
            raise _NoObjectError(reply)
        found = msgspec.json.decode(reply.body) if reply.code == 200 and reply.is_json else {}
        return found if isinstance(found, dict) else {}

    async def _guarded(self, make: Callable[[], Awaitable[bytes]]) -> Reply:
        """Sends what ``make`` makes of the object as it is; again when that has changed meanwhile."""
        for left in reversed(range(_TRIES)):
            reply = await self._send(await make())
            if reply.code != 409 or not left:
                break
        return reply

    async def _send(self, body: bytes) -> Reply:
        return await exchange.ask(self._upstream, self._call, body)


def _depends(item: Json, carrier: Carrier) -> bool:
    """Whether a replacing object can only be understood with the one that is there."""
    spec = carriage.mapping(item, *carrier.template, "spec") or {}
    text = carriage.annotation(item, carrier)
    if carriage.FIELD not in spec:
        return text is None and carrier.is_pod
    return text is not None and not carriage.same(spec[carriage.FIELD], text)
