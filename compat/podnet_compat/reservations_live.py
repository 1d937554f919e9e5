"""Addresses that others have given are kept out of our pools, as long as the Pods that have them are there.

whereabouts says in objects of its own what it has given; what host-local has given stands on the Pods (``attached``).
``maker`` asks before it makes the objects of a NAD: a pool of which something is in use becomes sticky (each address is
kept by itself), and the addresses are held before the PodNetwork is there, so before a node could give one. Where each
node gives the whole range by itself no block holds anything: there the NAD is told to exclude them (``in-use``), until
they are free and no Pod uses the network. ``run`` follows: what whereabouts gives later is held as well, what is free
again is let go.

This looks one way. whereabouts does not know what podnet gives; where both go on giving out of one range, the NAD has
to be attached by the plugins (annotation ``attach-with``), so that whereabouts gives all of it. What comes too late,
because a node holds the block, is an Event.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Iterable

from podnet_api import core, kni, pools
from podnet_api import names as api_names
from podnet_api.errors import AlreadyExistsError, InvalidError, KubeError, NotFoundError
from podnet_api.kube import Cache

from podnet_compat import attached, ipam, names, pooled, reservations, settle, usage
from podnet_compat import nad as nads
from podnet_compat.attached_live import Attached
from podnet_compat.legacy import Nad
from podnet_compat.reader import Notes
from podnet_compat.reservations import Reservation
from podnet_compat.store import Store

log = logging.getLogger(__name__)

COMPONENT = "podnet-compat"
ADDRESS_IN_USE = "AddressInUse"
PERIOD = 300.0
"""Seconds between two looks at what is held: a Pod that goes is no event here."""
PAUSE = 5.0
"""Seconds between a change and the look at it: whereabouts writes for each Pod."""
FRESH = 4.0
"""Seconds for which a list of Pods may serve again."""
YOUNG = 60.0
"""Seconds for which a block is held in any case."""
RETRY = 60.0
"""Seconds between two questions whether there is whereabouts at all."""
_ATTEND = 30.0
_AT_A_TIME = 50


class Live:
    """What is reserved now."""

    def __init__(self, store: Store) -> None:
        self._store = store
        client = store.client
        self._ippools = Cache(client, reservations.IPPool)
        self._overlapping = Cache(client, reservations.OverlappingRangeIPReservation)
        self._slices = Cache(client, reservations.NodeSlicePool)
        self._blocks = Cache(client, kni.IPBlock, labelSelector=names.SELECTOR)
        self._known = asyncio.Event()
        self._changed = asyncio.Event()
        self._listing = asyncio.Lock()
        self._listed: dict[str, core.Pod] = {}
        self._stale = 0.0
        self._attached = Attached(store)
        self._told: set[tuple[tuple[str, str], str]] = set()
        for cache in (self._ippools, self._overlapping):
            cache.listen(lambda _old, _new: self._changed.set())

    async def run(self) -> None:
        """Follow until cancelled. A cluster without whereabouts is asked again from time to time."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._blocks.run(), name="held blocks")
            await self._blocks.synced.wait()
            group.create_task(self._follow(), name="reservations")
            while not await self._served():
                self._known.set()
                await asyncio.sleep(RETRY)
            caches = (self._ippools, self._overlapping, self._slices)
            for cache in caches:
                group.create_task(cache.run(), name="whereabouts")
            for cache in caches:
                await cache.synced.wait()
            self._known.set()

    async def _served(self) -> bool:
        """Whether the API server knows all kinds of whereabouts; an older one lacks some."""
        while True:
            try:
                body = await self._store.client.request("GET", f"/apis/{reservations.GROUP}/v1alpha1")
            except NotFoundError:
                return False
            except KubeError as error:
                log.warning("%s; again in %.0f s", error, PAUSE)
                await asyncio.sleep(PAUSE)
            else:
                break
        kinds = (reservations.IPPool, reservations.OverlappingRangeIPReservation, reservations.NodeSlicePool)
        return all(f'"{kind.resource.plural}"'.encode() in body for kind in kinds)

    async def _follow(self) -> None:
        await self._known.wait()
        while True:
            try:
                await self.settle()
            except KubeError as error:
                log.warning("%s; reservations are looked at again in %.0f s", error, PAUSE)
                self._changed.set()
            await _either(self._changed, PERIOD)
            await asyncio.sleep(PAUSE)
            self._changed.clear()

    def of(self, nad: Nad, native: nads.Native) -> list[Reservation]:
        """What others have given of the addresses that ``nad``, which is ``native``, would give."""
        pool = native.pool
        if pool is None:
            return []
        found = {one.address: one for one in self._attached.of(nad)}
        if native.addressing.type == ipam.WHEREABOUTS:
            network = native.addressing.network
            listed = reservations.of(network, self._ippools, self._overlapping, self._slices)
            found |= {one.address: one for one in listed}
        return reservations.within(pool, found.values())

    async def keeps_apart(self, nad: Nad, native: nads.Native) -> bool:
        """Whether addresses of ``native`` are in use and have to be kept apart, which ``nad`` and those of its store
        have been told now.

        Raises KubeError.
        """
        await _either(self._known, _ATTEND)
        if not self._known.is_set():
            raise KubeError(f"cannot translate {nad.subject} yet: what whereabouts has given is not known")
        if native.pool is None:
            return False
        await self._attached.look(nad)
        found = self.of(nad, native)
        late = [one for one in self._together(nad) if not _knows(one, native.pool, found)] if found else []
        for one in late:
            key, value = (names.IN_USE, _said(found)) if native.pool.per_node else (names.STICKY, "true")
            await self._store.annotate(one, key, value)
            log.info("addresses of %s are in use: they are kept apart (%s: %s)", one.subject, key, value)
        return bool(late)

    def _together(self, nad: Nad) -> list[Nad]:
        """``nad``, and those of its store that have nothing yet: told apart they would no longer be equal."""
        mates = [self._store.nads.get(name, space) for space, name in self._store.stores.mates(nad)]
        made = self._store.networks
        return [nad, *(one for one in mates if one is not None and made.get(names.network(*one.key)) is None)]

    async def hold(self, nad: Nad, native: nads.Native, config: str) -> None:
        """Hold what is reserved of ``native``, whose NetworkConfig is ``config``. Raises KubeError."""
        found = self.of(nad, native)
        if found and native.pool is not None and not native.pool.per_node:
            await self._hold(nad, native, config, found, await self._pods())

    async def settle(self) -> None:
        """Hold what is reserved, let go what is not any more. Raises KubeError."""
        given = any(pool.spec.allocations for pool in self._ippools) or len(self._blocks)
        if not given and not any(nad.metadata.annotations.get(names.IN_USE) for nad in self._store.nads):
            return
        self._stale = 0.0  # a Pod that was given an address since the last list would seem to be gone
        pods, wanted = await self._pods(), set[str]()
        self._attached.learn(attached.of(pods.values()))
        for number, nad in enumerate(list(self._store.nads)):
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)
            wanted |= await self._settle(nad, pods)
        for block in self._blocks:
            if block.metadata.name not in wanted and _may_go(block):
                await self._store.delete_unchanged(block)

    async def _settle(self, nad: Nad, pods: dict[str, core.Pod]) -> set[str]:
        """The names of the blocks that the NAD wants held, after they are."""
        try:
            native = nads.translate(nad)
        except InvalidError:
            return set()
        network = self._store.networks.get(native.network.metadata.name)
        config = kni.config_name(network) if network is not None else ""
        found = [one for one in self.of(nad, native) if reservations.alive(one, pods)] if config else []
        if native.pool is not None and native.pool.per_node:
            await self._let_go(nad, found, pods)
            return set()
        return await self._hold(nad, native, config, found, pods) if found else set()

    async def _let_go(self, nad: Nad, found: list[Reservation], pods: dict[str, core.Pod]) -> None:
        """What a NAD was told to exclude is given again when it is free, which makes its objects anew: so only once no
        Pod uses them."""
        if found or not nad.metadata.annotations.get(names.IN_USE):
            return
        used = usage.of(pods.values(), self._store.attachments).networks
        if not any(one.metadata.name in used for one in self._store.networks_of(names.source(*nad.key))):
            await self._store.annotate(nad, names.IN_USE, None)

    async def _hold(
        self, nad: Nad, native: nads.Native, config: str, found: list[Reservation], pods: dict[str, core.Pod]
    ) -> set[str]:
        pool = pools.pool_of(settle.renamed(native.config, config))
        wanted = reservations.holds(pool, found, pods) if pool is not None else []
        for block in wanted:
            held = self._blocks.get(block.metadata.name)
            if held is None or not _is_ours(held):
                await self._create(nad, block)
        return {block.metadata.name for block in wanted}

    async def _create(self, nad: Nad, block: kni.IPBlock) -> None:
        name = block.metadata.name
        try:
            self._blocks.learn(await self._store.client.create(block))
        except AlreadyExistsError:
            other = await self._store.client.get(kni.IPBlock, name)
            if not _is_ours(other) and (other.spec.holder is None or other.spec.holder != block.spec.holder):
                await self._tell(nad, block, other)

    async def _tell(self, nad: Nad, block: kni.IPBlock, other: kni.IPBlock) -> None:
        """whereabouts gave an address after a node of ours had claimed it: once for each block."""
        if (nad.key, block.metadata.name) in self._told:
            return
        self._told.add((nad.key, block.metadata.name))
        pod, node = block.metadata.annotations[names.HELD_FOR], other.spec.node_name
        text = (
            f"whereabouts has given an address of {block.spec.cidr} to Pod {pod}, and node {node} gives it, too: as "
            "long as both give addresses of the range, annotate "
            f"{nad.subject} with {names.ATTACH_WITH}: {names.PLUGINS}"
        )
        log.warning("%s", text)
        await self._store.client.event(nad, "Warning", ADDRESS_IN_USE, text, COMPONENT)

    async def _pods(self) -> dict[str, core.Pod]:
        """The Pods by namespace/name, as they were a moment ago: at a cold start each NAD asks."""
        async with self._listing:
            now = asyncio.get_running_loop().time()
            if now >= self._stale:
                found, _ = await self._store.client.list_all(core.Pod)
                self._listed, self._stale = _by_name(found), now + FRESH
            return self._listed


