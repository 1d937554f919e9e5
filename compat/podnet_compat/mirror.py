"""The controller: every NAD has its PodNetwork and NetworkConfig, and says how it stands.

Workers take the keys of NADs from a queue that the watch caches fill, a NAD at a time each:

* NAD there, translatable: its objects are made, or follow an edit. Addresses and datapath of a NetworkConfig
  are immutable, so such an edit replaces the objects, once no Pod uses them.
* NAD there, not translatable: nothing is made, what was made stays.
* NAD gone: its objects go when no Pod uses them. A NAD that comes back meanwhile finds them again.

The annotation ``multinetwork.x-k8s.io/translation`` on the NAD says ``ok`` or what is in the way; an Event
goes with each new trouble. ``ok`` is said when nothing else is to be done: at a cold start the networks come first.
What waits for Pods to end is looked at again by a sweep.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from podnet_api import kni, multinetwork
from podnet_api.errors import ConflictError, InvalidError, KubeError, NotFoundError, PodnetError

from podnet_compat import legacy, names, settle
from podnet_compat.legacy import Nad
from podnet_compat.maker import BusyError, HeldError, Maker
from podnet_compat.store import Store, made_from

log = logging.getLogger(__name__)

COMPONENT = "podnet-compat"
NOT_TRANSLATED = "NotTranslated"
OK = "ok"
SWEEP = 300.0
"""Seconds between two looks at everything."""
_BACKOFF = (0.5, 60.0)
WORKERS = 16
"""NADs that are looked at at the same time: most of the time is waiting for the API server."""
SPEAKERS = 4
"""NADs that are told at the same time that all is well."""
_LULL = 30.0
"""Seconds for which other work goes first."""
_PATIENCE = 4
"""Tries after which a NAD says that it waits."""

Key = tuple[str, str]


class Mirror:
    """The workers and their queue."""

    def __init__(self, store: Store, maker: Maker) -> None:
        self._store = store
        self._maker = maker
        self._queue: asyncio.Queue[Key] = asyncio.Queue()
        self._waiting: set[Key] = set()
        self._busy: set[Key] = set()
        self._missed: set[Key] = set()
        self._tries: dict[Key, int] = {}
        self._fine: asyncio.Queue[Nad] = asyncio.Queue()
        self._idle = asyncio.Event()
        self._idle.set()
        store.nads.listen(self._nad_changed)
        store.networks.listen(self._network_changed)
        store.configs.listen(self._config_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._store.synced()
        await self._store.nads.synced.wait()
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(self._work(), name=f"mirror {number}")
            for number in range(SPEAKERS):
                group.create_task(self._speak(), name=f"mirror says ok {number}")
            group.create_task(self._sweep(), name="sweep")

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._waiting.discard(key)
            if self._queue.empty():
                self._idle.set()
            if key in self._busy:
                self._missed.add(key)
                continue
            self._busy.add(key)
            try:
                await self._reconcile(key)
            except (KubeError, BusyError) as error:
                self._again(key, error)
            else:
                self._tries.pop(key, None)
            finally:
                self._done(key)

    def _done(self, key: Key) -> None:
        """What came while a worker had ``key`` is looked at now."""
        self._busy.discard(key)
        if key in self._missed:
            self._missed.discard(key)
            self._enqueue(key)

    async def _sweep(self) -> None:
        while True:
            sources = {made_from(item) for item in (*self._store.networks, *self._store.configs)}
            made = {key for source in sources if (key := legacy.key_of(source)) is not None}
            for key in made | {nad.key for nad in self._store.nads}:
                self._enqueue(key)
            await asyncio.sleep(SWEEP)

    async def _reconcile(self, key: Key) -> None:
        nad = self._store.nads.get(key[1], key[0])
        if nad is None:
            await self._maker.remove(key)
            return
        try:
            await self._maker.ensure(nad)
            await self._maker.tidy(key)
        except (InvalidError, HeldError) as error:
            await self._say(nad, str(error))
        except BusyError as error:
            if self._tries.get(key, 0) >= _PATIENCE:
                await self._say(nad, str(error))
            raise
        else:
            self._fine.put_nowait(nad)

    async def _speak(self) -> None:
        """Say ``ok`` to NADs that are made, unless they changed meanwhile: then a worker has them again."""
        while True:
            nad = await self._fine.get()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LULL):
                    await self._idle.wait()
            current = self._store.nads.get(nad.metadata.name, nad.metadata.namespace)
            if current is None or settle.differs(nad, current) or nad.key in self._waiting:
                continue
            try:
                await self._say(current, OK)
            except KubeError as error:
                self._again(nad.key, error)

    async def _say(self, nad: Nad, text: str) -> None:
        """Write ``text`` on ``nad``; an Event goes with each new trouble."""
        if nad.metadata.annotations.get(names.TRANSLATION) == text:
            return
        meta = nad.metadata
        patch = {"metadata": {"resourceVersion": meta.resource_version, "annotations": {names.TRANSLATION: text}}}
        try:
            await self._store.client.merge(Nad.resource, meta.name, patch, namespace=meta.namespace)
        except ConflictError:
            # It changed since we looked: another replica may have said the same.
            asyncio.get_running_loop().call_later(_BACKOFF[0], self._enqueue, nad.key)
            return
        except NotFoundError:
            return
        if text != OK:
            log.info("%s", text)
            await self._store.client.event(nad, "Warning", NOT_TRANSLATED, text, COMPONENT)

    def _again(self, key: Key, error: PodnetError) -> None:
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        pause = min(_BACKOFF[0] * 2 ** (tries - 1), _BACKOFF[1])
        log.log(logging.INFO if isinstance(error, BusyError) else logging.WARNING, "%s; again in %.1f s", error, pause)
        asyncio.get_running_loop().call_later(pause, self._enqueue, key)

    def _nad_changed(self, old: Nad | None, new: Nad | None) -> None:
        """Our own word on a NAD is no news."""
        if old is not None and new is not None and not settle.differs(old, new):
            return
        for nad in (new or old,):
            if nad is not None:
                self._enqueue(nad.key)

    def _network_changed(self, old: multinetwork.PodNetwork | None, new: multinetwork.PodNetwork | None) -> None:
        """One was deleted: by us to replace it, or by somebody who should not have. With the last one on a
        NetworkConfig that goes too, and it may have been made for another NAD."""
        if old is not None and new is None:
            self._enqueue_source(made_from(old))
            config = self._store.configs.get(kni.config_name(old))
            self._enqueue_source(made_from(config) if config is not None else "")

    def _config_changed(self, old: kni.NetworkConfig | None, new: kni.NetworkConfig | None) -> None:
        if old is not None and new is None:
            self._enqueue_source(made_from(old))

    def _enqueue_source(self, source: str) -> None:
        key = legacy.key_of(source)
        if key is not None:
            self._enqueue(key)

    def _enqueue(self, key: Key) -> None:
        if key not in self._waiting:
            self._waiting.add(key)
            self._idle.clear()
            self._queue.put_nowait(key)
