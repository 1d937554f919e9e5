"""Admission of Pods with keys of other systems: they get their native list, or every reason why not.

Asked before ``podnet_compat.webhook`` about the same Pod: a list that is there is left alone by both. What the list
needs is made before the answer, as there, also where ``following`` did not come to it yet.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable, Mapping
from typing import Any

from podnet_api import kni, networks
from podnet_api import names as api_names
from podnet_api.admission import Allow, Deny, Request
from podnet_api.errors import InvalidError, PodnetError

from podnet_compat import keeper, legacy, webhook
from podnet_compat.foreign import making
from podnet_compat.foreign.reading import Known, Reading
from podnet_compat.store import Store
from podnet_compat.systems import base, translate
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.genie import pods, status
from podnet_compat.systems.registry import System

DEADLINE = 8.0
"""Seconds for one answer; kube-apiserver waits ten."""


class Foreign:
    """The handler. ``settings``: what no object says (``Objects.settings``)."""

    def __init__(self, store: Store, systems: Iterable[System], settings: Mapping[str, str], reading: Reading) -> None:
        self._store = store
        self._systems = tuple(systems)
        self._settings = settings
        self._reading = reading
        self._making = making.Making(store)

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
        parts = await self._reading.run(lambda objects: self._networks(known, objects, wanted), known)
        said = [warning for part in parts for warning in part.warnings]
        if dry_run:
            return said
        for part in (*parts, made):
            try:
                await webhook.patiently(functools.partial(self._making.ensure, part))
            except making.InUseError as error:
                said.append(str(error))
        for pair in made.pairs:
            await keeper.keep(self._store, pair)
        return said

    def _networks(self, known: Known, objects: Objects, wanted: set[str]) -> list[Made]:
        """The native objects of those networks in ``wanted`` that foreign objects describe. Of the many NADs that may
        be known none is looked at as long as nothing is missing: they are followed."""
        missing = [name for name in wanted if self._store.networks.get(name) is None]
        found = [self._network(origin, objects) for origin in known.read() if missing or origin.kind != legacy.KIND]
        return [one for one in found if wanted & {item.metadata.name for item in one.networks}]

    def _network(self, origin: Source, objects: Objects) -> Made:
        """What is wrong with a network that the Pod needs was said when the Pod was translated."""
        try:
            return making.of(origin, objects, self._systems)
        except InvalidError:
            return Made()


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
