"""The kinds of other systems that the API server serves, watched: which objects there are, and in which version.

Only metadata are kept: ``reading`` reads a body when a translator asks for it, ``following`` hears of each change. A
kind whose CustomResourceDefinition is not installed is looked for again and again, and costs nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import ClassVar

import msgspec
from podnet_api.errors import KubeError, NotFoundError
from podnet_api.kube import Cache, Client
from podnet_api.meta import Model, ObjectMeta, Resource

from podnet_compat.systems.registry import Kind

log = logging.getLogger(__name__)

AGAIN, SOON = 60.0, 5.0
"""Seconds between two questions whether a kind is served; after one that was not answered."""

Place = tuple[str, str]
"""Group and plural: two spellings of a kind may have one."""


class Named(Model, frozen=True, kw_only=True):
    """An object of a foreign kind, without its body."""

    resource: ClassVar[Resource]

    metadata: ObjectMeta


class _Served(Model, frozen=True, kw_only=True):
    name: str


class _Resources(Model, frozen=True, kw_only=True):
    resources: list[_Served] = []


Listener = Callable[[Kind, Named | None, Named | None], None]


def place(kind: Kind) -> Place:
    """Where ``kind`` is in the API."""
    return kind.group, kind.plural


class Watched:
    """The watches of ``kinds``, of those that can be watched; ``run`` feeds them until cancelled."""

    def __init__(self, client: Client, kinds: Iterable[Kind]) -> None:
        self._client = client
        self._caches: dict[Place, Cache[Named]] = {}
        self._listeners: list[Listener] = []
        found: dict[Place, Kind] = {}
        for kind in kinds:
            if kind.watched:
                found.setdefault(place(kind), kind)
        self.kinds = tuple(found.values())

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` with the kind, the old and the new object for each change from now on."""
        self._listeners.append(listener)

    def of(self, kind: Kind) -> Cache[Named] | None:
        """The objects of ``kind``; None as long as they are not all known."""
        found = self._caches.get(place(kind))
        return found if found is not None and found.synced.is_set() else None

    async def run(self) -> None:
        """Watch what is served, and wait for the rest, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind in self.kinds:
                group.create_task(self._watch(kind), name=f"watch of {kind.plural}")

    async def _watch(self, kind: Kind) -> None:
        version = await self._served(kind)
        cache = Cache(self._client, _named(Resource(kind.kind, kind.plural, kind.group, version, kind.namespaced)))
        cache.listen(lambda old, new: self._tell(kind, old, new))
        self._caches[place(kind)] = cache
        await cache.run()

    async def _served(self, kind: Kind) -> str:
        """The first version of ``kind`` that there is, once there is one."""
        while True:
            pause = AGAIN
            for version in kind.versions:
                try:
                    if kind.plural in await self._plurals(kind.group, version):
                        return version
                except KubeError as error:
                    log.warning("%s; again in %.0f s", error, SOON)
                    pause = SOON
            await asyncio.sleep(pause)

    async def _plurals(self, group: str, version: str) -> set[str]:
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            body = await self._client.request("GET", path)
        except NotFoundError:
            return set()
        return {one.name for one in msgspec.json.decode(body, type=_Resources).resources}

    def _tell(self, kind: Kind, old: Named | None, new: Named | None) -> None:
        for listener in self._listeners:
            listener(kind, old, new)


def _named(where: Resource) -> type[Named]:
    """A type of its own for each kind: the client finds a kind's place in its type."""

    class One(Named, frozen=True, kw_only=True):
        resource = where

    return One