def _knows(nad: Nad, pool: pools.Pool, found: Iterable[Reservation]) -> bool:
    """Whether ``nad`` says already what keeps ``found`` apart."""
    if not pool.per_node:
        return names.STICKY in nad.metadata.annotations
    told = pooled.in_use(nad.metadata.annotations.get(names.IN_USE, ""), Notes())
    return all(any(one.address in net for net in told) for one in found)


def _said(found: Iterable[Reservation]) -> str:
    return attached.text(one.address for one in found)


def _is_ours(block: kni.IPBlock) -> bool:
    return block.metadata.labels.get(api_names.GENERATED_BY_LABEL) == names.COMPAT


def _may_go(block: kni.IPBlock) -> bool:
    """Whether it is compat's to let go: what is kept for a member is the controller's, and what was held just now may
    be for a network that is being made."""
    made = datetime.datetime.fromisoformat(block.metadata.creation_timestamp or "9999-01-01T00:00:00+00:00")
    old = (datetime.datetime.now(datetime.UTC) - made).total_seconds() > YOUNG
    return old and _is_ours(block) and block.spec.holder is None


def _by_name(found: Iterable[core.Pod]) -> dict[str, core.Pod]:
    return {f"{pod.metadata.namespace}/{pod.metadata.name}": pod for pod in found}


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait for ``event``, but not longer than that."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
