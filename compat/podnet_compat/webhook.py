"""Admission: Pods with legacy annotations get their native list; NADs get warnings.

``main`` serves both. ``mutate_pod`` is safe to repeat (reinvocation): it knows its own list by a mark and
leaves one of the user's alone. Whatever the list needs is made before the answer, so that the Pod finds it.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from podnet_api import core, networks
from podnet_api import names as api_names
from podnet_api.admission import Allow, Deny, Request
from podnet_api.errors import InvalidError, NotFoundError

from podnet_compat import injection, keeper, legacy, names
from podnet_compat import nad as nads
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad
from podnet_compat.maker import BusyError, Maker
from podnet_compat.migrate import addressing, kept, takeover
from podnet_compat.store import Store

DEADLINE = 8.0
"""Seconds for one answer; kube-apiserver waits ten."""
_TRIES, _PAUSE = 20, 0.2


class Webhook:
    """The handlers."""

    def __init__(self, store: Store, maker: Maker, policy: pods.Policy) -> None:
        self._store = store
        self._maker = maker
        self._policy = policy

    async def mutate_pod(self, request: Request) -> Allow | Deny:
        """The Pod with its native list, or every fault of its annotation.

        Raises PodnetError or TimeoutError when what the list needs cannot be made.
        """
        pod = msgspec.convert(legacy.without_nulls(request.object), core.Pod)
        annotations = pod.metadata.annotations
        ours, created = pods.is_ours(annotations), request.operation != "UPDATE"
        if api_names.NETWORKS_ANNOTATION in annotations and not ours:
            return Allow(warnings=_not_ours(annotations))
        if not (created or ours):
            return Allow()  # whoever attached this Pod, it was not us
        try:
            async with asyncio.timeout(DEADLINE):
                made = await self._translated(pod, request.namespace)
                if not request.dry_run:
                    await self._make(made)
        except InvalidError as error:
            return Deny("Pod", request.name, error.faults)
        devices = self._injected(request, made) if created else []
        listed = made.networks or (() if created else pods.ONLY_DEFAULT)
        return Allow([*_patch(listed), *devices] if listed else [], list(made.warnings))

    async def take_pod(self, request: Request) -> Allow | Deny:
        """As ``mutate_pod``, for a namespace that podnet has taken over while Multus still runs: what Multus reads
        moves out of its sight, and a member of a StatefulSet asks for the addresses that it had.

        Raises PodnetError or TimeoutError when what the list needs cannot be made.
        """
        item = legacy.without_nulls(request.object)
        pod = msgspec.convert(item, core.Pod)
        annotations = pod.metadata.annotations
        edited = request.operation == "UPDATE"  # it may be a Pod that Multus attached
        if edited or takeover.inert(item) or not any(key in annotations for key in names.MOVED):
            return Allow()
        if faults := takeover.faults(annotations):
            return Deny("Pod", request.name, faults)
        if api_names.NETWORKS_ANNOTATION in annotations:
            return Allow(takeover.patch(annotations, ()), _not_ours(annotations))
        try:
            async with asyncio.timeout(DEADLINE):
                made = await self._taken(pod, request)
                if not request.dry_run:
                    await self._make(made)
        except InvalidError as error:
            return Deny("Pod", request.name, error.faults)
        devices = self._injected(request, made)
        return Allow([*takeover.patch(annotations, made.networks), *devices], list(made.warnings))

    def _injected(self, request: Request, made: pods.Translation) -> list[dict[str, Any]]:
        if not self._policy.inject:
            return []
        return injection.patch(request.object, made.resources, pages=self._policy.pages)

    async def validate_nad(self, request: Request) -> Allow | Deny:
        """Warnings only: another implementation may well have a use for what we cannot translate."""
        try:
            made = nads.translate(legacy.nad(request.object, request.namespace))
        except InvalidError as error:
            return Allow(warnings=[f"not translated for podnet: {fault}" for fault in error.faults])
        return Allow(warnings=list(made.warnings))

    async def _translated(self, pod: core.Pod, namespace: str) -> pods.Translation:
        wanted = pods.read(pod, namespace, self._policy)
        found = await self._nads(pods.further_candidates(wanted.all))
        return pods.translate(wanted, lambda space, name: found.get((space, name)))

    async def _taken(self, pod: core.Pod, request: Request) -> pods.Translation:
        """The translation of ``pod``, with the addresses that it had where its NADs can be asked for them."""
        namespace = request.namespace
        wanted = pods.read(pod, namespace, self._policy)
        found = await self._nads(pods.further_candidates(wanted.all))
        had = await self._had(pod, namespace)
        asked = kept.asked_for(wanted, [one for one in had if _gives(found, one)])
        try:
            return pods.translate(asked, lambda space, name: found.get((space, name)))
        except InvalidError:
            # What the user wrote must not fail on what we add to it: the NAD may be another by now.
            return pods.translate(wanted, lambda space, name: found.get((space, name)))

    async def _had(self, pod: core.Pod, namespace: str) -> tuple[kept.Had, ...]:
        owners = pod.metadata.owner_references
        if not any(owner.kind == "StatefulSet" and owner.controller for owner in owners):
            return ()
        try:
            records = await self._store.client.get(kept.Records, kept.NAME, namespace)
        except NotFoundError:
            return ()
        return kept.read(records.data.get(pod.metadata.name, "[]"))

    async def _nads(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Nad]:
        found = {key: await self._store.nad(*key) for key in sorted(keys)}
        return {key: nad for key, nad in found.items() if nad is not None}

    async def _make(self, made: pods.Translation) -> None:
        if made.networks:
            await self._store.synced()
        for nad in made.nads:
            if self._store.networks.get(names.network(*nad.key)) is None:
                await patiently(functools.partial(self._maker.ensure, nad))
        for further in made.further:
            await patiently(functools.partial(self._maker.further, further.nad, further.name))
        for pair in made.attachments:
            await keeper.keep(self._store, pair)


async def patiently(make: Callable[[], Awaitable[object]]) -> None:
    """``make``, again and again for a while as long as it is only too early."""
    for _ in range(_TRIES):
        try:
            await make()
        except BusyError:
            await asyncio.sleep(_PAUSE)
        else:
            return
    await make()


def _not_ours(annotations: dict[str, str]) -> list[str]:
    legacy_keys = [key for key in (names.NETWORKS, names.DEFAULT_NETWORK) if annotations.get(key)]
    message = f"has no effect beside {api_names.NETWORKS_ANNOTATION}, which the Pod has already"
    return [f"metadata.annotations[{key}]: {message}" for key in legacy_keys]


def _gives(found: dict[tuple[str, str], Nad], had: kept.Had) -> bool:
    namespace, _, name = had.network.partition("/")
    nad = found.get((namespace, name))
    return nad is not None and addressing.of(nad).gives(had.ips)


def _patch(listed: tuple[networks.Network, ...]) -> list[dict[str, Any]]:
    """Our two annotations. The Pod has others, or it would not be here."""
    values = {api_names.NETWORKS_ANNOTATION: networks.encode(listed), names.TRANSLATED: pods.mark(listed)}
    return [{"op": "add", "path": takeover.pointer(key), "value": value} for key, value in values.items()]
