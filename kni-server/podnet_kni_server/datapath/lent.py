"""Devices of the node that Pods have: one file for each, written before the device is touched.

What a device was (its name, MAC address, MTU, settings) is known by its file alone: it is given back as it was after
a crash, and when the Pod's namespace ended first. The directory lies on a tmpfs: after a reboot devices are new.
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from podnet_api.meta import Model

from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.functions import Settings

log = logging.getLogger(__name__)
DIRECTORY = Path("/run/kni/devices")
_SUFFIX = ".json"


class Function(Model, frozen=True, kw_only=True):
    """A virtual function: whose it is, and how it was set."""

    physical: str
    """Name of the physical function."""
    number: int
    former: Settings
    pinned: str = ""
    """The MAC address that the physical function holds it to since it was lent; empty: none yet."""


class Lent(Model, frozen=True, kw_only=True):
    """A device that a Pod has, and what it was on the node."""

    token: str
    """Link.host_name: tells sandbox and interface."""
    pod: str
    """``namespace/name``, for messages."""
    inside: str
    """Name in the Pod."""
    inside_index: int
    """Index in the Pod, chosen by us."""
    address: str = ""
    """On its bus, e.g. ``0000:01:10.0``; empty for a device of software, which ends with the Pod's namespace."""
    name: str = ""
    """Name on the node; empty for a function without an interface of the kernel (bound to a user-space driver)."""
    mac: str = ""
    mtu: int = 0
    group: int = 0
    up: bool = False
    returning: bool = False
    """Whether the Pod has let go of it, and it has not come back to the node yet."""
    function: Function | None = None


class Ledger:
    """Every Lent below ``directory``; small files on a tmpfs, so no call blocks for long."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory

    def __iter__(self) -> Iterator[Lent]:
        for path in sorted(self._directory.glob("*" + _SUFFIX)):
            found = _read(path)
            if found is not None:
                yield found

    def get(self, token: str) -> Lent | None:
        """What is lent under ``token``."""
        path = self._path(token)
        return _read(path) if path.exists() else None

    def write(self, lent: Lent) -> None:
        """Write ``lent`` atomically. Raises DatapathError, e.g. when the disk is full."""
        path = self._path(lent.token)
        temporary = path.with_suffix(".tmp")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(lent))
            os.replace(temporary, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise DatapathError(f"cannot note that Pod {lent.pod} has {lent.name or lent.address}: {error}") from error

    def remove(self, token: str) -> None:
        """Forget ``token``; no error when it is not known."""
        try:
            self._path(token).unlink(missing_ok=True)
        except OSError as error:
            raise DatapathError(f"cannot forget that a device was lent: {error}") from error

    def _path(self, token: str) -> Path:
        return self._directory / (token + _SUFFIX)


def _read(path: Path) -> Lent | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Lent)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        log.error("cannot read %s: %s; set aside", path, error)
        with contextlib.suppress(OSError):
            path.rename(path.with_suffix(".broken"))
        return None
