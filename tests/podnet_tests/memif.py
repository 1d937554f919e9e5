"""A small peer of the memif protocol, version 2.0, for either end: `python3 memif.py master|slave SOCKET`.

What a user-space switch and a program in a Pod do over the socket in their shared directory: they greet each other,
the slave hands over its memory and its rings as file descriptors, and frames go through them. The master answers one
frame with the same backwards; the slave prints what came back. Stands alone, because Pods run it as it is. Messages and
layout of the rings: libmemif, memif.h.
"""

import mmap
import os
import socket
import struct
import sys
import time

ACK, HELLO, INIT, ADD_REGION, ADD_RING, CONNECT, CONNECTED = range(1, 8)
VERSION, COOKIE, TO_MASTER = 2 << 8, 0x3E31F20, 1
_MESSAGE = 128
_HELLO, _INIT, _REGION, _RING = (struct.Struct(f) for f in ("<32sHHHHHB", "<HIB24s32s", "<HQ", "<HHHIBH"))
_HEAD, _TAIL, _DESCRIPTOR = 6, 64, struct.Struct("<HHIII")
_RINGS, _LOG2 = 128, 2
"""Where descriptors begin in a ring; the logarithm of how many there are."""
_RING_SIZE = _RINGS + (_DESCRIPTOR.size << _LOG2)
_BUFFER = 2048
FRAME = bytes(range(64))


class Ring:
    """A ring in the shared memory, at an offset."""

    def __init__(self, memory: mmap.mmap, at: int, size: int) -> None:
        self._memory = memory
        self._at = at
        self._mask = (1 << size) - 1

    def get(self, where: int) -> int:
        """Head or tail."""
        return int(struct.unpack_from("<H", self._memory, self._at + where)[0])

    def set(self, where: int, value: int) -> None:
        """Move it on."""
        struct.pack_into("<H", self._memory, self._at + where, value & 0xFFFF)

    def wait(self, where: int, beyond: int) -> None:
        """Until the other end has moved it."""
        end = time.monotonic() + 10
        while self.get(where) == beyond:
            if time.monotonic() > end:
                raise TimeoutError("no frame came")
            time.sleep(0.001)

    def slot(self, number: int) -> tuple[int, int]:
        """Offset and length of a descriptor's buffer."""
        _, _, length, offset, _ = _DESCRIPTOR.unpack_from(self._memory, self._place(number))
        return offset, length

    def describe(self, number: int, offset: int, length: int) -> None:
        """Fill a descriptor."""
        _DESCRIPTOR.pack_into(self._memory, self._place(number), 0, 0, length, offset, 0)

    def _place(self, number: int) -> int:
        return self._at + _RINGS + (number & self._mask) * _DESCRIPTOR.size


def tell(peer: socket.socket, kind: int, body: bytes = b"", *fds: int) -> None:
    """One message, with descriptors."""
    socket.send_fds(peer, [struct.pack("<H", kind).ljust(2) + body.ljust(_MESSAGE - 2, b"\0")], list(fds))


def hear(peer: socket.socket, kind: int) -> tuple[bytes, list[int]]:
    """The body of the message of this kind that comes next, and its descriptors."""
    data, fds, _, _ = socket.recv_fds(peer, _MESSAGE, 2)
    (found,) = struct.unpack_from("<H", data)
    if (len(data), found) != (_MESSAGE, kind):
        raise ConnectionError(f"a message of {len(data)} bytes and kind {found} came, not {kind}")
    return data[2:], fds


def master(path: str) -> bytes:
    """Listen, take what one slave brings, and answer its frame. Returns the frame."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        os.chmod(path, 0o777)
        listener.listen()
        listener.settimeout(30)
        peer, _ = listener.accept()
    with peer:
        tell(peer, HELLO, _HELLO.pack(b"podnet-test", VERSION, VERSION, 0, 0, 0, 10))
        version, *_ = _INIT.unpack_from(hear(peer, INIT)[0])
        if version != VERSION:
            raise ConnectionError(f"the slave speaks version {version:#x}")
        tell(peer, ACK)
        body, (fd, *_) = hear(peer, ADD_REGION)
        _, size = _REGION.unpack_from(body)
        tell(peer, ACK)
        with mmap.mmap(fd, size) as memory:
            rings = dict(_taken(peer, memory) for _ in range(2))
            hear(peer, CONNECT)
            tell(peer, CONNECTED, b"podnet-test")
            frame = _receive(rings[True], memory)
            _answer(rings[False], memory, frame[::-1])
            peer.recv(_MESSAGE)  # until the slave is gone
        return frame


def _taken(peer: socket.socket, memory: mmap.mmap) -> tuple[bool, Ring]:
    flags, _, _, offset, size, _ = _RING.unpack_from(hear(peer, ADD_RING)[0])
    if struct.unpack_from("<I", memory, offset)[0] != COOKIE:
        raise ConnectionError("the ring has no cookie")
    tell(peer, ACK)
    return bool(flags & TO_MASTER), Ring(memory, offset, size)


def _receive(ring: Ring, memory: mmap.mmap) -> bytes:
    tail = ring.get(_TAIL)
    ring.wait(_HEAD, tail)
    offset, length = ring.slot(tail)
    frame = memory[offset : offset + length]
    ring.set(_TAIL, tail + 1)
    return frame


def _answer(ring: Ring, memory: mmap.mmap, frame: bytes) -> None:
    """In the buffer that the slave offers."""
    tail = ring.get(_TAIL)
    ring.wait(_HEAD, tail)
    offset, _ = ring.slot(tail)
    memory[offset : offset + len(frame)] = frame
    ring.describe(tail, offset, len(frame))
    ring.set(_TAIL, tail + 1)


def slave(path: str) -> bytes:
    """Connect, bring memory and rings, send a frame. Returns what came back."""
    size = 2 * _RING_SIZE + 2 * _BUFFER
    fd = os.memfd_create("memif region 0")
    os.ftruncate(fd, size)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer, mmap.mmap(fd, size) as memory:
        peer.settimeout(30)
        peer.connect(path)
        hear(peer, HELLO)
        tell(peer, INIT, _INIT.pack(VERSION, 0, 0, b"", b"podnet-test"))
        hear(peer, ACK)
        tell(peer, ADD_REGION, _REGION.pack(0, size), fd)
        hear(peer, ACK)
        there, back = (_brought(peer, memory, number) for number in range(2))
        back.describe(0, size - _BUFFER, _BUFFER)
        back.set(_HEAD, 1)
        tell(peer, CONNECT, b"podnet-test")
        hear(peer, CONNECTED)
        memory[2 * _RING_SIZE : 2 * _RING_SIZE + len(FRAME)] = FRAME
        there.describe(0, 2 * _RING_SIZE, len(FRAME))
        there.set(_HEAD, 1)
        back.wait(_TAIL, 0)
        offset, length = back.slot(0)
        return memory[offset : offset + length]


def _brought(peer: socket.socket, memory: mmap.mmap, number: int) -> Ring:
    """The first leads to the master."""
    at = number * _RING_SIZE
    struct.pack_into("<I", memory, at, COOKIE)
    bell = os.eventfd(0)
    tell(peer, ADD_RING, _RING.pack(0 if number else TO_MASTER, 0, 0, at, _LOG2, 0), bell)
    hear(peer, ACK)
    return Ring(memory, at, _LOG2)


if __name__ == "__main__":
    print({"master": master, "slave": slave}[sys.argv[1]](sys.argv[2]).hex())
