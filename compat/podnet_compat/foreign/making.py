"""The native objects of one foreign source: made, brought up to date, removed. ``webhook`` asks before it answers for a
Pod, ``following`` for every network that there is.

The rules are those of NetworkAttachmentDefinitions (``maker``): what a NetworkConfig may change is changed in place;
addresses and datapath are immutable, so such an edit replaces the objects, once no Pod uses them; what has no source
any more goes when no Pod uses it. What was not made here is nobody's to touch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NoReturn, TypeVar

from podnet_api import kni, multinetwork
from podnet_api.errors import AlreadyExistsError
from podnet_api.kube import Cache

from podnet_compat import collector, keeper, legacy, names, settle, usage
from podnet_compat.maker import BusyError, HeldError
from podnet_compat.store import Store, made_from
from podnet_compat.systems import base, translate
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.registry import System

T = TypeVar("T", multinetwork.PodNetwork, kni.NetworkConfig)

_YOUNG = keeper.FRESH + 15
"""Seconds after which the Pod that asked for an attachment is in the list of Pods, or was refused."""
_WHOLE = 200
"""Characters of a name that are there in every name made from it, however long it is (names.hashed_name)."""


class InUseError(HeldError):
    """Pods use what an edit, or the end of a source, would take away: it stays as it was until they are gone."""


def of(origin: Source, objects: Objects, systems: Iterable[System]) -> Made:
    """What ``origin`` becomes while it lives: of a NetworkAttachmentDefinition that its system goes on reading not what
    the mirror makes of it anyway. Raises InvalidError."""
    kinds = translate.kinds(origin, objects, systems)
    made = base.merge(*(kind.translate(origin, objects) for kind in kinds))
    if origin.kind != legacy.KIND or not any(kind.stays for kind in kinds):
        return made
    mirrored = names.network(origin.namespace, origin.name)
    return replace(
        made,
        networks=tuple(one for one in made.networks if one.metadata.name != mirrored),
        configs=tuple(one for one in made.configs if one.metadata.name != mirrored),
    )


class Making:
    """Writes native objects. Methods raise InUseError, HeldError, BusyError and KubeError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pods = usage.Pods(store.client)

    async def ensure(self, made: Made) -> None:
        """What is in ``made`` is there, and as it says."""
        for config in made.configs:
            await self._config(config)
        for network in made.networks:
            await self._network(network)

    async def tidy(self, source: str, made: Made) -> None:
        """Remove what was made from ``source`` and is not in ``made`` any more."""
        networks = [one for one in self._store.networks_of(source) if _is_left(source, one, made.networks)]
        networks += [one for left in networks for one in self._store.networks_of(f"PodNetwork {left.metadata.name}")]
        if networks and await self._used(networks):
            raise InUseError(f"cannot remove {_listed(networks)}: {source} makes it no more, but Pods use it")
        await self._delete(networks)
        for config in self._store.configs_of(source):
            if _is_left(source, config, made.configs) and not self._store.networks_on(config.metadata.name):
                await self._store.delete_unchanged(config)

    async def _config(self, wanted: kni.NetworkConfig) -> None:
        found = await self._there(self._store.configs, wanted)
        if found is None or found.spec == wanted.spec:
            return
        if settle.can_change(found.spec, wanted.spec):
            await self._store.replace(settle.changed(found, wanted))
            return
        await self._renew(found, "addresses or datapath", self._store.networks_on(found.metadata.name))

    async def _network(self, wanted: multinetwork.PodNetwork) -> None:
        found = await self._there(self._store.networks, wanted)
        if found is not None and kni.config_name(found) != kni.config_name(wanted):
            await self._renew(found, f"the NetworkConfig, {kni.config_name(wanted)}", [found])

    async def _there(self, cache: Cache[T], wanted: T) -> T | None:
        """What has the name of ``wanted`` and its source; None where ``wanted`` has just been made, or where somebody
        made one by hand: it is theirs."""
        name = wanted.metadata.name
        found = cache.get(name)
        if found is None:
            try:
                cache.learn(await self._store.client.create(wanted))
                return None
            except AlreadyExistsError:
                found = await self._store.client.get(type(wanted), name)
                cache.learn(found)
        if not made_from(found):
            return None
        if made_from(found) != made_from(wanted):
            other = f"{wanted.resource.kind} {name} was made from {made_from(found)}"
            raise HeldError(f"cannot translate {made_from(wanted)}: {other}; rename one of them")
        if found.metadata.deletion_timestamp is not None:
            raise BusyError(f"cannot translate {made_from(wanted)} at once: {wanted.resource.kind} {name} is removed")
        return found

    async def _renew(
        self, found: multinetwork.PodNetwork | kni.NetworkConfig, what: str, networks: list[multinetwork.PodNetwork]
    ) -> NoReturn:
        """Delete ``found`` and the PodNetworks that stand on it, so that they are made anew."""
        source, subject = made_from(found), f"{found.resource.kind} {found.metadata.name}"
        if theirs := [one for one in networks if not made_from(one)]:
            raise HeldError(f"cannot follow the edit of {source}: {_listed(theirs)} of somebody else is on {subject}")
        if networks and await self._used(networks):
            held = f"Pods use {_listed(networks)}, which stays as it was until they are gone"
            raise InUseError(f"cannot follow the edit of {source}, which changes {what} of {subject}: {held}")
        await self._delete(networks)
        if isinstance(found, kni.NetworkConfig):
            await self._store.delete_unchanged(found)
        raise BusyError(f"cannot translate {source} at once: an edit replaces {subject}")

    async def _delete(self, networks: list[multinetwork.PodNetwork]) -> None:
        """Delete PodNetworks that no Pod uses; generated attachments to them would hold them for long, so they go
        first, but not those for which a Pod may be on its way."""
        chosen = {network.metadata.name for network in networks}
        held = [
            one for one in self._store.attachments if one.spec.pod_network_name in chosen and collector.generated(one)
        ]
        if any(keeper.age(one) < _YOUNG for one in held):
            raise BusyError(f"cannot remove {_listed(networks)} at once: a Pod asked for an attachment a moment ago")
        for attachment in held:
            await self._store.delete_unchanged(attachment)
        for network in networks:
            await self._store.delete_unchanged(network)

    async def _used(self, networks: Iterable[multinetwork.PodNetwork]) -> bool:
        used = await self._pods.used(self._store.attachments)
        return any(network.metadata.name in used.networks for network in networks)


def _is_left(source: str, item: T, wanted: Iterable[T]) -> bool:
    """Whether ``item`` is not wanted any more. Of a NetworkAttachmentDefinition the mirror makes objects, too."""
    name, key = item.metadata.name, legacy.key_of(source)
    if key is not None and name.startswith(names.network(*key)[:_WHOLE]):
        return False
    return all(one.metadata.name != name for one in wanted)


def _listed(networks: Iterable[multinetwork.PodNetwork]) -> str:
    return "PodNetwork " + ", ".join(sorted(one.metadata.name for one in networks))
