"""What compat knows of the API: watch caches of NADs and of the native kinds, and the writes on them.

``mirror``, ``keeper``, ``collector`` and ``webhook`` share one Store. Its reads cost nothing; each write
raises KubeError and is bounded by the client's deadline.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TypeVar

import msgspec
from podnet_api import kni, multinetwork
from podnet_api import names as api_names
from podnet_api.errors import ConflictError, KubeError, NotFoundError
from podnet_api.kube import Cache, Client, manifest
from podnet_api.kube.client import Kind

from podnet_compat import names
from podnet_compat.legacy import GROUP, Nad

log = logging.getLogger(__name__)
K = TypeVar("K", bound=Kind)

_CRD_RETRY = 10.0


class Store:
    """The caches; ``run`` feeds them until cancelled."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.nads = Cache(client, Nad)
        self.networks = Cache(client, multinetwork.PodNetwork)
        self.configs = Cache(client, kni.NetworkConfig)
        self.attachments = Cache(client, multinetwork.PodNetworkAttachment)
        self.parameters = Cache(client, kni.AttachmentConfig, labelSelector=names.SELECTOR)

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
            return await self.client.get(Nad, name, namespace)
        except NotFoundError:
            return None

    def networks_of(self, source: str) -> list[multinetwork.PodNetwork]:
        """The PodNetworks that were made from ``source``."""
        return [item for item in self.networks if made_from(item) == source]

    def networks_on(self, config: str) -> list[multinetwork.PodNetwork]:
        """The PodNetworks, whoever made them, that stand on NetworkConfig ``config``."""
        return [item for item in self.networks if kni.config_name(item) == config]

    async def replace(self, item: kni.NetworkConfig) -> None:
        """Write ``item`` over what has its name and resource version. Raises ConflictError."""
        path = item.resource.path(name=item.metadata.name)
        body = await self.client.request("PUT", path, body=msgspec.json.encode(manifest(item)))
        self.configs.learn(msgspec.json.decode(body, type=kni.NetworkConfig))

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


def made_from(item: Kind) -> str:
    """The source of an object that compat made; "" for any other object."""
    ours = item.metadata.labels.get(api_names.GENERATED_BY_LABEL) == names.COMPAT
    return item.metadata.annotations.get(api_names.SOURCE_ANNOTATION, "") if ours else ""
