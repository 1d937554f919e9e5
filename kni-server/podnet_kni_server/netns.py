"""Network namespaces for CreateNetwork and DeleteNetwork: made in a thread of their own that ends after.

A thread that has left its namespace must never serve anything else, and a forked child crashes a gRPC
server: so each call starts one thread, which does its work without a pause and dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from podnet_api.errors import PodnetError

_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MNT_DETACH = 2
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_libc = ctypes.CDLL(None, use_errno=True)


class NetnsError(PodnetError):
    """A namespace cannot be made or removed."""


async def create(path: Path) -> None:
    """Make a namespace at ``path`` with its loopback up; one that is there already is kept."""
    if is_namespace(path):
        return
    await _in_thread(lambda: _create(path))


async def delete(path: Path) -> None:
    """Remove the namespace at ``path``; no error when it is not there."""
    await _in_thread(lambda: _delete(path))


def is_namespace(path: Path) -> bool:
    """Whether a namespace is mounted at ``path``: its file lies on nsfs, not on the directory's file system."""
    try:
        return path.stat().st_dev != path.parent.stat().st_dev
    except OSError:
        return False


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.touch(mode=0o444)
    try:
        _check(_libc.unshare(_CLONE_NEWNET), "unshare")
        _loopback_up()
        source = b"/proc/thread-self/ns/net"
        _check(_libc.mount(source, os.fsencode(path), None, _MS_BIND, None), "mount")
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _delete(path: Path) -> None:
    if _libc.umount2(os.fsencode(path), _MNT_DETACH) != 0 and ctypes.get_errno() not in {errno.EINVAL, errno.ENOENT}:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "umount")
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), what)


async def _in_thread(work: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def run() -> None:
        try:
            work()
        except OSError as error:
            loop.call_soon_threadsafe(_settle, done, error)
        else:
            loop.call_soon_threadsafe(_settle, done, None)

    threading.Thread(target=run, name="netns", daemon=True).start()
    try:
        await done
    except OSError as error:
        raise NetnsError(f"cannot make or remove a network namespace: {error}") from error


def _settle(done: asyncio.Future[None], error: OSError | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
