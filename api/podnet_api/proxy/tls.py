"""The certificate that the proxy shows, and the authorities whose client certificates it accepts.

The certificate is either a pair of files, read again when they change (cert-manager, kubeadm), or made by the program
and kept in a Secret that its replicas share.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from podnet_api.admission import certificates, secret
from podnet_api.errors import KubeError, PodnetError
from podnet_api.kube import trust

log = logging.getLogger(__name__)

REFRESH = 60.0
_RETRY = 2.0

Load = Callable[[], Awaitable[bool]]
"""Loads the certificate if it is another one by now; False: to be tried again soon."""


class TlsError(PodnetError):
    """No usable certificate."""


def context(client_authority: str = "") -> ssl.SSLContext:
    """A server's; a client certificate of ``client_authority`` (path of a PEM file) is asked for, not required."""
    made = trust.context(ssl.Purpose.CLIENT_AUTH)
    made.set_alpn_protocols(["http/1.1"])
    if client_authority:
        made.load_verify_locations(cafile=client_authority)
        made.verify_mode = ssl.CERT_OPTIONAL
    return made


def vouching(authority: ssl.SSLContext, certificate: str, key: str) -> ssl.SSLContext:
    """``authority``, which trusts the API server, with the certificate of a request-header proxy."""
    made = trust.context()
    made.load_verify_locations(cadata=b"".join(authority.get_ca_certs(binary_form=True)))
    made.load_cert_chain(certificate, key)
    return made


def from_files(tls: ssl.SSLContext, certificate: Path, key: Path) -> Load:
    """Serve with a pair of files."""
    seen: list[bytes] = []

    async def load() -> bool:
        try:
            found = await asyncio.to_thread(_read, certificate, key)
            if found != seen:
                tls.load_cert_chain(certificate, key)
                seen[:] = found
        except (OSError, ssl.SSLError) as error:
            if not seen:
                raise TlsError(f"cannot read the certificate {certificate}: {error}") from error
            log.warning("cannot read the certificate %s again: %s", certificate, error)
            return False
        return True

    return load


def _read(*paths: Path) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def from_secret(tls: ssl.SSLContext, store: secret.Store) -> Load:
    """Serve with the certificate in a Secret, made and renewed as needed."""
    seen: list[certificates.Certificates] = []

    async def load() -> bool:
        try:
            found = await store.current()
        except KubeError as error:
            log.warning("%s; again soon", error)
            return False
        if [found] != seen:
            found.load_into(tls)
            seen[:] = [found]
        return True

    return load


async def first(load: Load) -> None:
    """Until there is a certificate."""
    while True:
        if await load():
            return
        await asyncio.sleep(_RETRY)


async def keep(load: Load) -> None:
    """Look again, for ever."""
    fresh = True
    while True:
        await asyncio.sleep(REFRESH if fresh else _RETRY)
        fresh = await load()
