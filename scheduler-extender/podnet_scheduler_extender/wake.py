"""Wake: tells the waiting Pods why they wait, and kube-scheduler when to look again.

One task, supervised by ``main``. It sleeps until something changes or is due, asks ``extender.sweep`` for
what to do, and does at most BATCH things a second. Every write carries the resourceVersion that the
verdict was made from: a Pod that has changed since is left alone, and its change brings the next sweep.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import time
from typing import Any, Protocol

from podnet_api import core, meta, names
from podnet_api.errors import ConflictError, KubeError, NotFoundError
from podnet_api.kube import Client

from podnet_scheduler_extender.extender import Extender
from podnet_scheduler_extender.waiting import Action, Do

log = logging.getLogger(__name__)

MANAGER = names.FIELD_MANAGER_PREFIX + "scheduler-extender"
BATCH = 20
_DEBOUNCE = 0.1
_PAUSES = (1.0, 30.0)


class Writer(Protocol):
    """Where Pods are written. ``KubeWriter``, or ``FakeWriter`` in tests. All may raise a KubeError."""

    async def say(self, pod: core.Pod, reason: str, message: str) -> None:
        """Set the condition NetworksReady to False with these words, and tell them in a Warning Event."""

    async def clear(self, pod: core.Pod) -> None:
        """Take that condition away."""

    async def touch(self, pod: core.Pod) -> None:
        """Change the Pod so that kube-scheduler looks at it again."""


class FakeWriter:
    """A Writer that keeps what it was told, and fails while ``down``."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str, str]] = []
        self.down = False

    async def say(self, pod: core.Pod, reason: str, message: str) -> None:
        self._do("say", pod, reason)

    async def clear(self, pod: core.Pod) -> None:
        self._do("clear", pod, "")

    async def touch(self, pod: core.Pod) -> None:
        self._do("touch", pod, "")

    def _do(self, what: str, pod: core.Pod, reason: str) -> None:
        if self.down:
            raise KubeError("cannot reach the API server: it is down")
        self.done.append((what, pod.metadata.name, reason))


class KubeWriter:
    """A Writer to the API server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def say(self, pod: core.Pod, reason: str, message: str) -> None:
        condition = {"type": names.NETWORKS_READY, "status": "False", "reason": reason, "message": message}
        before = meta.condition(pod.status.conditions, names.NETWORKS_READY)
        since = before.last_transition_time if before is not None and before.status == "False" else None
        await self._conditions(pod, [condition | {"lastTransitionTime": since or _now()}])
        await self._client.event(pod, "Warning", reason, message, MANAGER)

    async def clear(self, pod: core.Pod) -> None:
        await self._conditions(pod, [])

    async def touch(self, pod: core.Pod) -> None:
        about = pod.metadata
        annotations = {names.WAKE_ANNOTATION: _now()}
        patch = {"metadata": {"resourceVersion": about.resource_version, "annotations": annotations}}
        await self._client.merge(core.Pod.resource, about.name, patch, namespace=about.namespace)

    async def _conditions(self, pod: core.Pod, conditions: list[dict[str, Any]]) -> None:
        """Our conditions of the Pod, all of them: server-side apply removes what we owned and do not name."""
        about = pod.metadata
        identity = {
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
            "resourceVersion": about.resource_version,
        }
        body = {"metadata": identity, "status": {"conditions": conditions}}
        await self._client.apply(core.Pod.resource, body, subresource="status", manager=MANAGER)


class Waker:
    """The task. ``notify`` may be called at any time, from the same event loop."""

    def __init__(self, extender: Extender, writer: Writer) -> None:
        self._extender = extender
        self._writer = writer
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """A waiting Pod might have another verdict now."""
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        pause = _PAUSES[0]
        while True:
            await self._sleep()
            actions = await self._look()
            if not await self._all(actions):
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSES[1])
                self.notify()
                continue
            pause = _PAUSES[0]
            if len(actions) == BATCH:
                await asyncio.sleep(1.0)
                self.notify()

    async def _sleep(self) -> None:
        """Until something changes or is due, and then a moment more: changes come in swarms."""
        try:
            async with asyncio.timeout(self._extender.next_due()):
                await self._changed.wait()
        except TimeoutError:
            pass
        await asyncio.sleep(_DEBOUNCE)
        self._changed.clear()

    async def _look(self) -> list[Action]:
        """What to do. Between the steps kube-scheduler is answered."""
        found: list[Action] = []
        for actions in self._extender.sweep(BATCH):
            found = actions
            await asyncio.sleep(0)
        return found

    async def _all(self, actions: list[Action]) -> bool:
        """Do them one after another; False, and the rest is put off, when the API server does not do them."""
        for place, action in enumerate(actions):
            if not await self._one(action):
                for undone in actions[place:]:
                    self._extender.waiting.failed(undone)
                return False
        return True

    async def _one(self, action: Action) -> bool:
        """Whether the API server had an answer; a Pod that has changed or gone meanwhile is no failure."""
        started, result = time.monotonic(), "done"
        try:
            await self._write(action)
        except (ConflictError, NotFoundError) as error:
            result = "outdated"
            self._extender.waiting.failed(action)
            log.debug("%s", error)
        except KubeError as error:
            result = "failed"
            log.warning("%s; trying again", error)
        self._extender.metrics.writes.labels(action.do.value, result).inc()
        about = action.pod.metadata
        text = f": {action.message}" if action.message else ""
        milliseconds = (time.monotonic() - started) * 1000
        log.info(
            "%s Pod %s/%s: %s in %.0f ms%s", action.do.value, about.namespace, about.name, result, milliseconds, text
        )
        return result != "failed"

    async def _write(self, action: Action) -> None:
        match action.do:
            case Do.WAKE:
                await self._writer.touch(action.pod)
            case Do.SAY:
                await self._writer.say(action.pod, action.reason, action.message)
            case Do.CLEAR:
                await self._writer.clear(action.pod)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
