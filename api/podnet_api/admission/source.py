"""Where a webhook's certificate comes from: made by itself, or put into a directory by others (cert-manager).

Own makes it, shares it with the other replicas in a Secret and keeps its CA in the webhook configurations.
Directory reads tls.crt and tls.key again and again; the caBundle is then the business of who wrote them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from podnet_api.admission import registration, secret
from podnet_api.admission.certificates import CertificateError, Certificates
from podnet_api.kube.client import Client

_LOOK_SECONDS = 5.0


class Source(Protocol):
    """Gives the certificate to serve with."""

    changed: asyncio.Event
    """Set when it is worth asking again before the usual time."""

    async def watch(self, group: asyncio.TaskGroup) -> None:
        """Begin to look for changes; return once the first answer can be given."""
        ...

    async def current(self) -> Certificates:
        """The certificate, trusted by API servers. Raises KubeError or CertificateError: ask again soon."""
        ...


class Own:
    """See Source."""

    def __init__(self, store: secret.Store, configurations: registration.Registration) -> None:
        self._store = store
        self._registration = configurations
        self.changed = configurations.changed

    async def watch(self, group: asyncio.TaskGroup) -> None:
        """See Source."""
        group.create_task(self._registration.mutating.run())
        group.create_task(self._registration.validating.run())
        await self._registration.mutating.synced.wait()
        await self._registration.validating.synced.wait()

    async def current(self) -> Certificates:
        """See Source."""
        found = await self._store.current()
        await self._registration.put(found.authorities)
        return found


class Directory:
    """See Source. The kubelet changes the files of a mounted Secret all at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: Certificates | None = None
        self.changed = asyncio.Event()

    async def watch(self, group: asyncio.TaskGroup) -> None:
        """See Source."""
        group.create_task(self._look(), name="certificate files")

    async def _look(self) -> None:
        """Every few seconds: who wrote the files may already have taken the old certificate's caBundle away."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            with contextlib.suppress(CertificateError):  # told by current(), again and again
                if await asyncio.to_thread(self._files) != self._read:
                    self.changed.set()

    async def current(self) -> Certificates:
        """See Source."""
        self.changed.clear()
        self._read = await asyncio.to_thread(self._files)
        return self._read

    def _files(self) -> Certificates:
        try:
            return Certificates(b"", (self._path / "tls.crt").read_bytes(), (self._path / "tls.key").read_bytes())
        except OSError as error:
            raise CertificateError(f"cannot read the certificate in {self._path}: {error}") from error


def choose(
    client: Client, service: str, namespace: str, name: str, configurations: Sequence[str], directory: Path | None
) -> Source:
    """Directory where one is given, else Own with the Secret ``name``."""
    if directory is not None:
        return Directory(directory)
    return Own(secret.Store(client, service, namespace, name), registration.Registration(client, configurations))
