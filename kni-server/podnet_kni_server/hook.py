"""The runtime hook: what the KNI server does on each NRI event. A thin shell around the core.

RunPodSandbox attaches, CreateContainer is the gate (no container of a Pod that is not fully attached),
StopPodSandbox detaches by the record, RemovePodSandbox does what a lost Stop left undone.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from podnet_api import names
from podnet_api.errors import PodnetError

from podnet_kni_server.attach import Core
from podnet_kni_server.nri import errors, types
from podnet_kni_server.records import Sandbox

log = logging.getLogger(__name__)

STATUS_PATH = "/etc/podnet/networks.json"
"""Where a container finds its networks."""


class Hook:
    """nri.events.Handler. ``file`` is where the host keeps the status file of a sandbox."""

    def __init__(self, core: Core, file: Callable[[str], Path]) -> None:
        self._core = core
        self._file = file
        self.synchronized = asyncio.Event()

    async def configured(self, runtime: str, version: str, request_timeout: float) -> None:
        """The runtime took us in."""
        log.info("registered with %s %s, which waits %.1f s for an answer", runtime, version, request_timeout)

    async def synchronize(self, pods: Sequence[types.PodSandbox], containers: Sequence[types.Container]) -> None:
        """Bring records and kernel in line with what runs now."""
        alive = [_sandbox(pod) for pod in pods]
        log.info("synchronizing with %d sandboxes and %d containers", len(pods), len(containers))
        await self._core.reconcile([s for s in alive if s.host_network or (s.netns and os.path.exists(s.netns))])  # noqa: ASYNC240 (a stat on a tmpfs)
        self.synchronized.set()

    async def run_pod_sandbox(self, pod: types.PodSandbox) -> None:
        """Attach; an error fails the sandbox and reaches the Pod's events."""
        await self._attach(pod)

    async def create_container(self, pod: types.PodSandbox, container: types.Container) -> types.Adjustment:
        """The gate: attach what is missing, else deny the container; then show it the Pod's networks."""
        if names.NETWORKS_ANNOTATION not in pod.annotations:
            return types.Adjustment()
        await self._attach(pod)
        source = self._file(pod.id)
        if not source.exists():
            return types.Adjustment()
        mount = types.Mount(STATUS_PATH, "bind", str(source), ("bind", "ro"))
        return types.Adjustment(mounts=(mount,))

    async def stop_pod_sandbox(self, pod: types.PodSandbox) -> None:
        """Detach; the namespace may be gone already."""
        await self._detach(pod)

    async def remove_pod_sandbox(self, pod: types.PodSandbox) -> None:
        """Detach what a lost Stop left."""
        await self._detach(pod)

    async def _attach(self, pod: types.PodSandbox) -> None:
        if names.NETWORKS_ANNOTATION not in pod.annotations:
            return
        try:
            await self._core.attach(_sandbox(pod))
        except PodnetError as error:
            log.warning("refused sandbox %s: %s", pod.id, error)
            raise errors.HookRefused(str(error)) from error

    async def _detach(self, pod: types.PodSandbox) -> None:
        try:
            await self._core.detach(pod.id)
        except PodnetError as error:
            log.error("cannot detach sandbox %s: %s", pod.id, error)
            raise errors.HookRefused(str(error)) from error


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
    )
