"""What a virtual machine does with its end of a tap or macvtap: opens the device, reads and writes frames."""

import contextlib
import fcntl
import os
import pathlib
import stat
import struct
import time
from collections.abc import Callable, Iterator

from netns.lab import Place
from podnet_kni_server.details import Device

MARK = b"<the mark of this frame>"
OFFLOAD = bytes(10)
"""struct virtio_net_hdr: stands before each frame of a macvtap."""
_TUNSETIFF, _TAP, _NO_INFO = 0x400454CA, 0x0002, 0x1000


@contextlib.contextmanager
def behind_tap(pod: Place, name: str) -> Iterator[int]:
    """The tap with this name, opened."""

    def opened() -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP | _NO_INFO))
        return fd

    fd = pod.inside(opened)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def behind_macvtap(device: Device, directory: pathlib.Path) -> Iterator[int]:
    """The macvtap with this device, opened through a node of it in the directory."""
    path = directory / "tap"
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(device.major, device.minor))
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)


def reads(fd: int, mark: bytes, patience: float = 2.0) -> bool:
    """Whether a frame with the mark comes to the guest in time."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            if mark in os.read(fd, 4096):
                return True
            continue
        time.sleep(0.01)
    return False


def until_heard(fd: int, frame: bytes, heard: Callable[[bytes, float], bool]) -> bool:
    """Whether the guest's frame, which has MARK, is heard. A device that was just opened needs a moment for its
    carrier."""
    for _ in range(20):
        with contextlib.suppress(OSError):
            os.write(fd, frame)
        if heard(MARK, 0.1):
            return True
    return False
