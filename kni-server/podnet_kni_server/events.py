"""Events of Pods: what happens to a running Pod's networks, said once, from a queue that never makes anybody wait.

An Event is a help for people, not a state: when the API server is away for long the oldest are dropped, and counted.
"""

from __future__ import annotations

import asyncio
import collections
import logging
from typing import NamedTuple, Protocol

from podnet_api import core
from podnet_api.errors import KubeError, NotFoundError
from podnet_api.meta import ObjectMeta
from prometheus_client import Counter

log = logging.getLogger(__name__)

COMPONENT = "podnet-kni"
NORMAL, WARNING = "Normal", "Warning"
_LIMIT = 256
_PAUSE = 2.0
_DROPPED = Counter("podnet_kni_events_dropped", "Events that were not written because too many waited")


class Writer(Protocol):
    """The part of podnet_api.kube.Client that is needed."""

    async def event(
        self, about: core.Pod | core.Node, type_: str, reason: str, message: str, component: str
    ) -> None: ...


class Event(NamedTuple):
    """Something to say about a Pod, or, without a namespace, about a Node."""

    namespace: str
    name: str
    uid: str
    type: str
    reason: str
    message: str


class Events:
    """Writes Events in the order in which they were said."""

    def __init__(self, client: Writer, node: str = "") -> None:
        self._client = client
        self._node = node
        self._waiting: collections.deque[Event] = collections.deque()
        self._last: dict[tuple[str, str], str] = {}
        self._wake = asyncio.Event()

    def say(self, event: Event, *, once: bool = False) -> None:
        """Say it; ``once``: unless it was the last that was said of this Pod for this reason (see ``forget``)."""
        key = (event.uid, event.reason)
        if once and self._last.get(key) == event.message:
            return
        if once:
            self._last[key] = event.message
        if len(self._waiting) >= _LIMIT:
            self._waiting.popleft()
            _DROPPED.inc()
        self._waiting.append(event)
        self._wake.set()

    def say_of_node(self, reason: str, message: str) -> None:
        """A warning about this node."""
        self.say(Event("", self._node, self._node, WARNING, reason, message))

    def forget(self, uid: str, reason: str = "") -> None:
        """The Pod is gone, or what was said of it for this reason is over."""
        for key in [key for key in self._last if key[0] == uid and reason in ("", key[1])]:
            del self._last[key]

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._write(self._waiting.popleft())

    async def _write(self, event: Event) -> None:
        kind = core.Pod if event.namespace else core.Node
        about = kind(metadata=ObjectMeta(namespace=event.namespace, name=event.name, uid=event.uid))
        try:
            await self._client.event(about, event.type, event.reason, event.message, COMPONENT)
        except NotFoundError:
            return  # the namespace is gone
        except KubeError as error:
            log.info("%s; trying again", error)
            if len(self._waiting) < _LIMIT:
                self._waiting.appendleft(event)
            await asyncio.sleep(_PAUSE)
