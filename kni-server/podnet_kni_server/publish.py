"""Publishing Pod status: after the runtime has its answer, from a queue that forgets nothing and holds
only the newest word on each Pod.

Losing the API server delays this and nothing else.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

from podnet_api import core, names, reasons
from podnet_api.errors import ConflictError, KubeError, NotFoundError, PodnetError
from podnet_api.kube import Client

from podnet_kni_server import status
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.interface import Datapath
from podnet_kni_server.datapath.model import Observed
from podnet_kni_server.errors import CheckpointError
from podnet_kni_server.records import Record, Sandbox

log = logging.getLogger(__name__)

MANAGER = names.FIELD_MANAGER_PREFIX + "kni"
FILE = "networks.json"
_PAUSES = (0.2, 15.0)
_MIRROR = "kubernetes.io/config.mirror"
PodOf = Callable[[str, str], core.Pod | None]
"""From namespace and name to the Pod as the watch last showed it."""
_Make = Callable[[], Awaitable[dict[str, Any] | None]]
"""Makes the body to apply, or None when the API has it already."""


class Publisher:
    """Writes the status of this node's Pods, and the file that their containers see."""

    def __init__(
        self, client: Client, datapath: Datapath, directory: Path, name_of: status.NameOf, pod_of: PodOf
    ) -> None:
        self._client = client
        self._pod_of = pod_of
        self._datapath = datapath
        self._directory = directory
        self._name_of = name_of
        self._waiting: dict[str, _Make] = {}
        self._said: dict[str, str] = {}
        self._bad: set[str] = set()
        """Pods whose last word was a failure: what the watch shows of them may be older than that."""
        self._wake = asyncio.Event()

    def directory(self, sandbox: str) -> Path:
        """Where the containers of a sandbox see its networks. A directory, because a file that is mounted by
        itself stays the old one when it is replaced."""
        return self._directory / sandbox

    def attached(self, record: Record) -> None:
        """Core hook: ``record`` is attached. The file is there when this returns; the API learns later."""
        self._try_show(record)
        self._said.pop(record.uid, None)
        self._put(record.uid, lambda: self._attached(record))

    def _try_show(self, record: Record) -> None:
        """A full disk must not undo an attach; the next container asks again (``show``)."""
        try:
            self.show(record)
        except CheckpointError as error:
            log.error("%s", error)

    def show(self, record: Record) -> None:
        """Have the file as ``record`` says. Raises CheckpointError."""
        place = self.directory(record.sandbox)
        try:
            place.mkdir(mode=0o755, parents=True, exist_ok=True)
            temporary = place / ".networks.json"
            temporary.write_bytes(status.file(record))
            os.replace(temporary, place / FILE)
        except OSError as error:
            raise CheckpointError(
                f"cannot write the networks of Pod {record.pod} for its containers: {error}"
            ) from error

    def tidy(self, known: Collection[str]) -> None:
        """Drop what a killed server left of sandboxes that are not ``known`` any more."""
        for place in self._directory.glob("*"):
            if place.is_dir() and place.name not in known:
                shutil.rmtree(place, ignore_errors=True)

    def partly(self, record: Record, error: PodnetError) -> None:
        """A change of a running Pod's list could not be carried out whole: ``record`` is what it has meanwhile."""
        self._try_show(record)
        reason = getattr(error, "reason", reasons.NETWORK_CHANGE_FAILED)
        if self._said.get(record.uid) != str(error):
            self._said[record.uid] = str(error)
            self._put_bad(record.uid, lambda: self._partly(record, reason, str(error)))

    def failed(self, sandbox: Sandbox, error: PodnetError) -> None:
        """Core hook: attaching failed. Said once for each reason: the kubelet tries again and again."""
        reason = getattr(error, "reason", reasons.ATTACH_FAILED)
        if self._said.get(sandbox.uid) == str(error) or not sandbox.uid:
            return
        self._said[sandbox.uid] = str(error)
        self._put_bad(sandbox.uid, lambda: self._failed(sandbox, reason, str(error)))

    def forgotten(self, record: Record) -> None:
        """Core hook: the sandbox is gone."""
        shutil.rmtree(self.directory(record.sandbox), ignore_errors=True)
        self._said.pop(record.uid, None)
        self._bad.discard(record.uid)

    def _put_bad(self, uid: str, make: _Make) -> None:
        self._bad.add(uid)
        self._put(uid, make)

    def _put(self, uid: str, make: _Make) -> None:
        self._waiting[uid] = make
        self._wake.set()

    async def _attached(self, record: Record) -> dict[str, Any] | None:
        pod = self._pod_of(record.namespace, record.name)
        trusted = record.uid not in self._bad
        self._bad.discard(record.uid)
        if trusted and pod is not None and pod.metadata.uid == record.uid and status.is_said(pod, record):
            return None
        return status.attached(record, self._name_of, await self._default(record), _now())

    async def _partly(self, record: Record, reason: str, message: str) -> dict[str, Any]:
        return status.partly(record, self._name_of, await self._default(record), reason, message, _now())

    async def _failed(self, sandbox: Sandbox, reason: str, message: str) -> dict[str, Any]:
        return status.failed(sandbox.namespace, sandbox.name, sandbox.uid, reason, message, _now())

    async def _default(self, record: Record) -> Observed | None:
        try:
            found = await self._datapath.observe(record.netns, [names.DEFAULT_INTERFACE])
        except DatapathError:
            return None
        return found[0] if found else None

    async def run(self) -> None:
        """Write what is waiting, until cancelled; what fails is tried again with growing pauses."""
        pause = _PAUSES[0]
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._waiting = self._waiting, {}
            failed = [uid for uid, make in batch.items() if not await self._write(make)]
            if not failed:
                pause = _PAUSES[0]
                continue
            self._waiting = {uid: batch[uid] for uid in failed} | self._waiting
            await asyncio.sleep(pause)
            pause = min(pause * 2, _PAUSES[1])
            self._wake.set()

    def _uid(self, namespace: str, name: str, uid: str, **rest: object) -> str:
        """The API server knows a static Pod by another uid: that of its mirror."""
        pod = self._pod_of(namespace, name)
        return pod.metadata.uid if pod is not None and mirrored(pod) == uid else uid

    async def _write(self, make: _Make) -> bool:
        """Whether nothing more is to be done: written, or the Pod is gone."""
        body = await make()
        if body is None:
            return True
        body["metadata"]["uid"] = self._uid(**body["metadata"])
        try:
            await self._client.apply(core.Pod.resource, body, subresource="status", manager=MANAGER)
        except (NotFoundError, ConflictError) as error:
            log.info("status not written, the Pod is gone: %s", error)
        except KubeError as error:
            log.warning("%s; trying again", error)
            return False
        return True


def mirrored(pod: core.Pod) -> str:
    """The uid of the static Pod that ``pod`` is the mirror of; empty: it is none."""
    return pod.metadata.annotations.get(_MIRROR, "")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
