"""The objects of one NAD: made, changed, removed. ``mirror`` calls it for every NAD, ``webhook`` for the
NADs of a Pod that comes before the mirror got there.

NADs of equal content share one NetworkConfig, and with it the pool: they are the same wire, and copies of
one NAD in several namespaces must not give an address twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import AsyncIterator, Sequence
from typing import NoReturn, Protocol

from podnet_api import kni, multinetwork
from podnet_api.errors import AlreadyExistsError, InvalidError, PodnetError
from podnet_api.meta import Kind

from podnet_compat import legacy, names, settle, usage
from podnet_compat import nad as nads
from podnet_compat.legacy import Nad
from podnet_compat.store import Store, made_from

log = logging.getLogger(__name__)


class HeldError(PodnetError):
    """A NAD cannot have its objects as long as something holds them; the message says what."""


class BusyError(PodnetError):
    """A NAD cannot have its objects at once: old ones are being removed, or another replica makes them."""


class Reserved(Protocol):
    """What another program has given of our addresses: ``reservations_live.Live``."""

    async def keeps_apart(self, nad: Nad, native: nads.Native) -> bool:
        """Whether ``nad`` has just been told that its addresses are kept one by one."""

    async def hold(self, nad: Nad, native: nads.Native, config: str) -> None:
        """Keep what is in use out of the pool of ``config``."""


class Maker:
    """Makes PodNetworks and NetworkConfigs of NADs: one after the other where the NADs are equal or of one name,
    else at the same time.

    Methods raise InvalidError for a NAD that is not translatable, HeldError, BusyError and KubeError.
    """

    def __init__(self, store: Store, reserved: Reserved | None = None) -> None:
        self._store = store
        self._reserved = reserved
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._pods = usage.Pods(store.client)
        self._making: dict[tuple[str, str], kni.NetworkConfigSpec] = {}
        self._edited: set[tuple[str, str]] = set()

    @contextlib.asynccontextmanager
    async def _alone(self, *what: str) -> AsyncIterator[None]:
        """Nobody else holds any of ``what`` meanwhile. In one order, so that two never wait for each other."""
        async with contextlib.AsyncExitStack() as held:
            for name in sorted(set(what)):
                lock = self._locks.get(name) or self._locks.setdefault(name, asyncio.Lock())
                await held.enter_async_context(lock)
            yield

    async def ensure(self, nad: Nad) -> str:
        """Make the objects of ``nad``, or bring them up to date; the name of their NetworkConfig.

        The webhook may have looked at ``nad`` a while ago, before it was annotated here: the newest counts.
        """
        nad = self._store.nads.get(nad.metadata.name, nad.metadata.namespace) or nad
        native = nads.translate(nad)
        name, content = native.config.metadata.name, settle.content(native.config.spec)
        async with self._alone(names.source(*nad.key), name, content):
            network = self._store.networks.get(native.network.metadata.name)
            if network is not None:
                await self._check_ours(nad, network)
                return await self._kept(nad, native, kni.config_name(network))
            return await self._new(nad, native)

    async def _new(self, nad: Nad, native: nads.Native) -> str:
        """Make the objects, unless another NAD's addresses would be given twice: what is in use of them is told to all
        that share them first, as it changes what they are."""
        if self._reserved and await self._reserved.keeps_apart(nad, native):
            raise BusyError(
                f"cannot translate {nad.subject} at once: addresses of it are in use, which it is told first"
            )
        odd = self._odd(nad, native)
        if odd:
            await self._by_plugins(nad, odd)
        self._making[nad.key] = native.config.spec
        try:
            return await self._made(nad, native)
        finally:
            del self._making[nad.key]

    async def _made(self, nad: Nad, native: nads.Native) -> str:
        """What is in use of the addresses is held before a node could give them."""
        config = await self._config(nad, native)
        if self._reserved:
            await self._reserved.hold(nad, native, config)
        await self._create(nads.network(nad, native.network.metadata.name, config))
        self._edited.discard(nad.key)
        return config

    def _odd(self, nad: Nad, native: nads.Native) -> list[Nad]:
        """The NADs that take addresses from the store of ``nad`` and do not go with it: one of both gives them by a
        pool of podnet that the other does not have."""
        mates = [self._store.nads.get(name, namespace) for namespace, name in self._store.stores.mates(nad)]
        mine = native.config.spec
        specs = [(mate, self._spec_of(mate)) for mate in mates if mate is not None]
        return [
            mate
            for mate, spec in specs
            if spec is not None and spec != mine and not (spec.cni is not None and mine.cni is not None)
        ]

    def _spec_of(self, nad: Nad) -> kni.NetworkConfigSpec | None:
        """What ``nad`` is made as, or is being made as, or else would be."""
        network = self._store.networks.get(names.network(*nad.key))
        ours = network is not None and made_from(network) == names.source(*nad.key)
        found = self._store.configs.get(kni.config_name(network)) if network is not None and ours else None
        if found is not None:
            return found.spec
        try:
            return self._making.get(nad.key) or nads.translate(nad).config.spec
        except InvalidError:
            return None

    async def _by_plugins(self, nad: Nad, odd: list[Nad]) -> NoReturn:
        """Have the nodes' plugins attach ``nad`` and ``odd``, so that one store gives their addresses."""
        store, others = self._store.stores.store(nad.key), ", ".join(mate.subject for mate in odd)
        shared = f"its addresses are those of {others}, by {store}, and their networks differ"
        if nad.key in self._edited:
            raise HeldError(f"cannot translate {nad.subject}: {shared}: edit those as well, or give it other addresses")
        if any(one.metadata.annotations.get(names.ATTACH_WITH) == names.NATIVE for one in (nad, *odd)):
            raise HeldError(
                f"cannot translate {nad.subject}: {shared}, and {names.ATTACH_WITH} does not let plugins do it"
            )
        for each in (nad, *odd):
            if nads.translate(each).config.spec.cni is None:
                await self._store.annotate(each, names.ATTACH_WITH, names.PLUGINS)
                log.info("%s shares a store of addresses: CNI plugins attach it", each.subject)
        raise BusyError(f"cannot translate {nad.subject} at once: {shared}; CNI plugins are to attach them all")

    async def further(self, nad: Nad, name: str) -> None:
        """Make PodNetwork ``name`` for a further use of ``nad`` in one Pod."""
        config = await self.ensure(nad)
        found = self._store.networks.get(name)
        if found is None:
            await self._create(nads.network(nad, name, config))
        elif made_from(found) != names.source(*nad.key):
            raise HeldError(f"cannot make PodNetwork {name} from {nad.subject}: somebody else made one of that name")

    async def remove(self, key: tuple[str, str]) -> None:
        """Delete what was made from NAD ``key``, which is gone, unless Pods use it."""
        source = names.source(*key)
        async with self._alone(source):
            networks = self._store.networks_of(source)
            if networks and await self._used(networks):
                log.info("%s is gone; its networks stay while Pods use them", source)
                return
            for network in networks:
                await self._store.delete_unchanged(network)
        await self.tidy(key)

    async def tidy(self, key: tuple[str, str]) -> None:
        """Delete NetworkConfigs that were made for NAD ``key`` and on which no PodNetwork stands any more."""
        for config in self._store.configs_of(names.source(*key)):
            if self._store.networks_on(config.metadata.name):
                continue
            async with self._alone(config.metadata.name, settle.content(config.spec)):
                if not self._store.networks_on(config.metadata.name):
                    await self._store.delete_unchanged(config)

    async def _check_ours(self, nad: Nad, network: multinetwork.PodNetwork) -> None:
        name = network.metadata.name
        if network.metadata.deletion_timestamp is not None:
            raise BusyError(f"cannot translate {nad.subject}: PodNetwork {name} is being removed")
        if made_from(network) == names.source(*nad.key):
            return
        if made_from(network) and not await self._used([network]):
            # A further use of another NAD had taken the name; with this NAD there it gets another one.
            await self._store.delete_unchanged(network)
            raise BusyError(f"cannot translate {nad.subject}: PodNetwork {name} of another source is being removed")
        raise HeldError(f"cannot translate {nad.subject}: PodNetwork {name} was not made from it; rename one of them")

    async def _kept(self, nad: Nad, native: nads.Native, name: str) -> str:
        found = self._store.configs.get(name)
        if found is None:
            await self._create_config(nad, native, name)
        elif found.spec != native.config.spec:
            await self._follow(nad, native, found)
        elif (twin := self._equal(found.spec)) is not None and twin != name:
            why = f"its pool is that of NetworkConfig {twin}, but has been counted apart"
            await self._renew(nad, f"{why}, and Pods use the network", f"{why}; its network is being replaced")
        return name

    def _equal(self, spec: kni.NetworkConfigSpec) -> str | None:
        """The NetworkConfig of ours that says ``spec``: the eldest, on which every replica agrees."""
        usable = [item.metadata for item in self._store.equal(spec) if item.metadata.deletion_timestamp is None]
        eldest = min(usable, key=lambda meta: (meta.creation_timestamp or "", meta.name), default=None)
        return eldest.name if eldest else None

    async def _config(self, nad: Nad, native: nads.Native) -> str:
        """The NetworkConfig for new objects of ``nad``: one of equal content, or a new one."""
        spec, name = native.config.spec, native.config.metadata.name
        equal = self._equal(spec)
        if equal is not None:
            return equal
        holder = self._store.configs.get(name)
        if holder is not None and made_from(holder):
            await self._clear(nad, holder)
        if holder is not None:
            name = names.variant(*nad.key, settle.content(spec))
        await self._create_config(nad, native, name)
        return name

    async def _clear(self, nad: Nad, former: kni.NetworkConfig) -> None:
        """Remove the NetworkConfig that ``nad`` had before an edit, unless other NADs stand on it."""
        name, source = former.metadata.name, names.source(*nad.key)
        networks = self._store.networks_on(name)
        if all(made_from(network) == source for network in networks):
            why = f"its former NetworkConfig {name}"
            await self._renew(nad, f"Pods use {why}", f"{why} is being removed", [*networks, former])

    async def _follow(self, nad: Nad, native: nads.Native, found: kni.NetworkConfig) -> None:
        """Bring an edit to the NetworkConfig, or replace what cannot be changed."""
        sources = {made_from(network) for network in self._store.networks_on(found.metadata.name)}
        agreed = all(self._wants(source, native.config.spec) for source in sources)
        if agreed and settle.can_change(found.spec, native.config.spec):
            await self._store.replace(settle.changed(found, native.config))
            return
        why = "addresses, datapath or the NADs that share its network" if agreed else "the NADs that share its network"
        held = f"{why} do not allow the edit while Pods use the network, which stays as it was"
        await self._renew(nad, held, "an edit replaces its network")

    async def _renew(self, nad: Nad, held: str, busy: str, items: Sequence[Kind] | None = None) -> NoReturn:
        """Delete the PodNetworks of ``nad``, or ``items``, so that they are made anew: BusyError. While Pods
        use one of them: HeldError."""
        ours = self._store.networks_of(names.source(*nad.key))
        if ours and await self._used(ours):
            raise HeldError(f"cannot translate {nad.subject}: {held}")
        self._edited.add(nad.key)
        for item in ours if items is None else items:
            await self._store.delete_unchanged(item)
        raise BusyError(f"cannot translate {nad.subject} at once: {busy}")

    def _wants(self, source: str, spec: kni.NetworkConfigSpec) -> bool:
        """Whether the NAD ``source`` wants ``spec`` too."""
        key = legacy.key_of(source)
        nad = self._store.nads.get(key[1], key[0]) if key else None
        try:
            return nad is not None and nads.translate(nad).config.spec == spec
        except InvalidError:
            return False

    async def _used(self, networks: list[multinetwork.PodNetwork]) -> bool:
        used = await self._pods.used(self._store.attachments)
        return any(network.metadata.name in used.networks for network in networks)

    async def _create(self, network: multinetwork.PodNetwork) -> None:
        name = network.metadata.name
        try:
            self._store.networks.learn(await self._store.client.create(network))
        except AlreadyExistsError as error:
            self._store.networks.learn(await self._store.client.get(multinetwork.PodNetwork, name))
            raise BusyError(f"cannot make PodNetwork {name}: another replica was quicker") from error

    async def _create_config(self, nad: Nad, native: nads.Native, name: str) -> None:
        try:
            self._store.configs.learn(await self._store.client.create(settle.renamed(native.config, name)))
        except AlreadyExistsError as error:
            self._store.configs.learn(await self._store.client.get(kni.NetworkConfig, name))
            raise BusyError(
                f"cannot make NetworkConfig {name} for {nad.subject}: another replica was quicker"
            ) from error
