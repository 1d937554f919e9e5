"""Running Pods: what their lists ask for now. Watches the Pods of this node, has ``plug`` bring each sandbox to its
list, says what came of it, and tries again what failed, with growing pauses.

The list of a running Pod is the one that the API server has. The runtime tells the annotations as they were when the
sandbox was made, for as long as it lives; ``now`` puts that right for whoever hears of a sandbox from it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from podnet_api import core, names, reasons
from podnet_api.errors import PodnetError

from podnet_kni_server import events, plug
from podnet_kni_server.attach import Core
from podnet_kni_server.records import Record, Sandbox

log = logging.getLogger(__name__)

PodOf = Callable[[str, str], core.Pod | None]
_PAUSES = (1.0, 60.0)
_LIMIT = 120.0
"""Seconds for one attempt at one sandbox; what a plugin does may take long."""


class Teller(Protocol):
    """Who writes a Pod's status (publish.Publisher)."""

    def attached(self, record: Record) -> None: ...
    def partly(self, record: Record, error: PodnetError) -> None: ...


@dataclasses.dataclass
class _Due:
    """When a sandbox is looked at again, and how long the pause after that is."""

    at: float
    pause: float = _PAUSES[0]


class Running:
    """Keeps the sandboxes of this node as their Pods' lists say. ``sandboxes``: all that live, by id."""

    def __init__(self, core_: Core, plugger: plug.Plugger, pod_of: PodOf, teller: Teller, said: events.Events) -> None:
        self._core = core_
        self._plugger = plugger
        self._pod_of = pod_of
        self._teller = teller
        self._events = said
        self.sandboxes: Callable[[], Mapping[str, Sandbox]] = dict
        self._due: dict[str, _Due] = {}
        self._lost: set[str] = set()
        self._wake = asyncio.Event()

    def now(self, sandbox: Sandbox) -> Sandbox:
        """``sandbox`` with the annotations that its Pod has now. Static Pods are known to the API server by another
        uid: they keep what the runtime tells."""
        pod = self._pod_of(sandbox.namespace, sandbox.name)
        if pod is None or pod.metadata.uid != sandbox.uid:
            return sandbox
        return dataclasses.replace(sandbox, annotations=pod.metadata.annotations)

    def pod_changed(self, old: core.Pod | None, new: core.Pod | None) -> None:
        """Listener of the Pod watch."""
        if new is None:
            if old is not None:
                self._events.forget(old.metadata.uid)
            return
        if old is None or _list_of(old) != _list_of(new):
            self._look_at(s.id for s in self.sandboxes().values() if s.uid == new.metadata.uid)

    def objects_changed(self) -> None:
        """Something that a list may name came or changed: what failed may succeed now."""
        self._look_at(self._due)

    def look(self, sandbox: Sandbox) -> None:
        """Core hook: a sandbox was found to live, after a start or a reconnect."""
        self._look_at([sandbox.id])

    def lost(self, sandbox: str) -> None:
        """A sandbox is gone and could not be detached: the runtime will not ask again."""
        self._lost.add(sandbox)
        self._look_at([sandbox])

    def _look_at(self, ids: Iterable[str]) -> None:
        at = time.monotonic()
        for one in list(ids):
            self._due.setdefault(one, _Due(at)).at = at
            self._wake.set()

    async def run(self) -> None:
        """Work off what is due, until cancelled."""
        while True:
            await self._pause()
            now = time.monotonic()
            for one in [one for one, due in self._due.items() if due.at <= now]:
                await self._bring(one)
                await asyncio.sleep(0)  # after a start all are due at once: what the runtime asks comes in between

    async def _pause(self) -> None:
        """Until something is due or changes."""
        self._wake.clear()
        soonest = min((due.at for due in self._due.values()), default=None)
        try:
            async with asyncio.timeout(None if soonest is None else max(0.0, soonest - time.monotonic())):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _bring(self, one: str) -> None:
        """An edit that comes meanwhile makes it due anew."""
        due = self._due.pop(one)
        told = self.sandboxes().get(one)
        if one in self._lost:
            done = await self._detached(one)
        else:
            done = told is None or told.host_network or await self._try(self.now(told))
        if not done:
            later = _Due(time.monotonic() + due.pause, min(2 * due.pause, _PAUSES[1]))
            self._due.setdefault(one, later)

    async def _detached(self, one: str) -> bool:
        try:
            await self._core.detach(one)
        except PodnetError as error:
            log.warning("%s; trying again", error)
            return False
        self._lost.discard(one)
        return True

    async def _try(self, sandbox: Sandbox) -> bool:
        """Whether nothing is left to be done."""
        try:
            async with asyncio.timeout(_LIMIT):
                if self._core.record(sandbox.id) is None:
                    return await self._first(sandbox)
                outcome = await self._plugger.bring(sandbox)
        except TimeoutError:
            message = f"cannot change the networks of Pod {sandbox.pod}: not done within {_LIMIT:.0f} s"
            self._say(sandbox, events.WARNING, reasons.NETWORK_CHANGE_FAILED, message)
            return False
        except PodnetError as error:
            self._say(sandbox, events.WARNING, reasons.NETWORK_CHANGE_FAILED, str(error))
            return False
        except Exception as error:  # one Pod's list must not end the server of all
            log.exception("cannot change the networks of Pod %s", sandbox.pod)
            message = f"cannot change the networks of Pod {sandbox.pod}: {type(error).__name__}: {error}"
            self._say(sandbox, events.WARNING, reasons.NETWORK_CHANGE_FAILED, message)
            return False
        return outcome is None or self._tell(sandbox, outcome)

    async def _first(self, sandbox: Sandbox) -> bool:
        """A Pod that ran without networks of ours gets its first; one that is still starting is the hook's."""
        if names.NETWORKS_ANNOTATION not in sandbox.annotations or not self._runs(sandbox):
            return True
        record = await self._core.attach(sandbox)
        if record is not None:
            words = ", ".join(f"{i.link.name} to {i.network}" for i in record.interfaces)
            self._say(sandbox, events.NORMAL, reasons.NETWORKS_CHANGED, f"attached {words}")
        return True

    def _runs(self, sandbox: Sandbox) -> bool:
        pod = self._pod_of(sandbox.namespace, sandbox.name)
        return pod is not None and pod.metadata.uid == sandbox.uid and pod.status.phase == "Running"

    def _tell(self, sandbox: Sandbox, outcome: plug.Outcome) -> bool:
        if outcome.done:
            log.info("Pod %s: %s", sandbox.pod, "; ".join(outcome.done))
            self._say(sandbox, events.NORMAL, reasons.NETWORKS_CHANGED, "; ".join(outcome.done))
        for error in outcome.errors:
            log.warning("Pod %s: %s", sandbox.pod, error)
            self._say(sandbox, events.WARNING, reasons.NETWORK_CHANGE_FAILED, str(error))
        if outcome.errors:
            self._teller.partly(outcome.record, outcome.errors[0])
        else:
            self._events.forget(sandbox.uid, reasons.NETWORK_CHANGE_FAILED)
            self._teller.attached(outcome.record)
        return not outcome.errors

    def _say(self, sandbox: Sandbox, type_: str, reason: str, message: str) -> None:
        event = events.Event(sandbox.namespace, sandbox.name, sandbox.uid, type_, reason, message)
        self._events.say(event, once=type_ == events.WARNING)


def _list_of(pod: core.Pod) -> str | None:
    return pod.metadata.annotations.get(names.NETWORKS_ANNOTATION)
