"""One thread of the datapath's own, for everything that blocks or enters namespaces. The event loop never does.

setns works on the calling thread alone. So only this thread calls it, never across an await, and nothing
is started inside a foreign namespace. A thread that cannot come home must not go on: the process ends.
"""

import asyncio
import contextlib
import ctypes
import functools
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from podnet_kni_server.datapath.channel import Channel
from podnet_kni_server.datapath.errors import DatapathError, NetnsMissing

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
_OWN_NETNS = "/proc/thread-self/ns/net"
"""Not /proc/self: that is the main thread's."""
_libc = ctypes.CDLL(None, use_errno=True)


def setns(fd: int) -> None:
    """Move this thread into the network namespace behind `fd`."""
    if _libc.setns(fd, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def unshare() -> None:
    """Move this thread into a new network namespace."""
    if _libc.unshare(CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Worker:
    """The thread, and its home namespace: the node's (`node_netns` None) or the one at that path."""

    def __init__(self, node_netns: str | None = None) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._node_netns = node_netns
        self._home = -1
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="podnet-datapath", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    async def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Run `function` in the thread, after every earlier call. Cancelling only drops the answer."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                result = function(*arguments)
            except BaseException as error:  # noqa: BLE001 - it is raised again where the call was made
                _tell(loop, _fail, future, error)
            else:
                _tell(loop, _succeed, future, result)

        self._jobs.put(job)
        return await future

    def post(self, function: Callable[..., object], *arguments: object) -> None:
        """Run `function` in the thread some time; nobody waits for it, and it must not fail."""
        self._jobs.put(functools.partial(function, *arguments))

    async def close(self) -> None:
        """End the thread after the calls under way."""
        if not self._closed:
            self._closed = True
            await self.call(self._leave)
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)

    def _leave(self) -> None:
        if self._home >= 0:
            os.close(self._home)
            self._home = -1

    @property
    def home(self) -> int:
        """The node's namespace; the thread enters it when it is first asked for."""
        if self._home < 0:
            if self._node_netns is not None:
                fd = _open(self._node_netns)
                try:
                    setns(fd)
                finally:
                    os.close(fd)
            self._home = _open(_OWN_NETNS)
        return self._home

    @contextlib.contextmanager
    def scratch(self) -> Iterator[None]:
        """The thread is in a new, empty namespace, which goes away at the end of the with block."""
        home = self.home
        unshare()
        try:
            yield
        finally:
            self._return(home)

    def pod(self, netns_path: str) -> "Pod":
        """A Pod's namespace with a channel in it, for a with block; the thread itself is at home again."""
        fd = _open(netns_path)
        try:
            return Pod(self, fd, netns_path, self.visit(fd, netns_path, Channel))
        except BaseException:
            os.close(fd)
            raise

    def visit(self, fd: int, netns_path: str, function: Callable[..., T], *arguments: object) -> T:
        """Run `function` inside the namespace behind `fd`."""
        home = self.home
        try:
            setns(fd)
        except OSError as error:
            raise DatapathError(f"cannot enter {netns_path}: {error.strerror}") from error
        try:
            return function(*arguments)
        finally:
            self._return(home)

    def _return(self, home: int) -> None:
        try:
            setns(home)
        except OSError as error:
            # Whatever this thread did next would happen to a Pod instead of the node.
            print(f"podnet-datapath: cannot return to the node's namespace: {error}", file=sys.stderr, flush=True)
            os._exit(70)


class Pod:
    """A Pod's namespace while it is worked on: its descriptor and a channel inside."""

    def __init__(self, worker: Worker, fd: int, path: str, channel: Channel) -> None:
        self._worker = worker
        self._path = path
        self.fd = fd
        self.channel = channel

    def __enter__(self) -> "Pod":
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        os.close(self.fd)

    def sysctl(self, name: str, value: str) -> str:
        """Set a kernel parameter of the namespace and answer what it was. `name` is its path under /proc/sys."""
        return self.inside(sysctl, name, value)

    def inside(self, function: Callable[..., T], *arguments: object) -> T:
        """Run `function` with the thread in the namespace."""
        return self._worker.visit(self.fd, self._path, function, *arguments)


def sysctl(name: str, value: str) -> str:
    """Set a kernel parameter of the namespace where the thread is, unless it is so already; answer what it was.

    Raises: FileNotFoundError where the kernel does not have it.
    """
    with open(f"/proc/sys/{name}", "r+") as file:
        former = file.read().strip()
        if former != value:
            file.seek(0)  # the kernel ignores what is written further on
            file.write(value)
    return former


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NetnsMissing(f"cannot open the namespace {path}: {error.strerror}") from error


def _tell(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(function, *arguments)


def _succeed(future: "asyncio.Future[T]", result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[T]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
