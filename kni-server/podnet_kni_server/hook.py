"""The runtime hook: what the KNI server does on each NRI event. A thin shell around the core.

RunPodSandbox attaches, CreateContainer is the gate (no container of a Pod that is not fully attached),
StopPodSandbox detaches by the record, RemovePodSandbox does what a lost Stop left undone.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from podnet_api import names
from podnet_api.errors import PodnetError

from podnet_kni_server import containers, npwg, status
from podnet_kni_server.attach import Core
from podnet_kni_server.nri import errors, types
from podnet_kni_server.reaper import Reaper
from podnet_kni_server.records import Record, Sandbox

log = logging.getLogger(__name__)

STATUS_DIRECTORY = "/etc/podnet"
"""Where a container finds its networks: networks.json in it."""


class Files(Protocol):
    """Where the host keeps what the containers of a sandbox see."""

    def directory(self, sandbox: str) -> Path: ...
    def show(self, record: Record) -> None: ...
    def tidy(self, known: Collection[str]) -> None: ...


class Hook:
    """nri.events.Handler. ``now`` gives a sandbox the list that its Pod has now: what the runtime tells is as it was
    when the sandbox was made, also after a restart of either. ``lost`` hears of sandboxes that are gone and could not
    be detached. ``resolv`` gives the mount of a container's resolv.conf, where it is not the runtime's. ``reaper``
    detaches stopped ones behind the answer; without it the answer waits."""

    def __init__(
        self,
        core: Core,
        files: Files,
        now: Callable[[Sandbox], Sandbox] = lambda sandbox: sandbox,
        lost: Callable[[str], None] = lambda one: None,
        resolv: Callable[[Record, types.Container], types.Mount | None] = lambda record, container: None,
        reaper: Reaper | None = None,
    ) -> None:
        self._core = core
        self._files = files
        self._now = now
        self._lost = lost
        self._resolv = resolv
        self._reaper = reaper
        self.synchronized = asyncio.Event()
        self.sandboxes: dict[str, Sandbox] = {}
        """All that live, by id, as the runtime told of them."""

    async def configured(self, runtime: str, version: str, request_timeout: float) -> None:
        """The runtime took us in."""
        log.info("registered with %s %s, which waits %.1f s for an answer", runtime, version, request_timeout)

    async def synchronize(self, pods: Sequence[types.PodSandbox], containers: Sequence[types.Container]) -> None:
        """Bring records and kernel in line with what runs now."""
        log.info("synchronizing with %d sandboxes and %d containers", len(pods), len(containers))
        found = [_sandbox(pod) for pod in pods]
        alive = [sandbox for sandbox in found if _lives(sandbox)]
        self.sandboxes = {sandbox.id: sandbox for sandbox in alive}
        await self._core.reconcile([self._now(sandbox) for sandbox in alive])
        self._files.tidy({record.sandbox for record in self._core.records()})
        self.synchronized.set()

    async def run_pod_sandbox(self, pod: types.PodSandbox) -> None:
        """Attach; an error fails the sandbox and reaches the Pod's events."""
        try:
            await self._attach(pod)
        except errors.HookRefused:
            self.sandboxes.pop(pod.id, None)
            raise

    async def create_container(self, pod: types.PodSandbox, container: types.Container) -> types.Adjustment:
        """The gate: attach what is missing, else deny the container; then show it the Pod's networks."""
        await self._attach(pod)
        record = self._core.record(pod.id)
        if record is None:
            return types.Adjustment()
        try:
            self._files.show(record)
            resolv = self._resolv(record, container)
        except PodnetError as error:
            raise errors.HookRefused(str(error)) from error
        return self._shown(record, container, [resolv] if resolv else [])

    def _shown(self, record: Record, container: types.Container, more: Sequence[types.Mount]) -> types.Adjustment:
        """What the user set stays as it is."""
        mounts = [types.Mount(STATUS_DIRECTORY, "bind", str(self._files.directory(record.sandbox)), ("rbind", "ro"))]
        if any(mount.destination.rstrip("/") == STATUS_DIRECTORY for mount in container.mounts):
            mounts = []
        shared = [types.Mount(d.mount, "bind", d.directory, ("rbind", "rw")) for d in containers.directories(record)]
        devices = (types.Device(d.path, d.major, d.minor, d.mode, d.owner, d.group) for d in containers.devices(record))
        own = status.environment(record)
        env = {key: own[key] for key in own if key not in container.env}
        return types.Adjustment((*mounts, *shared, *more), env, devices=tuple(devices))

    async def stop_pod_sandbox(self, pod: types.PodSandbox) -> None:
        """Detach; the namespace may be gone already."""
        await self._detach(pod, self._reaper.take if self._reaper else self._core.detach)

    async def remove_pod_sandbox(self, pod: types.PodSandbox) -> None:
        """Detach what a lost Stop left; wait for what goes on of one that was not lost."""
        await self._detach(pod, self._core.detach)

    async def _attach(self, pod: types.PodSandbox) -> None:
        told = _sandbox(pod)
        self.sandboxes[pod.id] = told
        sandbox = self._now(told)
        listed = names.NETWORKS_ANNOTATION in sandbox.annotations or npwg.unserved(sandbox)
        if not listed and self._core.record(pod.id) is None:
            return
        if self._reaper:
            await self._reaper.gone(sandbox.pod)
        try:
            await self._core.attach(sandbox)
        except PodnetError as error:
            log.warning("refused sandbox %s: %s", pod.id, error)
            raise errors.HookRefused(str(error)) from error

    async def _detach(self, pod: types.PodSandbox, detach: Callable[[str], Awaitable[None]]) -> None:
        self.sandboxes.pop(pod.id, None)
        try:
            await detach(pod.id)
        except PodnetError as error:
            log.error("cannot detach sandbox %s: %s", pod.id, error)
            self._lost(pod.id)
            raise errors.HookRefused(str(error)) from error
        except asyncio.CancelledError:  # the runtime's deadline: it does not ask a third time
            self._lost(pod.id)
            raise


def _lives(sandbox: Sandbox) -> bool:
    """Of one that has ended (a node that was restarted has many) a runtime tells no namespace, as of one on the host's
    network; which has no list."""
    if sandbox.host_network:
        return names.NETWORKS_ANNOTATION not in sandbox.annotations
    return bool(sandbox.netns) and os.path.exists(str(sandbox.netns))


def _sandbox(pod: types.PodSandbox) -> Sandbox:
    return Sandbox(
        id=pod.id,
        uid=pod.uid,
        namespace=pod.namespace,
        name=pod.name,
        netns=pod.netns_path,
        annotations=pod.annotations,
        host_network=pod.host_network,
        ips=tuple(str(ip) for ip in pod.ips),
        pid=pod.pid,
    )
