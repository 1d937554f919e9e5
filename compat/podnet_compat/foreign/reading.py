"""Foreign objects out of the API, as far as a translator asks for them.

Translators are pure: they look into ``Objects``. So one is run on what is known, what it looked for in vain is read,
and it is run again, until it looks for nothing new. What is watched is read once for each version of it; what the watch
does not know may be a moment old, and is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from podnet_api import names as api_names
from podnet_api.errors import InvalidError, NotFoundError, PodnetError
from podnet_api.meta import Kind as NativeKind
from podnet_api.meta import Resource, manifest

from podnet_compat import legacy
from podnet_compat.foreign.watching import Named, Watched, place
from podnet_compat.store import Store
from podnet_compat.systems import base
from podnet_compat.systems.base import Objects, Source
from podnet_compat.systems.registry import Kind, System

T = TypeVar("T")
Key = tuple[str, str, str, str]
"""Group, kind, namespace and name."""
ROUNDS = 8
"""A Pod leads to a network, that to another object, that to a third; nothing goes further."""
_FEW = 8
"""Bodies that are read one by one; a list brings more at once."""


class Known(Objects):
    """What was read, and in ``wanted`` and ``unlisted`` what was looked for in vain."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__((), settings)
        self.wanted: set[Key] = set()
        self.unlisted: set[tuple[str, str]] = set()
        self._found: dict[Key, Source | None] = {}
        self._listed: set[tuple[str, str]] = set()
        self._sorted: dict[tuple[str, str], tuple[Source, ...]] = {}

    def get(self, group: str, kind: str, name: str, namespace: str = "") -> Source | None:
        """One object, or None."""
        key = (group, kind, namespace, name)
        if key not in self._found:
            self.wanted.add(key)
        return self._found.get(key)

    def all(self, group: str, kind: str) -> tuple[Source, ...]:
        """Every object of a kind, by namespace and name."""
        if (group, kind) not in self._listed:
            self.unlisted.add((group, kind))
        if (group, kind) not in self._sorted:
            found = sorted(key for key, item in self._found.items() if key[:2] == (group, kind) and item is not None)
            self._sorted[group, kind] = tuple(item for key in found if (item := self._found[key]) is not None)
        return self._sorted[group, kind]

    def learn(self, key: Key, item: Source | None) -> None:
        """``item`` is what there is under ``key``."""
        self._found[key] = item
        self._sorted.pop(key[:2], None)
        self.wanted.discard(key)

    def learn_all(self, kind: tuple[str, str], items: Iterable[Source]) -> None:
        """``items`` is all that there is of ``kind``."""
        self._listed.add(kind)
        self.unlisted.discard(kind)
        for item in items:
            self.learn((*kind, item.namespace, item.name), item)

    def read(self) -> list[Source]:
        """Everything that is there, in an order of its own."""
        return [item for _, item in sorted(self._found.items()) if item is not None]


