"""serve: an admission webhook from certificates to answers, until cancelled.

Order: certificates are had (or made) -> the caBundle is in the configurations -> the port is opened ->
/readyz says yes. The same three steps are repeated whenever a configuration changes, and every minute.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiohttp import web

from podnet_api.admission import app, certificates, source
from podnet_api.admission.review import Handler
from podnet_api.errors import KubeError
from podnet_api.kube.client import Client

log = logging.getLogger(__name__)

REFRESH = 60.0
"""Seconds after which the Secret is looked at again."""
LINGER = 3.0
"""Seconds that the port stays open after the end was asked for: kube-apiserver may not know it yet, and
does not try a refused connection again."""
_RETRY = 2.0
_SPREAD = 2.0
"""Seconds for a new CA to reach every API server before a certificate of it is shown."""


async def serve(
    client: Client,
    *,
    service: str,
    namespace: str,
    port: int,
    secret: str,
    configurations: Sequence[str],
    handlers: Mapping[str, Handler],
    directory: Path | None = None,
) -> None:
    """Answer AdmissionReviews on ``port`` by ``handlers`` (path -> handler) until cancelled.

    The certificate is for the Service ``service`` of ``namespace`` and kept in the Secret ``secret``, which
    replicas share; its CA is kept in the webhook ``configurations`` of these names (mutating and
    validating). With ``directory``, tls.crt and tls.key there are served instead, and caBundles are left to
    whoever puts them there (cert-manager). A lost API server is waited for; a port that is taken raises OSError.
    """
    await _Server(source.choose(client, service, namespace, secret, configurations, directory)).run(port, handlers)


class _Server:
    def __init__(self, certificates_from: source.Source) -> None:
        self._source = certificates_from
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._loaded: certificates.Certificates | None = None
        self._ready = False

    async def run(self, port: int, handlers: Mapping[str, Handler]) -> None:
        runner = web.AppRunner(app.build(handlers, lambda: self._ready), access_log=None)
        try:
            async with asyncio.TaskGroup() as group:
                await self._source.watch(group)
                await self._until_refreshed()
                await runner.setup()
                await web.TCPSite(runner, port=port, ssl_context=self._tls).start()
                self._ready = True
                log.info("serving %s on port %d", ", ".join(sorted(handlers)), port)
                group.create_task(self._keep_fresh())
        except* OSError as errors:
            raise errors.exceptions[0] from None
        finally:
            await self._close(runner)

    async def _until_refreshed(self) -> None:
        while True:
            if await self._refreshed():
                return
            await asyncio.sleep(_RETRY)

    async def _keep_fresh(self) -> None:
        fresh = True
        while True:
            try:
                async with asyncio.timeout(REFRESH if fresh else _RETRY):
                    await self._source.changed.wait()
            except TimeoutError:
                pass
            fresh = await self._refreshed()

    async def _refreshed(self) -> bool:
        """Certificates read or renewed, and trusted before they are used; False: to be tried again soon."""
        try:
            current = await self._source.current()
            if current != self._loaded:
                await self._load(current)
        except (KubeError, certificates.CertificateError) as error:
            log.warning("%s; again soon", error)
            return False
        return True

    async def _load(self, current: certificates.Certificates) -> None:
        if self._loaded is not None:
            await asyncio.sleep(_SPREAD)
        current.load_into(self._tls)
        self._loaded = current

    async def _close(self, runner: web.AppRunner) -> None:
        if self._ready:
            self._ready = False
            await asyncio.sleep(LINGER)
        await runner.cleanup()
