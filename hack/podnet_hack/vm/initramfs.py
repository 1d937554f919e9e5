"""The first file system of the VM: just enough to mount this machine's own files as the root. Pure but for reading."""

import gzip
import pathlib
import stat
from collections.abc import Iterable, Mapping

from podnet_hack.vm.machine import Machine

MODULES = ("9pnet_virtio", "9p", "overlay")
"""What the way to the root file system needs; everything else is loaded from there."""
INIT = pathlib.Path(__file__).with_name("init.sh")

Entries = Mapping[str, tuple[int, bytes]]
"""Mode and content by path."""


def build(machine: Machine, settings: Mapping[str, str]) -> bytes:
    """The archive for QEMU's -initrd; `settings` are shell variables for init.sh."""
    lines = "".join(f"{name}='{value}'\n" for name, value in settings.items())
    entries = {
        "bin": (stat.S_IFDIR | 0o755, b""),
        "bin/busybox": (stat.S_IFREG | 0o755, machine.busybox.read_bytes()),
        "modules": (stat.S_IFDIR | 0o755, b""),
        "settings": (stat.S_IFREG | 0o644, lines.encode()),
        "init": (stat.S_IFREG | 0o755, INIT.read_bytes()),
    }
    for number, path in enumerate(load_order(machine.modules, MODULES)):
        entries[f"modules/{number:02}"] = (stat.S_IFREG | 0o644, (machine.modules / path).read_bytes())
    return gzip.compress(_cpio(entries), compresslevel=1)


def load_order(modules: pathlib.Path, names: Iterable[str]) -> list[str]:
    """Paths of these modules and of what they need, each after what it needs (modules.dep lists that in reverse)."""
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[pathlib.Path(path).name.partition(".")[0]] = [*reversed(others.split()), path]
    return list(dict.fromkeys(path for name in names for path in needs[name]))


def _cpio(entries: Entries) -> bytes:
    """An archive of the "new" ASCII format (Linux, Documentation/driver-api/early-userspace/buffer-format.rst)."""
    parts = [_record(number + 1, name, *entry) for number, (name, entry) in enumerate(entries.items())]
    return b"".join([*parts, _record(0, "TRAILER!!!", 0, b"")])


def _record(inode: int, name: str, mode: int, content: bytes) -> bytes:
    encoded = name.encode() + b"\0"
    links, checksum = 1, 0
    fields = (inode, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(encoded), checksum)
    head = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(head + encoded) + _padded(content)


def _padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % 4)
