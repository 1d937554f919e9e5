"""Admission of Pods with keys of other systems: they get their native list, or every reason why not.

Asked before ``podnet_compat.webhook`` about the same Pod: a list that is there is left alone by both. What the list
needs is made before the answer, as there. A foreign network is made native when the first Pod names it; an edit of it
later is told, not followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from msgspec import structs
from podnet_api import kni, multinetwork, networks
from podnet_api import names as api_names
from podnet_api.admission import Allow, Deny, Request
from podnet_api.errors import AlreadyExistsError, InvalidError, PodnetError
from podnet_api.kube import Cache

from podnet_compat import keeper, legacy
from podnet_compat.foreign.reading import Known, Reading
from podnet_compat.maker import HeldError
from podnet_compat.store import Store, made_from
from podnet_compat.systems import base, translate
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.genie import pods, status
from podnet_compat.systems.registry import System

T = TypeVar("T", multinetwork.PodNetwork, kni.NetworkConfig)
DEADLINE = 8.0
"""Seconds for one answer; kube-apiserver waits ten."""


class Foreign:
    """The handler. ``settings``: what no object says (``Objects.settings``)."""

    def __init__(self, store: Store, systems: Iterable[System], settings: Mapping[str, str]) -> None:
        self._store = store
        self._systems = tuple(systems)
        self._settings = settings
        self._reading = Reading(store, self._systems)

    async def mutate_pod(self, request: Request) -> Allow | Deny:
        """The Pod with its native list, or every fault.

        Raises PodnetError or TimeoutError when what the list needs cannot be read or made.
        """
        item = legacy.without_nulls(request.object)
        if api_names.NETWORKS_ANNOTATION in ((item.get("metadata") or {}).get("annotations") or {}):
            return Allow()
        try:
            async with asyncio.timeout(DEADLINE):
                await self._store.synced()
                made, known = await self._translated(item, request.namespace)
                said = await self._make(made, known, request.dry_run)
        except InvalidError as error:
            return Deny("Pod", request.name, error.faults)
        return Allow(_patch(made.listed) if made.listed else [], [*made.warnings, *said])

    async def genie_status(self, request: Request) -> Allow | Deny:
        """Genie's own status beside the network-status that is just being written, for who reads that."""
        meta = request.object.get("metadata") or {}
        annotations = meta.get("annotations") or {}
        made = status.preferences(annotations.get(api_names.NPWG_STATUS_ANNOTATION, ""))
        if made is None or annotations.get(pods.STATUS) == made:
            return Allow()
        return Allow([{"op": "add", "path": f"/metadata/annotations/{pods.STATUS}", "value": made}])

    async def _translated(self, item: Mapping[str, Any], namespace: str) -> tuple[Made, Known]:
        """Without a name, so that attachments are called by their content and replicas share them."""
        meta = {**item["metadata"], "namespace": namespace, "name": ""}
        pod = base.source({**item, "apiVersion": "v1", "kind": "Pod", "metadata": meta}, namespace)
        known = Known(self._settings)
        return await self._reading.run(
            lambda objects: translate.translate_pod(pod, objects, self._systems), known
        ), known

    async def _make(self, made: Made, known: Known, dry_run: bool) -> list[str]:
        """What the list needs; warnings."""
        wanted = {n.pod_network_name for n in made.listed} | {p.attachment.spec.pod_network_name for p in made.pairs}
        wanted |= {kni.config_name(network) for network in made.networks}
        whole = await self._reading.run(lambda objects: self._networks(known, objects, wanted), known)
        said = list(whole.warnings)
        if dry_run:
            return said
        for config in (*whole.configs, *made.configs):
            said += await self._ensure(self._store.configs, config)
        for network in (*whole.networks, *made.networks):
            said += await self._ensure(self._store.networks, network)
        for pair in made.pairs:
            await keeper.keep(self._store, pair)
        return said

    def _networks(self, known: Known, objects: Objects, wanted: set[str]) -> Made:
        """The native objects of those networks in ``wanted`` that foreign objects describe."""
        found = [self._network(origin, objects) for origin in known.read()]
        return base.merge(*(one for one in found if wanted & {item.metadata.name for item in one.networks}))

    def _network(self, origin: Source, objects: Objects) -> Made:
        """What is wrong with a network that the Pod needs was said when the Pod was translated."""
        kinds = translate.kinds(origin, objects, self._systems)
        try:
            return base.merge(*(kind.translate(origin, objects) for kind in kinds))
        except InvalidError:
            return Made()

    async def _ensure(self, cache: Cache[T], item: T) -> list[str]:
        """Make ``item`` unless it is there; a warning where it is there otherwise."""
        name = item.metadata.name
        found = cache.get(name)
        if found is None:
            try:
                cache.learn(await self._store.client.create(item))
                return []
            except AlreadyExistsError:
                found = await self._store.client.get(type(item), name)
        if not made_from(found):
            return []  # somebody made it by hand: it is theirs
        if made_from(found) != made_from(item):
            source = f"{item.resource.kind} {name} was made from {made_from(found)}"
            raise HeldError(f"cannot translate {made_from(item)}: {source}; rename one of them")
        if _content(found) == _content(item):
            return []
        return [f"{item.resource.kind} {name} is of an older {made_from(item)}: delete it for the change to be seen"]


def _content(item: multinetwork.PodNetwork | kni.NetworkConfig) -> object:
    return structs.replace(item.spec, enabled=True) if isinstance(item, multinetwork.PodNetwork) else item.spec


def _patch(listed: tuple[networks.Network, ...]) -> list[dict[str, Any]]:
    """The list; the Pod has other annotations, or nobody had asked us."""
    path = "/metadata/annotations/" + api_names.NETWORKS_ANNOTATION.replace("~", "~0").replace("/", "~1")
    return [{"op": "add", "path": path, "value": networks.encode(listed)}]


def chosen(text: str, known: Iterable[System]) -> tuple[System, ...]:
    """The systems of ``known`` that ``text``, a comma list, names. Raises PodnetError for any other name."""
    by_name = {system.name: system for system in known if system.pods is not None}
    wanted = [one.strip() for one in text.split(",") if one.strip()]
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise PodnetError(f"cannot translate Pods of {', '.join(unknown)}: known are {', '.join(sorted(by_name))}")
    return tuple(by_name[name] for name in dict.fromkeys(wanted))