class Reading:
    """Reads the kinds of ``systems``; PodNetworks and NetworkAttachmentDefinitions come out of the caches."""

    def __init__(self, store: Store, systems: Iterable[System], watched: Watched) -> None:
        self._store = store
        self._watched = watched
        self._kinds = {(kind.group, kind.kind): kind for system in systems for kind in system.kinds if kind.plural}
        self._bodies: dict[Key, tuple[str, Source]] = {}
        """Each with the resource version that it was read in."""
        watched.listen(self._changed)
        store.nads.listen(self._replaced)
        store.networks.listen(self._replaced)

    async def run(self, work: Callable[[Objects], T], known: Known) -> T:
        """``work`` on ``known``, with all that it asks for. Raises what it raises in the end, KubeError, and
        PodnetError when objects lead to ever more objects."""
        for _ in range(ROUNDS):
            refused: InvalidError | None = None
            try:
                made = work(known)
            except InvalidError as error:
                refused = error
            if not known.wanted and not known.unlisted:
                if refused is not None:
                    raise refused
                return made
            await self._fetch(known)
        raise PodnetError(f"cannot read the foreign objects of a Pod: {sorted(known.wanted)} lead to ever more")

    async def _fetch(self, known: Known) -> None:
        for key in sorted(known.wanted):
            known.learn(key, await self.one(key))
        for kind in sorted(known.unlisted):
            known.learn_all(kind, await self.all(kind))

    async def one(self, key: Key) -> Source | None:
        """The object, or None. Raises KubeError."""
        group, kind, namespace, name = key
        if (group, kind) == (api_names.GROUP, "PodNetwork"):
            return self._native(self._store.networks.get(name))
        if (group, kind) == (legacy.GROUP, legacy.KIND):
            return self._native(await self._store.nad(namespace, name))
        found = self._kinds.get((group, kind))
        if found is None or not name:
            return None
        held = self._held(found, namespace, name)
        if held is not None:
            return held
        body = await self._read(found, namespace, name)
        return self._keep(found, body) if body else None

    async def all(self, key: tuple[str, str]) -> list[Source]:
        """Every object of a kind, by group and kind. Raises KubeError."""
        if key == (legacy.GROUP, legacy.KIND):
            return [one for nad in self._store.nads if (one := self._native(nad)) is not None]
        found = self._kinds.get(key)
        if found is None:
            return []
        there = self._watched.of(found)
        if there is None:
            return await self._listed(found)
        items = [one.metadata for one in there]
        if sum(self._held(found, one.namespace, one.name) is None for one in items) > _FEW:
            await self._listed(found)
        read = [await self.one((*key, one.namespace, one.name)) for one in items]
        return [one for one in read if one is not None]

    async def _listed(self, kind: Kind) -> list[Source]:
        body = await self._read(kind, "", "")
        shape = {"apiVersion": body["apiVersion"], "kind": kind.kind} if body else {}
        return [self._keep(kind, {**shape, **item}) for item in (body or {}).get("items") or []]

    def _held(self, kind: Kind, namespace: str, name: str) -> Source | None:
        """The body that was read, if it is that of the version of which the watch knows."""
        there = self._watched.of(kind)
        meta = there.get(name, namespace) if there is not None else None
        version, held = self._bodies.get((kind.group, kind.kind, namespace, name), ("", None))
        return held if meta is not None and meta.metadata.resource_version == version else None

    def _keep(self, kind: Kind, body: Mapping[str, Any]) -> Source:
        read = base.source(body, cluster=not kind.namespaced)
        if self._watched.of(kind) is not None:
            version = str(body["metadata"].get("resourceVersion"))
            self._bodies[kind.group, kind.kind, read.namespace, read.name] = version, read
        return read

    def _changed(self, kind: Kind, old: Named | None, _: Named | None) -> None:
        """A body of a former version serves nobody, under either spelling of its kind."""
        if old is None:
            return
        for group, spelling in [key for key, one in self._kinds.items() if place(one) == place(kind)]:
            self._bodies.pop((group, spelling, old.metadata.namespace, old.metadata.name), None)

    def _replaced(self, old: NativeKind | None, _: NativeKind | None) -> None:
        if old is not None:
            where, meta = old.resource, old.metadata
            self._bodies.pop((where.group, where.kind, meta.namespace, meta.name), None)

    async def _read(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """The body under the first version that is served; None where there is nothing."""
        for version in kind.versions:
            where = Resource(kind.kind, kind.plural, kind.group, version, kind.namespaced)
            try:
                body = await self._store.client.request("GET", where.path(namespace, name))
            except NotFoundError:
                continue
            found: dict[str, Any] = json.loads(body)
            return {"apiVersion": where.api_version, "kind": kind.kind, **found}
        return None

    def _native(self, item: NativeKind | None) -> Source | None:
        """``item`` as a translator sees it: once for each version of it."""
        if item is None:
            return None
        meta, where = item.metadata, item.resource
        key = (where.group, where.kind, meta.namespace, meta.name)
        version, held = self._bodies.get(key, ("", None))
        if held is None or version != meta.resource_version:
            held = base.source(manifest(item), cluster=not where.namespaced)
            self._bodies[key] = meta.resource_version, held
        return held
