"""Checkpoints: one file per sandbox, so that a server killed at any instant knows what it had begun.

The directory lies on a tmpfs and dies with the namespaces that its files speak of, as it should. A file is
written whole under another name and renamed: readers see the old or the new record, never half of one.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import ipaddress
import logging
import os
from pathlib import Path

import msgspec

from podnet_kni_server import faultpoints, plan
from podnet_kni_server.errors import CheckpointError
from podnet_kni_server.records import Record

log = logging.getLogger(__name__)
_SUFFIX = ".json"


class Store:
    """The records below ``directory``; small files on a tmpfs, so no call blocks for long."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def open(self) -> None:
        """Make the directory (0700) and drop files that a killed write left behind."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in self._directory.glob("*.tmp"):
                path.unlink()
        except OSError as error:
            raise CheckpointError(f"cannot open checkpoints in {self._directory}: {error}") from error

    def load(self) -> list[Record]:
        """Every record. One that cannot be read is set aside and logged: it must not stop the node."""
        return [record for path in sorted(self._directory.glob("*" + _SUFFIX)) if (record := _read(path))]

    def write(self, record: Record) -> None:
        """Write ``record`` atomically. Raises CheckpointError, e.g. when the disk is full."""
        path = self._path(record.sandbox)
        temporary = path.removesuffix(_SUFFIX) + ".tmp"
        try:
            _write(temporary, msgspec.json.encode(record))
            faultpoints.reached("checkpoint.written")
            os.replace(temporary, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise CheckpointError(f"cannot write checkpoint of Pod {record.pod}: {error}") from error

    def remove(self, sandbox: str) -> None:
        """Forget ``sandbox``; no error when it is not known."""
        try:
            os.unlink(self._path(sandbox))
        except FileNotFoundError:
            return
        except OSError as error:
            raise CheckpointError(f"cannot remove checkpoint of sandbox {sandbox}: {error}") from error

    def _path(self, sandbox: str) -> str:
        if not sandbox or "/" in sandbox or sandbox.startswith("."):
            raise CheckpointError(f"cannot use {sandbox!r} as the id of a sandbox")
        return f"{self._directory}/{sandbox}{_SUFFIX}"


def _check(path: Path, record: Record) -> None:
    """What is asked of the kernel can be read out of it. Raises ValueError."""
    if record.sandbox != path.stem:
        raise ValueError(f"it is of sandbox {record.sandbox}")
    for interface in record.interfaces:
        plan.link(interface.link)
        for text in interface.leaving:
            ipaddress.ip_interface(text)
        for text in interface.gateways:
            _gateway(text)


_gateway = functools.lru_cache(maxsize=256)(ipaddress.ip_interface)
"""All Pods of a network have the same."""


def _write(path: str, data: bytes) -> None:
    """Without the objects that open() makes: this stands in the way of every Pod, twice. For nobody else's eyes."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if os.write(file, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    finally:
        os.close(file)


def _read(path: Path) -> Record | None:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
        _check(path, record)
        return record
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        log.error("cannot read checkpoint %s: %s; set aside", path, error)
        with contextlib.suppress(OSError):
            path.rename(path.with_suffix(".broken"))
        return None
