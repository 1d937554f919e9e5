"""``clientConfig.caBundle`` in webhook configurations: put there, and put back when somebody resets it.

The manifests carry no bundle, because it is made at run time. Without it kube-apiserver cannot verify the
webhook, and with failurePolicy Fail no Pod with networks could be created: hence the watch.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Sequence
from typing import Any, ClassVar

from podnet_api.errors import ConflictError, KubeError, NotFoundError
from podnet_api.kube.cache import Cache
from podnet_api.kube.client import Client
from podnet_api.meta import Model, ObjectMeta, Resource

log = logging.getLogger(__name__)

_GROUP = "admissionregistration.k8s.io"


class ClientConfig(Model, frozen=True, kw_only=True):
    """How kube-apiserver verifies the webhook."""

    ca_bundle: str = ""


class Webhook(Model, frozen=True, kw_only=True):
    """One webhook of a configuration."""

    name: str
    client_config: ClientConfig = ClientConfig()


class MutatingWebhookConfiguration(Model, frozen=True, kw_only=True):
    """Webhooks that change objects."""

    resource: ClassVar[Resource] = Resource(
        "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", _GROUP, "v1", False
    )

    metadata: ObjectMeta
    webhooks: list[Webhook] = []


class ValidatingWebhookConfiguration(Model, frozen=True, kw_only=True):
    """Webhooks that accept or refuse objects."""

    resource: ClassVar[Resource] = Resource(
        "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", _GROUP, "v1", False
    )

    metadata: ObjectMeta
    webhooks: list[Webhook] = []


Configuration = MutatingWebhookConfiguration | ValidatingWebhookConfiguration


class Registration:
    """The configurations called ``names``, of either kind."""

    def __init__(self, client: Client, names: Sequence[str]) -> None:
        self._client = client
        self._names = frozenset(names)
        self.mutating = Cache(client, MutatingWebhookConfiguration)
        self.validating = Cache(client, ValidatingWebhookConfiguration)
        self.changed = asyncio.Event()
        """Set whenever one of them changes."""
        self.mutating.listen(lambda old, new: self._notice(new))
        self.validating.listen(lambda old, new: self._notice(new))

    def _notice(self, new: Configuration | None) -> None:
        if new is not None and new.metadata.name in self._names:
            self.changed.set()

    async def put(self, authorities: bytes) -> None:
        """Write ``authorities`` (PEM) wherever something else stands.

        Raises KubeError when that fails; a configuration that is absent or just changing is left to the
        next change.
        """
        self.changed.clear()
        bundle = base64.b64encode(authorities).decode()
        for item in [*self.mutating, *self.validating]:
            if item.metadata.name in self._names and (patch := patch_for(item, bundle)):
                await self._patch(item, patch)
        for name in sorted(self._names - {item.metadata.name for item in [*self.mutating, *self.validating]}):
            log.warning("cannot register webhook configuration %s: it does not exist yet", name)

    async def _patch(self, item: Configuration, patch: list[dict[str, Any]]) -> None:
        try:
            await self._client.json_patch(item.resource, item.metadata.name, patch)
        except (NotFoundError, ConflictError) as error:
            log.info("%s; waiting for its next change", error)
        except KubeError as error:
            if error.code != 422:  # a `test` that fails: the list of webhooks has changed meanwhile
                raise
            log.info("%s; waiting for its next change", error)
        else:
            log.info("%s %s has our caBundle", item.resource.kind, item.metadata.name)


def patch_for(item: Configuration, bundle: str) -> list[dict[str, Any]]:
    """JSON patch that puts ``bundle`` into each webhook that lacks it."""
    patch: list[dict[str, Any]] = []
    for i, webhook in enumerate(item.webhooks):
        if webhook.client_config.ca_bundle != bundle:
            patch.append({"op": "test", "path": f"/webhooks/{i}/name", "value": webhook.name})
            patch.append({"op": "add", "path": f"/webhooks/{i}/clientConfig/caBundle", "value": bundle})
    return patch
