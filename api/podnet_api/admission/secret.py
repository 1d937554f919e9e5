"""The Secret in which the replicas of a webhook share their certificates.

Whoever comes first creates it, everybody else adopts it; a conflict means that another replica was
quicker, and its certificates are as good as ours.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import logging
from typing import ClassVar

from podnet_api.admission import certificates
from podnet_api.errors import AlreadyExistsError, ConflictError, NotFoundError
from podnet_api.kube.client import Client
from podnet_api.meta import Model, ObjectMeta, Resource

log = logging.getLogger(__name__)


class Secret(Model, frozen=True, kw_only=True):
    """A Secret."""

    resource: ClassVar[Resource] = Resource("Secret", "secrets", "", "v1", True)

    metadata: ObjectMeta
    type: str = "Opaque"
    data: dict[str, str] = {}


class Store:
    """The certificates of ``service``, in the Secret ``name`` of ``namespace``."""

    def __init__(self, client: Client, service: str, namespace: str, name: str) -> None:
        self._client = client
        self._service = service
        self._namespace = namespace
        self._name = name

    async def current(self) -> certificates.Certificates:
        """Certificates that are good for some time yet; made or renewed when there are none.

        Raises KubeError when the Secret cannot be read or written.
        """
        try:
            found = await self._client.get(Secret, self._name, self._namespace)
        except NotFoundError:
            return await self._create()
        read = self._read(found)
        now = datetime.datetime.now(datetime.UTC)
        if read is not None and read.usable(self._service, self._namespace, now):
            return read
        return await self._renew(found, read.authorities if read else b"")

    def _read(self, found: Secret) -> certificates.Certificates | None:
        try:
            data = {key: base64.b64decode(value, validate=True) for key, value in found.data.items()}
            return certificates.from_data(data)
        except (certificates.CertificateError, binascii.Error) as error:
            log.warning("Secret %s/%s is made anew: %s", self._namespace, self._name, error)
            return None

    def _make(self, earlier: bytes = b"") -> certificates.Certificates:
        return certificates.make(self._service, self._namespace, datetime.datetime.now(datetime.UTC), earlier)

    async def _create(self) -> certificates.Certificates:
        made = self._make()
        meta = ObjectMeta(name=self._name, namespace=self._namespace)
        try:
            await self._client.create(Secret(metadata=meta, type="kubernetes.io/tls", data=_encoded(made)))
        except AlreadyExistsError:
            log.info("Secret %s/%s: another replica was first", self._namespace, self._name)
            return await self.current()
        log.info("Secret %s/%s created, valid until %s", self._namespace, self._name, made.expires)
        return made

    async def _renew(self, old: Secret, earlier: bytes) -> certificates.Certificates:
        made = self._make(earlier)
        patch = {"metadata": {"resourceVersion": old.metadata.resource_version}, "data": _encoded(made)}
        try:
            await self._client.merge(Secret.resource, self._name, patch, namespace=self._namespace)
        except ConflictError:
            log.info("Secret %s/%s: another replica renewed it", self._namespace, self._name)
            return await self.current()
        log.info("Secret %s/%s renewed, valid until %s", self._namespace, self._name, made.expires)
        return made


def _encoded(made: certificates.Certificates) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in made.to_data().items()}
