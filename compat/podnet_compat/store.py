"""What compat knows of the API: watch caches of NADs and of the native kinds, and the writes on them.

``mirror``, ``keeper``, ``collector`` and ``webhook`` share one Store. Its reads cost nothing; each write
raises KubeError and is bounded by the client's deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
from podnet_api import kni, multinetwork
from podnet_api import names as api_names
from podnet_api.errors import ConflictError, KubeError, NotFoundError
from podnet_api.kube import Cache, Client
from podnet_api.meta import Kind, manifest

from podnet_compat import legacy, names, settle, sharing
from podnet_compat.legacy import GROUP, Nad

log = logging.getLogger(__name__)
K = TypeVar("K", bound=Kind)

_CRD_RETRY = 10.0


class Index(Generic[K]):
    """The objects of a cache by a key of their own: looking through 10,000 for each of 10,000 takes minutes."""

    def __init__(self, cache: Cache[K], key: Callable[[K], str]) -> None:
        self._key = key
        self._keys: dict[tuple[str, str], str] = {}
        self._found: defaultdict[str, dict[tuple[str, str], K]] = defaultdict(dict)
        cache.listen(self._changed)

    def of(self, key: str) -> list[K]:
        """What has ``key``."""
        return list(self._found[key].values()) if key in self._found else []

    def _changed(self, old: K | None, new: K | None) -> None:
        if old is not None:
            key = self._keys.pop(_name(old))
            self._found[key].pop(_name(old))
            if not self._found[key]:
                del self._found[key]
        if new is not None:
            key = self._keys[_name(new)] = self._key(new)
            self._found[key][_name(new)] = new


class Store:
    """The caches; ``run`` feeds them until cancelled. ``attach_with``: what holds for NADs that do not say it."""

    def __init__(self, client: Client, attach_with: str = names.NATIVE) -> None:
        self.client = client
        self._attach_with = attach_with
        self.nads = Cache(client, Nad, change=self._told)
        self.networks = Cache(client, multinetwork.PodNetwork)
        self.configs = Cache(client, kni.NetworkConfig)
        self.attachments = Cache(client, multinetwork.PodNetworkAttachment)
        self.parameters = Cache(client, kni.AttachmentConfig, labelSelector=names.SELECTOR)
        self.stores = sharing.Stores()
        self.nads.listen(self.stores.changed)
        self._networks_of = Index(self.networks, made_from)
        self._networks_on = Index(self.networks, kni.config_name)
        self._configs_of = Index(self.configs, made_from)
        self._equal = Index(self.configs, lambda config: settle.content(config.spec) if made_from(config) else "")

    async def run(self) -> None:
        """Feed the caches. A cluster without the kind NetworkAttachmentDefinition is waited for."""
        async with asyncio.TaskGroup() as group:
            for cache in (self.networks, self.configs, self.attachments, self.parameters):
                group.create_task(cache.run())
            await self._nads_served()
            group.create_task(self.nads.run())

    async def synced(self) -> None:
        """Wait until every cache but that of NADs is filled."""
        for cache in (self.networks, self.configs, self.attachments, self.parameters):
            await cache.synced.wait()

    async def nad(self, namespace: str, name: str) -> Nad | None:
        """One NAD, from the API when the cache lacks it: it may be a moment old. Raises KubeError."""
        cached = self.nads.get(name, namespace)
        if cached is not None:
            return cached
        try:
            return self._told(await self.client.get(Nad, name, namespace))
        except NotFoundError:
            return None

    def _told(self, nad: Nad) -> Nad:
        return nad if self._attach_with == names.NATIVE else legacy.told(nad, self._attach_with)

    def networks_of(self, source: str) -> list[multinetwork.PodNetwork]:
        """The PodNetworks that were made from ``source``."""
        return self._networks_of.of(source)

    def networks_on(self, config: str) -> list[multinetwork.PodNetwork]:
        """The PodNetworks, whoever made them, that stand on NetworkConfig ``config``."""
        return self._networks_on.of(config)

    def configs_of(self, source: str) -> list[kni.NetworkConfig]:
        """The NetworkConfigs that were made from ``source``."""
        return self._configs_of.of(source)

    def equal(self, spec: kni.NetworkConfigSpec) -> list[kni.NetworkConfig]:
        """The NetworkConfigs that compat made and that say ``spec``."""
        return self._equal.of(settle.content(spec))

    async def replace(self, item: kni.NetworkConfig) -> None:
        """Write ``item`` over what has its name and resource version. Raises ConflictError."""
        path = item.resource.path(name=item.metadata.name)
        body = await self.client.request("PUT", path, body=msgspec.json.encode(manifest(item)))
        self.configs.learn(msgspec.json.decode(body, type=kni.NetworkConfig))

    async def annotate(self, nad: Nad, key: str, value: str | None) -> None:
        """Write an annotation of ours on ``nad`` (None: take it away), unless that is gone or has changed: then it is
        looked at again."""
        meta = nad.metadata
        patch = {"metadata": {"resourceVersion": meta.resource_version, "annotations": {key: value}}}
        with contextlib.suppress(ConflictError, NotFoundError):
            await self.client.merge(Nad.resource, meta.name, patch, namespace=meta.namespace)

    async def delete_unchanged(self, item: Kind) -> bool:
        """Delete ``item`` if it is still as we know it; whether it was."""
        meta = item.metadata
        condition = {"preconditions": {"uid": meta.uid, "resourceVersion": meta.resource_version}}
        path = item.resource.path(meta.namespace, meta.name)
        try:
            await self.client.request("DELETE", path, body=msgspec.json.encode(condition))
        except NotFoundError:
            return True
        except ConflictError:
            return False
        log.info("deleted %s %s, which nothing uses", item.resource.kind, f"{meta.namespace}/{meta.name}".strip("/"))
        return True

    async def _nads_served(self) -> None:
        told = False
        while True:
            try:
                await self.client.request("GET", f"/apis/{GROUP}/v1")
            except KubeError as error:
                if not told:
                    log.info("waiting for the kind NetworkAttachmentDefinition: %s", error)
                told = True
                await asyncio.sleep(_CRD_RETRY)
            else:
                return


def _name(item: Kind) -> tuple[str, str]:
    return item.metadata.namespace, item.metadata.name


def made_from(item: Kind) -> str:
    """The source of an object that compat made; "" for any other object."""
    ours = item.metadata.labels.get(api_names.GENERATED_BY_LABEL) == names.COMPAT
    return item.metadata.annotations.get(api_names.SOURCE_ANNOTATION, "") if ours else ""
