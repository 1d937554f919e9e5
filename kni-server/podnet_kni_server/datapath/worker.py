"""One thread of the datapath's own, for everything that blocks or enters namespaces. The event loop never does.

setns works on the calling thread alone. So only this thread calls it, never across an await, and nothing
is started inside a foreign namespace. A thread that cannot come home must not go on: the process ends.
"""

import asyncio
import collections
import contextlib
import ctypes
import errno
import functools
import os
import queue
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from podnet_kni_server.datapath import mounts
from podnet_kni_server.datapath.channel import Channel
from podnet_kni_server.datapath.errors import DatapathError, NetnsMissing

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
_QUEUE_LIMIT = 64
_PATIENCE = 0.003
"""Seconds that the event loop sleeps for a quick call: two to three times what one takes."""
_MOMENT = 0.002
_SPENT_LIMIT = 8
"""What four Pods leave to be closed."""
_OWN_NETNS = "/proc/thread-self/ns/net"
"""Not /proc/self: that is the main thread's."""
_libc = ctypes.CDLL(None, use_errno=True)


def setns(fd: int) -> None:
    """Move this thread into the network namespace behind `fd`."""
    if sys.version_info >= (3, 12):
        os.setns(fd, CLONE_NEWNET)
    elif _libc.setns(fd, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def unshare() -> None:
    """Move this thread into a new network namespace."""
    if _libc.unshare(CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def understanding() -> Iterator[None]:
    """What the kernel sent and cannot be taken apart becomes a DatapathError."""
    try:
        yield
    except _STRANGE as error:
        raise _not_understood(error) from error


def _not_understood(error: Exception) -> DatapathError:
    return DatapathError(f"cannot understand the kernel's answer: {error!r}")


_STRANGE = (struct.error, IndexError, ValueError)


class _Gate:
    """Where the event loop sleeps for the answer of a quick call, and the answer."""

    __slots__ = ("_began", "_lock", "answered", "error", "future", "result", "watched")

    def __init__(self, watched: bool) -> None:
        self.watched = watched
        self.answered = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.future: asyncio.Future[Any] | None = None
        """Of a call that nobody watches; made in the event loop when it has lost its patience."""
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._lock.acquire()

    def watch(self) -> None:
        """In the event loop: sleep until there is the answer, or for as long as may be. One that loses its patience
        says so first and then looks whether there is an answer, the thread does it the other way round."""
        self._lock.acquire(timeout=_PATIENCE)
        self.watched = False

    def opened(self) -> bool:
        """In the thread, when the answer is there: wakes the event loop, if that is here; else it needs the bell."""
        self.answered = True
        watched = self.watched
        self._lock.release()
        return watched

    def settle(self) -> None:
        """In the event loop, called by the bell. Who has seen the answer already, or waits no more, needs nothing."""
        if self.future is None or self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)

    def outcome(self) -> Any:
        """The result. Raises: what the call did."""
        if self.error is not None:
            raise self.error
        return self.result

    def age(self) -> float:
        """Seconds since the call."""
        return time.monotonic() - self._began


class Worker:
    """The thread, and its home namespace: the node's (`node_netns` None) or the one at that path."""

    def __init__(self, node_netns: str | None = None) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._answers: collections.deque[Callable[[], None]] = collections.deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        # Half as dear as loop.call_soon_threadsafe, whose socket pair is written and read until it is empty.
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._node_netns = node_netns
        self._home = -1
        self._closed = False
        self._begun = self._done = 0
        """Calls: counted by the event loop as they begin, by the thread when they are done."""
        self._brisk = True
        """Whether the last quick call was one."""
        self._spent: collections.deque[Callable[[], None]] = collections.deque()
        self._thread = threading.Thread(target=self._run, name="podnet-datapath", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            job()
            del job  # or what it holds lives until the next one comes
        self._clean_up()

    def _next(self) -> Callable[[], object] | None:
        """The next job. What is spent waits until none comes for a moment: who has just been answered needs the
        interpreter more, and so does the next Pod of a row."""
        if 0 < len(self._spent) < _SPENT_LIMIT:
            with contextlib.suppress(queue.Empty):
                return self._jobs.get(timeout=_MOMENT)
        self._clean_up()
        return self._jobs.get()

    def _clean_up(self) -> None:
        while self._spent:
            with contextlib.suppress(OSError):
                self._spent.popleft()()

    async def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Run `function` in the thread, after every earlier call. Cancelling only drops the answer."""
        made: T = await self._wait(self._put(_Gate(False), function, arguments))
        return made

    async def quick(self, function: Callable[..., T], *arguments: object) -> T:
        """Like call, for what takes a millisecond and is waited for: the event loop sleeps that long itself, at a lock,
        which is the shortest way for an answer. It never does so longer than _PATIENCE, and not at all when the thread
        is busy or the last quick call took longer: a kernel that is held up by others holds up no event loop."""
        gate = self._put(_Gate(self._brisk and self._begun == self._done), function, arguments)
        try:
            if gate.watched:
                gate.watch()
            made: T = gate.outcome() if gate.answered else await self._wait(gate)
            return made
        finally:
            self._brisk = gate.age() < _PATIENCE

    async def _wait(self, gate: _Gate) -> Any:
        """The answer that the bell brings."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            loop.add_reader(self._bell, self._hear)
            self._loop = loop
        gate.future = loop.create_future()
        return await gate.future

    def _put(self, gate: _Gate, function: Callable[..., T], arguments: Sequence[object]) -> _Gate:
        def job() -> None:
            try:
                gate.result = function(*arguments)
            except _STRANGE as error:
                gate.error = _caused(_not_understood(error), error)
            except BaseException as error:  # noqa: BLE001 - it is raised again where the call was made
                gate.error = error
            self._done += 1
            if not gate.opened():
                self._answers.append(gate.settle)
                os.eventfd_write(self._bell, 1)

        self._begun += 1
        self._jobs.put(job)
        return gate

    def _hear(self) -> None:
        """In the event loop: the bell rang."""
        os.eventfd_read(self._bell)
        self._hand_over()

    def _hand_over(self) -> None:
        """Give the answers that are there to those who wait."""
        while self._answers:
            self._answers.popleft()()

    def post(self, function: Callable[..., object], *arguments: object) -> None:
        """Run `function` in the thread some time; nobody waits for it, and it must not fail.

        When many wait already, it is left out: so only for what may be.
        """
        if self._jobs.qsize() < _QUEUE_LIMIT and not self._closed:
            self._jobs.put(functools.partial(function, *arguments))

    async def close(self) -> None:
        """End the threads after the calls under way."""
        if self._closed:
            return
        self._closed = True
        await self.call(self._leave)
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        asyncio.get_running_loop().remove_reader(self._bell)
        os.close(self._bell)

    def afterwards(self, close: Callable[[], None]) -> None:
        """Called in the thread: give something back when the answer is on its way, which need not wait for it."""
        self._spent.append(close)

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
        """A Pod's namespace, for a with block."""
        _ = self.home
        return Pod(self, _open(netns_path), netns_path)

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
    """A Pod's namespace while it is worked on: its descriptor and a channel inside, made when first used."""

    def __init__(self, worker: Worker, fd: int, path: str) -> None:
        self._worker = worker
        self._path = path
        self._channel: Channel | None = None
        self.fd = fd

    def __enter__(self) -> "Pod":
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.afterwards(self._close)

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        os.close(self.fd)

    @property
    def channel(self) -> Channel:
        """A channel inside; the thread that asks is at home again."""
        if self._channel is None:
            self._channel = self._worker.visit(self.fd, self._path, Channel)
        return self._channel

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
    with open(f"/proc/sys/{name}") as file:
        former = file.read().strip()
    if former != value:
        _write_sysctl(name, value)
    return former


def _write_sysctl(name: str, value: str) -> None:
    try:
        with open(f"/proc/sys/{name}", "w") as file:
            file.write(value)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        with mounts.fresh("proc") as root, open(os.open(f"sys/{name}", os.O_WRONLY, dir_fd=root), "w") as file:
            file.write(value)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NetnsMissing(f"cannot open the namespace {path}: {error.strerror}") from error


def _caused(error: DatapathError, cause: Exception) -> DatapathError:
    error.__cause__ = cause
    return error
