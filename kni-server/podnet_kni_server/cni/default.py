"""The second hook's files on the node: our own configuration before the cluster's, which always stays where it is.

A runtime takes the first file of its directory. Ours is there only while the server serves and the cluster has
a network of its own to fall back upon: it is withdrawn when the server stops, and never the only one. Files are
written whole under a name that no runtime reads, and renamed.
"""

import contextlib
import os
from pathlib import Path

import msgspec
from podnet_api.errors import PodnetError

from podnet_kni_server.cni import config, files
from podnet_kni_server.cni.errors import ConfigError

NAME = "podnet"
PROGRAM = "podnet-cni"
SHIM = Path("/usr/local/bin") / PROGRAM
"""Where our own image has it."""
FILE = "00-00-podnet.conflist"
ANNOTATIONS = "io.kubernetes.cri.pod-annotations"
"""Capability by which containerd and CRI-O hand over the annotations of a Pod."""
_CAPABILITIES = ("portMappings", "bandwidth", "dns", "ipRanges", "ips", "mac", "aliases", "cgroupPath", ANNOTATIONS)


class InstallError(PodnetError):
    """The shim or its configuration cannot be written."""


def content(socket: str) -> bytes:
    """Our configuration. Old runtimes read cniVersion alone."""
    plugin = {"type": PROGRAM, "socket": socket, "capabilities": dict.fromkeys(_CAPABILITIES, True)}
    whole = {"cniVersion": "1.0.0", "cniVersions": ["1.0.0", "1.1.0"], "name": NAME, "plugins": [plugin]}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def cluster_text(directory: Path) -> str:
    """The cluster's own configuration: the first that a runtime could use, but for ours. Raises ConfigError."""
    for file in files.every(directory):
        with contextlib.suppress(ConfigError):
            if file.name != FILE and config.reference(file.text, "") is None:
                config.parse(file.text)
                return file.text
    raise ConfigError(f"cannot find the cluster's own CNI configuration in {directory}")


def publish(directory: Path, socket: str) -> bool:
    """Have our configuration in the directory if the cluster's own is there, else not; whether it is there now.

    Raises InstallError.
    """
    try:
        cluster_text(directory)
    except ConfigError:
        withdraw(directory)
        return False
    if _read(directory / FILE) != content(socket):
        _write(directory / FILE, content(socket), 0o644)
    return True


def withdraw(directory: Path) -> None:
    """Take our configuration away; no error when it is not there. Raises InstallError."""
    try:
        (directory / FILE).unlink(missing_ok=True)
    except OSError as error:
        raise InstallError(f"cannot withdraw {directory / FILE}: {error}") from error


def install(program: Path, directory: Path) -> None:
    """Put the shim into the node's directory of plugins. One that runs is not disturbed. Raises InstallError."""
    target = directory / PROGRAM
    try:
        wanted = program.read_bytes()
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InstallError(f"cannot install {program} in {directory}: {error}") from error
    if _read(target) != wanted or not os.access(target, os.X_OK):
        _write(target, wanted, 0o755)


def uninstall(configurations: Path, programs: Path) -> None:
    """Take the configuration and then the shim away."""
    withdraw(configurations)
    with contextlib.suppress(FileNotFoundError):
        (programs / PROGRAM).unlink()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _write(path: Path, text: bytes, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(text)
        temporary.chmod(mode)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise InstallError(f"cannot write {path}: {error}") from error
