"""A watch cache: all objects of one kind, listed once and kept true by a watch, for ever.

Readers see the objects at once and without a request; listeners are told of each change. ``run`` is the
task that feeds it; its owner supervises it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterator
from typing import Generic

import msgspec

from podnet_api.errors import GoneError, KubeError
from podnet_api.kube.client import Client, K
from podnet_api.meta import Model, ObjectMeta

log = logging.getLogger(__name__)

Listener = Callable[[K | None, K | None], None]
"""Called with (old, new): old is None for a new object, new is None for one that is gone."""
_BACKOFF = (0.2, 10.0)
_QUIET_WATCH = 1.0


class _Bookmark(Model, frozen=True, kw_only=True):
    metadata: ObjectMeta


class Cache(Generic[K]):
    """The objects of ``kind`` by (namespace, name), each as ``change`` makes it."""

    def __init__(
        self,
        client: Client,
        kind: type[K],
        *,
        namespace: str = "",
        change: Callable[[K], K] | None = None,
        **selectors: str,
    ) -> None:
        self._client = client
        self._kind = kind
        self._namespace = namespace
        self._selectors = selectors
        self._change = change
        self._objects: dict[tuple[str, str], K] = {}
        self._listeners: list[Listener[K]] = []
        self._decoder = msgspec.json.Decoder(kind)
        self._followed = 0
        """The resource version up to which the watch has told everything."""
        self.synced = asyncio.Event()
        """Set once the first list is in."""

    def get(self, name: str, namespace: str = "") -> K | None:
        """The object, or None."""
        return self._objects.get((namespace, name))

    def __iter__(self) -> Iterator[K]:
        return iter(list(self._objects.values()))

    def __len__(self) -> int:
        return len(self._objects)

    def listen(self, listener: Listener[K]) -> None:
        """Call ``listener`` for each change from now on. It must be quick and must not raise."""
        self._listeners.append(listener)

    def learn(self, item: K) -> None:
        """Take over an object that this program has just written or read, ahead of the watch. Where the watch is ahead,
        it knows better: an answer that comes late would stand here for good, and one of an object that is gone, too.
        (Resource versions of a kind are numbers that grow: KEP-5504. What has none was never in an API server.)"""
        known, version = self._objects.get(_key(item)), _number(item.metadata.resource_version)
        there = _number(known.metadata.resource_version) if known is not None else 0
        if not version or version > max(self._followed, there):
            self._put(self._kept(item))

    async def run(self) -> None:
        """Keep the cache true until cancelled; a lost API server is tried again with growing pauses."""
        pause = _BACKOFF[0]
        while True:
            try:
                version = await self._relist()
                pause = _BACKOFF[0]
                await self._follow(version)
            except GoneError:
                log.info("the watch of %s is too old, listing again", self._kind.resource.plural)
            except (KubeError, msgspec.DecodeError) as error:
                log.warning("%s; again in %.1f s", error, pause)
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))
                pause = min(pause * 2, _BACKOFF[1])

    async def _relist(self) -> str:
        fresh: dict[tuple[str, str], K] = {}
        version = ""
        async for page, at in self._client.pages(self._kind, self._namespace, **self._selectors):
            fresh |= {_key(item): self._kept(item) for item in page}
            version = at
        for key in [key for key in self._objects if key not in fresh]:
            self._drop(key)
        for item in fresh.values():
            self._put(item)
        self._followed = _number(version)
        self.synced.set()
        return version

    async def _follow(self, version: str) -> None:
        """Watch from ``version``; the server ends a watch every few minutes and we go on where we were."""
        while True:
            started = asyncio.get_running_loop().time()
            async with contextlib.aclosing(
                self._client.watch(self._kind, self._namespace, version, **self._selectors)
            ) as events:
                async for type_, raw in events:
                    version = self._take(type_, raw)
                    self._followed = _number(version)
            if asyncio.get_running_loop().time() - started < _QUIET_WATCH:
                await asyncio.sleep(_QUIET_WATCH)  # a server that ends every watch at once must not be hammered

    def _take(self, type_: str, raw: msgspec.Raw) -> str:
        """Take one event over; the resource version after it. A bookmark carries nothing but that version."""
        if type_ == "BOOKMARK":
            return msgspec.json.decode(raw, type=_Bookmark).metadata.resource_version
        item = self._decoder.decode(raw)
        if type_ == "DELETED":
            self._drop(_key(item))
        else:
            self._put(self._kept(item))
        return item.metadata.resource_version

    def _kept(self, item: K) -> K:
        return self._change(item) if self._change else item

    def _put(self, item: K) -> None:
        old = self._objects.get(_key(item))
        if old is not None and old.metadata.resource_version == item.metadata.resource_version:
            return
        self._objects[_key(item)] = item
        self._tell(old, item)

    def _drop(self, key: tuple[str, str]) -> None:
        old = self._objects.pop(key, None)
        if old is not None:
            self._tell(old, None)

    def _tell(self, old: K | None, new: K | None) -> None:
        for listener in self._listeners:
            listener(old, new)


def _key(item: K) -> tuple[str, str]:
    return item.metadata.namespace, item.metadata.name


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0
