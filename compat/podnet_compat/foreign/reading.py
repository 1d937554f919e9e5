"""Foreign objects out of the API, as far as a translator asks for them.

Translators are pure: they look into ``Objects``. So one is run on what is known, what it looked for in vain is read,
and it is run again, until it looks for nothing new. A Pod costs a request for each object that it names.
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
from podnet_compat.store import Store
from podnet_compat.systems import base
from podnet_compat.systems.base import Objects, Source
from podnet_compat.systems.registry import Kind, System

T = TypeVar("T")
Key = tuple[str, str, str, str]
"""Group, kind, namespace and name."""
ROUNDS = 8
"""A Pod leads to a network, that to another object, that to a third; nothing goes further."""
_NAMESPACE = Kind("", "Namespace", lambda *_: base.Made(), namespaced=False, plural="namespaces")


class Known(Objects):
    """What was read, and in ``wanted`` and ``unlisted`` what was looked for in vain."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__((), settings)
        self.wanted: set[Key] = set()
        self.unlisted: set[tuple[str, str]] = set()
        self._found: dict[Key, Source | None] = {}
        self._listed: set[tuple[str, str]] = set()

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
        found = sorted(key for key, item in self._found.items() if key[:2] == (group, kind) and item is not None)
        return tuple(item for key in found if (item := self._found[key]) is not None)

    def learn(self, key: Key, item: Source | None) -> None:
        """``item`` is what there is under ``key``."""
        self._found[key] = item
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

    def __init__(self, store: Store, systems: Iterable[System]) -> None:
        self._store = store
        kinds = [_NAMESPACE, *(kind for system in systems for kind in system.kinds)]
        self._kinds = {(kind.group, kind.kind): kind for kind in kinds if kind.plural}

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
            known.learn(key, await self._one(key))
        for kind in sorted(known.unlisted):
            known.learn_all(kind, await self._all(kind))

    async def _one(self, key: Key) -> Source | None:
        group, kind, namespace, name = key
        if (group, kind) == (api_names.GROUP, "PodNetwork"):
            return _native(self._store.networks.get(name))
        if (group, kind) == (legacy.GROUP, legacy.KIND):
            return _native(await self._store.nad(namespace, name))
        found = self._kinds.get((group, kind))
        if found is None or not name:
            return None
        body = await self._read(found, namespace, name)
        return base.source(body, namespace, cluster=not found.namespaced) if body else None

    async def _all(self, key: tuple[str, str]) -> list[Source]:
        found = self._kinds.get(key)
        body = await self._read(found, "", "") if found else None
        shape = {"apiVersion": body["apiVersion"], "kind": found.kind} if found and body else {}
        items = (body or {}).get("items") or []
        return [base.source({**shape, **item}, cluster=bool(found and not found.namespaced)) for item in items]

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


def _native(item: NativeKind | None) -> Source | None:
    return base.source(manifest(item), cluster=not item.resource.namespaced) if item is not None else None
