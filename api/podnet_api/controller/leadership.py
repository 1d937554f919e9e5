"""Leader election by a Lease (coordination.k8s.io): of several controllers one works, the others wait.

The election itself is the kubernetes package's, which blocks; so it has a thread of its own, which ends with
the program. A leader that cannot renew its Lease in time is told so and has to end: another one may work by then.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from kubernetes import config as kubernetes_config
from kubernetes.client import ApiException
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock
from urllib3.exceptions import HTTPError

from podnet_api.errors import PodnetError

log = logging.getLogger(__name__)

LEASE = "podnet-controller"


@dataclass(frozen=True)
class Times:
    """All in seconds, as of Kubernetes' own controllers: others wait ``lease`` after the last renewal, a leader gives
    up after ``renew`` without one, and both try every ``retry``."""

    lease: int = 15
    renew: int = 10
    retry: int = 2


class LeadershipLostError(PodnetError):
    """The Lease could not be renewed in time."""


class _Lock(LeaseLock):  # type: ignore[misc]
    """The package catches what the API server answers, and dies of what keeps it from answering."""

    def get(self, name: str, namespace: str) -> tuple[bool, object]:
        try:
            found: tuple[bool, object] = super().get(name, namespace)
        except HTTPError as error:
            return False, ApiException(status=0, reason=str(error))
        return found

    def create(self, name: str, namespace: str, election_record: object) -> bool:
        try:
            return bool(super().create(name, namespace, election_record))
        except HTTPError as error:
            log.warning("cannot create Lease %s/%s: %s", namespace, name, error)
            return False

    def update(self, name: str, namespace: str, updated_record: object) -> bool:
        try:
            return bool(super().update(name, namespace, updated_record))
        except HTTPError as error:
            log.warning("cannot renew Lease %s/%s: %s", namespace, name, error)
            return False


class Leadership:
    """Stands for election from ``campaign`` on; ``won`` and ``lost`` say how it went."""

    def __init__(self, namespace: str, times: Times) -> None:
        self.won = asyncio.Event()
        self.lost = asyncio.Event()
        self.identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        self.times = times
        self._namespace = namespace

    def campaign(self) -> None:
        """Begin. The API server is found as kubectl finds it ($KUBECONFIG), or as a Pod does."""
        if "KUBECONFIG" not in os.environ and "KUBERNETES_SERVICE_HOST" in os.environ:
            kubernetes_config.load_incluster_config()
        else:
            kubernetes_config.load_kube_config(os.environ.get("KUBECONFIG"))  # which it reads only when imported
        loop = asyncio.get_running_loop()
        election = leaderelection.LeaderElection(
            electionconfig.Config(
                _Lock(LEASE, self._namespace, self.identity),
                lease_duration=self.times.lease,
                renew_deadline=self.times.renew,
                retry_period=self.times.retry,
                onstarted_leading=lambda: loop.call_soon_threadsafe(self.won.set),
                onstopped_leading=lambda: loop.call_soon_threadsafe(self.lost.set),
            )
        )
        threading.Thread(target=election.run, name="election", daemon=True).start()


@asynccontextmanager
async def probes(port: int) -> AsyncIterator[None]:
    """/healthz while we wait: kopf serves it only once it works."""
    app = web.Application()
    app.router.add_get("/healthz", _healthy)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def _healthy(request: web.Request) -> web.Response:
    return web.json_response({"leader": False})


async def elected(leadership: Leadership, stop: asyncio.Event, port: int) -> bool:
    """Wait until we lead; False: told to stop before."""
    leadership.campaign()
    log.info("waiting for Lease %s as %s", LEASE, leadership.identity)
    async with probes(port):
        waits = [asyncio.ensure_future(event.wait()) for event in (leadership.won, stop)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()
    return leadership.won.is_set() and not stop.is_set()


async def until_lost(leadership: Leadership) -> None:
    """Raises LeadershipLostError when we lead no more."""
    await leadership.lost.wait()
    seconds = leadership.times.renew
    raise LeadershipLostError(f"cannot go on: Lease {LEASE} was not renewed for {seconds} s, another one may lead")
