"""The objects of one NAD: made, changed, removed. ``mirror`` calls it for every NAD, ``webhook`` for the
NADs of a Pod that comes before the mirror got there.

NADs of equal content share one NetworkConfig, and with it the pool: they are the same wire, and copies of
one NAD in several namespaces must not give an address twice.
"""

from __future__ import annotations

import asyncio
import logging

from podnet_api import kni, multinetwork
from podnet_api.errors import AlreadyExistsError, InvalidError, PodnetError

from podnet_compat import legacy, names, settle, usage
from podnet_compat import nad as nads
from podnet_compat.legacy import Nad
from podnet_compat.store import Store, config_name, made_from

log = logging.getLogger(__name__)


class HeldError(PodnetError):
    """A NAD cannot have its objects as long as something holds them; the message says what."""


class BusyError(PodnetError):
    """A NAD cannot have its objects at once: old ones are being removed."""


class Maker:
    """Serialises all writes on PodNetworks and NetworkConfigs made from NADs.

    Methods raise InvalidError for a NAD that is not translatable, HeldError, BusyError and KubeError.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = asyncio.Lock()

    async def ensure(self, nad: Nad) -> str:
        """Make the objects of ``nad``, or bring them up to date; the name of their NetworkConfig."""
        native = nads.translate(nad)
        async with self._lock:
            network = self._store.networks.get(native.network.metadata.name)
            if network is not None:
                await self._check_ours(nad, network)
                return await self._kept(nad, native, config_name(network))
            config = await self._config(nad, native)
            await self._create(nads.network(nad, native.network.metadata.name, config))
            return config

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
        async with self._lock:
            source = names.source(*key)
            networks = self._store.networks_of(source)
            if networks and await self._used(networks):
                log.info("%s is gone; its networks stay while Pods use them", source)
                return
            for network in networks:
                await self._store.delete_unchanged(network)
            await self._remove_orphans()

    async def _remove_orphans(self) -> None:
        """NetworkConfigs of ours on which no PodNetwork stands any more, whoever's NAD they came from first."""
        for config in [item for item in self._store.configs if made_from(item)]:
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
            await self._create_config(native, name)
        elif found.spec != native.config.spec:
            await self._follow(nad, native, found)
        return name

    async def _config(self, nad: Nad, native: nads.Native) -> str:
        """The NetworkConfig for new objects of ``nad``: one of equal content, or a new one."""
        spec, name = native.config.spec, native.config.metadata.name
        for item in self._store.configs:
            if made_from(item) and item.spec == spec and item.metadata.deletion_timestamp is None:
                return item.metadata.name
        holder = self._store.configs.get(name)
        if holder is not None and made_from(holder) and not self._store.networks_on(name):
            await self._store.delete_unchanged(holder)
            raise BusyError(f"cannot translate {nad.subject}: its former NetworkConfig {name} is being removed")
        if holder is not None:
            name = names.variant(*nad.key, settle.content(spec))
        await self._create_config(native, name)
        return name

    async def _follow(self, nad: Nad, native: nads.Native, found: kni.NetworkConfig) -> None:
        """Bring an edit to the NetworkConfig, or replace what cannot be changed."""
        sources = {made_from(network) for network in self._store.networks_on(found.metadata.name)}
        agreed = all(self._wants(source, native.config.spec) for source in sources)
        if agreed and settle.can_change(found.spec, native.config.spec):
            await self._store.replace(settle.changed(found, native.config))
            return
        ours = self._store.networks_of(names.source(*nad.key))
        if await self._used(ours):
            why = (
                "addresses, datapath or the NADs that share its network"
                if agreed
                else "the NADs that share its network"
            )
            message = f"{why} do not allow it while Pods use the network, which stays as it was"
            raise HeldError(f"cannot follow the edit of {nad.subject}: {message}")
        for network in ours:
            await self._store.delete_unchanged(network)
        raise BusyError(f"cannot follow the edit of {nad.subject} at once: its network is being replaced")

    def _wants(self, source: str, spec: kni.NetworkConfigSpec) -> bool:
        """Whether the NAD ``source`` wants ``spec`` too."""
        key = legacy.key_of(source)
        nad = self._store.nads.get(key[1], key[0]) if key else None
        try:
            return nad is not None and nads.translate(nad).config.spec == spec
        except InvalidError:
            return False

    async def _used(self, networks: list[multinetwork.PodNetwork]) -> bool:
        used = await usage.now(self._store.client, self._store.attachments)
        return any(network.metadata.name in used.networks for network in networks)

    async def _create(self, network: multinetwork.PodNetwork) -> None:
        try:
            self._store.networks.learn(await self._store.client.create(network))
        except AlreadyExistsError:
            log.info("PodNetwork %s is there already", network.metadata.name)

    async def _create_config(self, native: nads.Native, name: str) -> None:
        self._store.configs.learn(await self._store.client.create(settle.renamed(native.config, name)))
