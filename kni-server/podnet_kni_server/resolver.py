"""Gives containers a resolv.conf that has the name servers of the Pod's networks, by the hook's CreateContainer.

The runtime's file is read where it tells that it is, and ours is mounted in its place, with the same options. It is
written in place: a file that is mounted by itself stays the old one when it is replaced. What a container has follows
its Pod's list when the next container of the Pod is made.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from podnet_api import core, reasons

from podnet_kni_server import events, resolv
from podnet_kni_server.errors import CheckpointError
from podnet_kni_server.nri import types
from podnet_kni_server.records import Record

NAME = "resolv.conf"


class Resolver:
    """``directory`` of a sandbox is what its containers see of us; ``root`` is the node's root directory as seen from
    here, where the runtime's files are not under their own path."""

    def __init__(
        self,
        directory: Callable[[str], Path],
        pod_of: Callable[[str, str], core.Pod | None],
        root: Path,
        said: events.Events,
    ) -> None:
        self._directory = directory
        self._pod_of = pod_of
        self._root = root
        self._events = said

    def mount(self, record: Record, container: types.Container) -> types.Mount | None:
        """The mount of the Pod's resolv.conf; None: it stays the kubelet's. Raises CheckpointError."""
        own = resolv.wanted(record)
        told = next((mount for mount in container.mounts if mount.destination == resolv.PATH), None)
        if not own or (told is not None and record.sandbox not in told.source):
            return None  # what is not in the sandbox's own directory is a volume of the user's
        spec = self._spec(record)
        if resolv.decides_itself(spec):
            return None
        text, left_out = resolv.merged(self._read(record, told), own, spec.dns_policy)
        self._say(record, left_out)
        path = self._write(record, text)
        return types.Mount(resolv.PATH, "bind", str(path), told.options if told else ())

    def _spec(self, record: Record) -> core.PodSpec:
        """By the Pod's name: a static one has another uid in the API."""
        pod = self._pod_of(record.namespace, record.name)
        if pod is None:
            raise CheckpointError(f"cannot write the resolv.conf of Pod {record.pod}: it is not known on this node yet")
        return pod.spec

    def _read(self, record: Record, told: types.Mount | None) -> str:
        where = told.source if told else "no file that the runtime tells of"
        for path in (Path(where), self._root / where.lstrip("/")) if told else ():
            if path.exists():
                return path.read_text(errors="replace")
        message = f"{where} cannot be seen from the KNI server: mount its directory there under the same path"
        raise CheckpointError(f"cannot write the resolv.conf of Pod {record.pod}: {message}")

    def _write(self, record: Record, text: str) -> Path:
        path = self._directory(record.sandbox) / NAME
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            with path.open("r+" if path.exists() else "w") as file:
                file.write(text)
                file.truncate()
        except OSError as error:
            raise CheckpointError(f"cannot write the resolv.conf of Pod {record.pod}: {error}") from error
        return path

    def _say(self, record: Record, left_out: tuple[str, ...]) -> None:
        if left_out:
            message = f"a resolver asks {resolv.SERVERS} name servers; left out: {', '.join(left_out)}"
            reason = reasons.DNS_LEFT_OUT
            event = events.Event(record.namespace, record.name, record.uid, events.WARNING, reason, message)
            self._events.say(event, once=True)
