"""Sandboxes that came about without the second hook, of Pods with a primary network of their own: the runtime made
them while the shim's configuration was withdrawn, with the cluster's network, and no container may start in them.

The kubelet tries containers in the same sandbox for ever, and makes another only when that one ends. So once the
configuration is there again its first process is ended, as ``crictl stopp`` would. Where it cannot be, an Event says
what to do.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from podnet_api import core, networks, reasons

from podnet_kni_server import asked, events
from podnet_kni_server.errors import AttachError
from podnet_kni_server.records import Sandbox

log = logging.getLogger(__name__)

_WHY = "its sandbox was made while the CNI shim was not in place, so it lacks its primary network"


class Remaker:
    """``sandboxes``: all that live, by id, as the runtime told of them; ``attached``: whether we know of one."""

    def __init__(
        self,
        sandboxes: Callable[[], Mapping[str, Sandbox]],
        attached: Callable[[str], bool],
        pod_of: Callable[[str, str], core.Pod | None],
        said: events.Events,
    ) -> None:
        self._sandboxes = sandboxes
        self._attached = attached
        self._pod_of = pod_of
        self._events = said
        self._tried: set[str] = set()

    def look(self) -> None:
        """End those sandboxes, each once. To be called while the shim is in place."""
        present = self._sandboxes()
        self._tried &= set(present)
        for sandbox in [one for one in present.values() if one.id not in self._tried and self._is_stuck(one)]:
            self._tried.add(sandbox.id)
            try:
                _end(sandbox)
                words = f"{_WHY}: ended it, the kubelet makes it anew"
            except OSError as error:
                words = f"{_WHY}, and it cannot be ended from here ({error}): delete the Pod"
            log.warning("Pod %s: %s", sandbox.pod, words)
            self._say(sandbox, words)

    def _is_stuck(self, sandbox: Sandbox) -> bool:
        """By the list at the sandbox's birth, of a Pod none of whose containers has ever started."""
        try:
            own = networks.replacing(asked.wanted(sandbox)) is not None
        except AttachError:
            return False
        if not own or self._attached(sandbox.id):
            return False
        pod = self._pod_of(sandbox.namespace, sandbox.name)
        return pod is not None and pod.metadata.uid == sandbox.uid and pod.status.phase == "Pending"

    def _say(self, sandbox: Sandbox, words: str) -> None:
        reason = reasons.ATTACH_FAILED
        self._events.say(events.Event(sandbox.namespace, sandbox.name, sandbox.uid, events.WARNING, reason, words))


def _end(sandbox: Sandbox) -> None:
    """Kill the sandbox's first process. Raises OSError when it cannot be seen, or is another's by now."""
    if not sandbox.pid:
        raise ProcessLookupError("the runtime tells no process of it")
    process = os.pidfd_open(sandbox.pid)
    try:
        if sandbox.id not in Path(f"/proc/{sandbox.pid}/cgroup").read_text():
            raise ProcessLookupError(f"process {sandbox.pid} is none of it as seen from here")
        signal.pidfd_send_signal(process, signal.SIGKILL)
    finally:
        os.close(process)
