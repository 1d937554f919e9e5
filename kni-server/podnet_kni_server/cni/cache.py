"""What is remembered of each attachment by plugins: enough to take it away again, whatever has changed since.

One file for each (sandbox, interface), written before the first plugin runs and again with the result. It lies on
a disk: leases of plugins such as host-local outlive a restart of the node, so what undoes them must, too. Files
are written whole under another name and renamed.
"""

import contextlib
import hashlib
import logging
import os
import time
from pathlib import Path

import msgspec
from podnet_api.meta import Model

from podnet_kni_server.cni import document
from podnet_kni_server.cni.request import Pod, Request
from podnet_kni_server.errors import CheckpointError

log = logging.getLogger(__name__)
_SUFFIX = ".json"


class Entry(Model, frozen=True, kw_only=True):
    """One attachment. `config` is the network configuration as it was used, `folder` its further plugins by the
    names of their files; `args`, `capabilities` and `result` are JSON. No result: an ADD did not come to its end."""

    sandbox: str
    namespace: str
    name: str
    uid: str = ""
    netns: str = ""
    interface: str
    network: str
    config: str
    folder: dict[str, str] = {}
    mac: str = ""
    addresses: list[str] = []
    args: str = "{}"
    capabilities: str = "{}"
    device: str = ""
    result: str = ""
    runtime: bool = False
    """Whether the container runtime asked for it (second hook), which then asks for its DEL, too."""
    made: int = 0
    """When, in seconds since 1970."""

    @property
    def request(self) -> Request:
        """As it was asked."""
        return Request(
            pod=Pod(self.sandbox, self.namespace, self.name, self.uid),
            netns=self.netns,
            interface=self.interface,
            mac=self.mac,
            addresses=tuple(self.addresses),
            args=document.decode(self.args, ValueError),
            capabilities=document.decode(self.capabilities, ValueError),
            device=self.device,
        )


def entry(request: Request, network: str, config: str, folder: dict[str, str], *, runtime: bool = False) -> Entry:
    """What is remembered before the first plugin runs."""
    return Entry(
        sandbox=request.pod.sandbox,
        namespace=request.pod.namespace,
        name=request.pod.name,
        uid=request.pod.uid,
        netns=request.netns,
        interface=request.interface,
        network=network,
        config=config,
        folder=folder,
        mac=request.mac,
        addresses=list(request.addresses),
        args=msgspec.json.encode(request.args).decode(),
        capabilities=msgspec.json.encode(request.capabilities).decode(),
        device=request.device,
        runtime=runtime,
        made=int(time.time()),
    )


class Cache:
    """The entries below `directory` (mode 0700, files 0600): configurations may hold secrets."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._entries: dict[tuple[str, str], Entry] = {}

    def open(self) -> None:
        """Make the directory, drop what a killed write left and read the rest. Raises CheckpointError."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.chmod(0o700)
            for path in self._directory.glob("*.tmp"):
                path.unlink()
            found = [read for path in sorted(self._directory.glob("*" + _SUFFIX)) if (read := _read(path))]
        except OSError as error:
            raise CheckpointError(f"cannot open the cache of CNI results in {self._directory}: {error}") from error
        self._entries = {(one.sandbox, one.interface): one for one in found}

    def get(self, sandbox: str, interface: str) -> Entry | None:
        """What is known of an attachment."""
        return self._entries.get((sandbox, interface))

    def entries(self) -> list[Entry]:
        """Every attachment."""
        return list(self._entries.values())

    def put(self, one: Entry) -> None:
        """Remember. Raises CheckpointError, e.g. when the disk is full."""
        path = self._path(one.sandbox, one.interface)
        temporary = path.with_suffix(".tmp")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(msgspec.json.encode(one))
            os.replace(temporary, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise CheckpointError(
                f"cannot remember interface {one.interface} of sandbox {one.sandbox}: {error}"
            ) from error
        self._entries[one.sandbox, one.interface] = one

    def remove(self, sandbox: str, interface: str) -> None:
        """Forget; no error when it is not known. Raises CheckpointError."""
        try:
            self._path(sandbox, interface).unlink(missing_ok=True)
        except OSError as error:
            raise CheckpointError(f"cannot forget interface {interface} of sandbox {sandbox}: {error}") from error
        self._entries.pop((sandbox, interface), None)

    def _path(self, sandbox: str, interface: str) -> Path:
        # Both names are as others chose them; a hash is a legal file name whatever they are.
        return self._directory / (hashlib.sha256(f"{sandbox}/{interface}".encode()).hexdigest()[:32] + _SUFFIX)


def _read(path: Path) -> Entry | None:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Entry)
        _ = found.request
    except (OSError, ValueError) as error:
        log.error("cannot read %s: %s; set aside", path, error)
        with contextlib.suppress(OSError):
            path.rename(path.with_suffix(".broken"))
        return None
    return found
