"""The networks of other systems, kept true: each that can be translated has its native objects, which follow its edits
and go with it. ``main`` runs it beside the mirror of NetworkAttachmentDefinitions, which does the same for those.

What becomes of an object may hang on others (a TenantConfig, a pool of addresses), so after a change everything is
looked at; the pause before it is ten times as long as the last look took. What cannot be translated, or waits for Pods
to end, has an Event that says so. A kind that is not served is left alone with all that was made from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping

from podnet_api import multinetwork
from podnet_api import names as api_names
from podnet_api.errors import AlreadyExistsError, InvalidError, KubeError, PodnetError
from podnet_api.meta import Kind as NativeKind

from podnet_compat import legacy, names, settle
from podnet_compat.foreign import making
from podnet_compat.foreign.reading import Known, Reading
from podnet_compat.foreign.watching import Named, Watched
from podnet_compat.legacy import Nad
from podnet_compat.maker import BusyError, HeldError
from podnet_compat.store import Store, made_from
from podnet_compat.systems.base import Made, Source
from podnet_compat.systems.registry import Kind, System

log = logging.getLogger(__name__)

SWEEP = 300.0
"""Seconds between two looks at everything: what waits for Pods to end is seen then."""
SHORTEST, LONGEST = 0.3, 60.0
WORKERS = 8
"""Sources that are written at the same time: most of the time is waiting for the API server."""
_SHARE = 10.0
"""A look takes at most one part in so many of the time."""
_COMPONENT, _REASON = "podnet-compat", "NotTranslated"


class Following:
    """The work on all networks of ``systems``. ``settings``: what no object says (``Objects.settings``)."""

    def __init__(
        self, store: Store, systems: Iterable[System], settings: Mapping[str, str], reading: Reading, watched: Watched
    ) -> None:
        self._store = store
        self._systems = tuple(systems)
        self._settings = settings
        self._reading = reading
        self._watched = watched
        self._making = making.Making(store)
        self._changed = asyncio.Event()
        self._pause = SHORTEST
        self._again = False
        self._said: dict[str, str] = {}
        self._nads = any(kind.group == legacy.GROUP for system in self._systems for kind in system.kinds)
        watched.listen(lambda *_: self._changed.set())
        store.nads.listen(self._nad_changed)
        store.networks.listen(self._gone)
        store.configs.listen(self._gone)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._store.synced()
        loop, tries = asyncio.get_running_loop(), 0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWEEP):
                    await self._changed.wait()
            await asyncio.sleep(self._pause)
            self._changed.clear()
            before = loop.time()
            tries = tries + 1 if await self.look() else 0
            self._pause = min(max(SHORTEST, (loop.time() - before) * _SHARE), LONGEST)
            if tries:
                loop.call_later(min(SHORTEST * 2 ** min(tries, 10), LONGEST), self._changed.set)

    async def look(self) -> bool:
        """Look at everything once; whether some of it has to be looked at again soon."""
        try:
            origins = await self._origins()
            gone = await self._without_source({origin.subject for origin in origins})
        except (KubeError, InvalidError) as error:
            log.warning("%s; the networks of other systems are looked at again", error)
            return True
        self._again = False
        known = Known(self._settings)
        found = [(origin.subject, origin, await self._made(origin, known)) for origin in origins]
        work = iter([*found, *((source, None, Made()) for source in gone)])
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(self._work(work), name=f"foreign networks {number}")
        return self._again

    async def _work(self, work: Iterator[tuple[str, Source | None, Made | None]]) -> None:
        for source, origin, made in work:
            if made is not None:
                await self._settle(source, origin, made)

    async def _origins(self) -> list[Source]:
        """Every object that may be a network. Of two that are called alike in two groups of a system, which become the
        same, the first counts."""
        found: list[Source] = []
        for kind in self._followed():
            found += await self._reading.all((kind.group, kind.kind))
        if self._nads:
            found += await self._reading.all((legacy.GROUP, legacy.KIND))
        return list({origin.subject: origin for origin in reversed(found)}.values())

    def _followed(self) -> list[Kind]:
        return [kind for kind in self._watched.kinds if self._watched.of(kind) is not None]

    async def _without_source(self, there: set[str]) -> list[str]:
        """The sources of native objects that are gone. The watch may be late: they are asked for."""
        sources = {made_from(item) for item in (*self._store.networks, *self._store.configs)} - there
        found = []
        for source in sorted(sources):
            word, _, key = source.partition(" ")
            if word == multinetwork.PodNetwork.resource.kind:  # a further one, for a second use in one Pod
                found += [] if self._store.networks.get(key) else [source]
                continue
            namespace, _, name = key.rpartition("/")
            kinds = [kind for kind in self._followed() if kind.kind.lower() == word.lower()]
            asked = [await self._reading.one((kind.group, kind.kind, namespace, name)) for kind in kinds]
            found += [source] if asked and not any(asked) else []
        return found

    async def _made(self, origin: Source, known: Known) -> Made | None:
        """What ``origin`` becomes; None where it cannot be translated."""
        await asyncio.sleep(0)
        try:
            return await self._reading.run(lambda objects: making.of(origin, objects, self._systems), known)
        except InvalidError as error:
            if origin.kind != legacy.KIND:  # the mirror says what is wrong with those
                await self._say(origin, str(error))
        except PodnetError as error:
            log.warning("%s; again soon", error)
            self._again = True
        return None

    async def _settle(self, source: str, origin: Source | None, made: Made) -> None:
        """Write what ``source`` has become."""
        try:
            await self._making.ensure(made)
            await self._making.tidy(source, made)
        except HeldError as error:
            log.info("%s", error)
            if origin is not None:
                await self._say(origin, str(error))
        except (BusyError, KubeError) as error:
            log.info("%s; again soon", error)
            self._again = True
        else:
            self._said.pop(source, None)

    async def _say(self, origin: Source, text: str) -> None:
        """An Event on the object: one for all replicas."""
        about = self._object(origin)
        if about is None or self._said.get(origin.subject) == text:
            return
        log.info("%s", text)
        meta = about.metadata
        mark = names.digest(f"{meta.uid} {meta.resource_version} {text}")
        name = api_names.hashed_name(f"{meta.name}.{mark}", 253)
        try:
            await self._store.client.event(about, "Warning", _REASON, text, _COMPONENT, name=name)
        except AlreadyExistsError:
            pass  # another replica said it, or we did before we were started anew
        except KubeError as error:
            log.warning("%s", error)
            return
        self._said[origin.subject] = text

    def _object(self, origin: Source) -> NativeKind | None:
        if origin.kind == legacy.KIND:
            return self._store.nads.get(origin.name, origin.namespace)
        caches = [self._watched.of(kind) for kind in self._followed() if _is_of(kind, origin)]
        found: list[Named | None] = [cache.get(origin.name, origin.namespace) for cache in caches if cache is not None]
        return next((one for one in found if one is not None), None)

    def _nad_changed(self, old: Nad | None, new: Nad | None) -> None:
        """Our own word on a NAD is no news."""
        if self._nads and (old is None or new is None or settle.differs(old, new)):
            self._changed.set()

    def _gone(self, old: NativeKind | None, new: NativeKind | None) -> None:
        """Something native was deleted: by us to replace it, or by somebody who should not have."""
        if old is not None and new is None and (made_from(old) or isinstance(old, multinetwork.PodNetwork)):
            self._changed.set()


def _is_of(kind: Kind, origin: Source) -> bool:
    """Whether ``origin`` is of ``kind``, which may have two spellings."""
    return kind.group == origin.group and kind.kind.lower() == origin.kind.lower()
