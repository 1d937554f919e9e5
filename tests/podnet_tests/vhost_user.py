"""A small peer of the vhost-user protocol, for either end: `python3 vhost_user.py front|back server|client SOCKET`.

What a program in a Pod and a user-space switch do over the socket in their shared directory, whichever of them made it:
they agree on features, the front end (the Pod's: it drives a virtio network device) hands over its memory and its two
queues as file descriptors, and frames go through them. The back end (the switch) answers each frame with the same
backwards; the front end prints what came back. Stands alone, because Pods run it as it is. Messages: QEMU,
docs/interop/vhost-user; queues: virtio 1.1, 2.6 (split virtqueues) and 5.1.6 (header of a frame).
"""

import dataclasses
import mmap
import os
import select
import socket
import struct
import sys
import time

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_NUM, SET_ADDR, SET_BASE, GET_BASE, SET_KICK, SET_CALL = 8, 9, 10, 11, 12, 13
GET_PROTOCOL, SET_PROTOCOL, SET_ENABLE = 15, 16, 18
VERSION_1, PROTOCOL = 1 << 32, 1 << 30
"""Features: virtio 1.0 and later; that there are features of the protocol."""
REPLY_ACK = 1 << 3
"""The feature of the protocol by which what has no answer is confirmed when asked for."""
_VERSION, _VERSION_MASK, _REPLY, _NEED_REPLY = 0x1, 0x3, 0x4, 0x8
_HEADER, _NUMBER, _STATE, _ADDRESSES = (struct.Struct(f) for f in ("<III", "<Q", "<II", "<IIQQQQ"))
_REGION, _DESCRIPTOR, _USED = struct.Struct("<QQQQ"), struct.Struct("<QIHH"), struct.Struct("<II")
_NEXT, _WRITE, _NO_FD = 1, 2, 1 << 8
RECEIVE, SEND = 0, 1
"""The queues, as the driver sees them."""
_FRAME_HEADER = 12
_SIZE, _QUEUE, _BUFFERS, _BUFFER = 1 << 16, 1 << 12, 1 << 14, 2048
"""Bytes of the front end's memory, of a queue in it, where its buffers begin, and of one."""
_GUEST, _USER = 1 << 20, 1 << 40
"""Where the front end's memory lies in each of its two spaces of addresses; the back end has it elsewhere again."""
_PATIENCE = 30.0
FRAME = bytes(range(64))


@dataclasses.dataclass
class Region:
    """Memory of the front end; `skip` is where it begins in what was handed over."""

    guest: int
    size: int
    user: int
    skip: int
    memory: mmap.mmap


@dataclasses.dataclass
class Queue:
    """A queue, with addresses as the front end knows them."""

    size: int = 0
    descriptors: int = 0
    used: int = 0
    available: int = 0
    next: int = 0
    kick: int = -1
    call: int = -1
    enabled: bool = False


def tell(peer: socket.socket, kind: int, body: bytes, *fds: int, flags: int = _VERSION) -> None:
    """One message, with descriptors."""
    socket.send_fds(peer, [_HEADER.pack(kind, flags, len(body)) + body], list(fds))


def hear(peer: socket.socket) -> tuple[int, int, bytes, list[int]]:
    """The next message: request, flags, body, descriptors; request 0 when the other end is gone."""
    head, fds, _, _ = socket.recv_fds(peer, _HEADER.size, 8, socket.MSG_WAITALL)
    if not head:
        return 0, 0, b"", []
    kind, flags, size = _HEADER.unpack(head)
    if flags & _VERSION_MASK != _VERSION:
        raise ConnectionError(f"a message of version {flags & _VERSION_MASK} came")
    return kind, flags, peer.recv(size, socket.MSG_WAITALL) if size else b"", fds


# The back end.


class Back:
    """Does what the front end says, and answers its frames."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._regions: list[Region] = []
        self._queues = (Queue(), Queue())
        self.frame = b""
        """The last that came."""

    def serve(self) -> None:
        """Until the front end is gone."""
        while True:
            sends = self._queues[SEND]
            ears = [self._peer.fileno(), *([sends.kick] if sends.enabled and sends.kick >= 0 else [])]
            ready, _, _ = select.select(ears, [], [], _PATIENCE)
            if not ready:
                raise TimeoutError("the front end says nothing")
            if sends.kick in ready:
                os.eventfd_read(sends.kick)
                self._exchange()
            if self._peer.fileno() in ready and not self._obey(*hear(self._peer)):
                return

    def _obey(self, kind: int, flags: int, body: bytes, fds: list[int]) -> bool:
        if not kind:
            return False
        answer = {GET_FEATURES: VERSION_1 | PROTOCOL, GET_PROTOCOL: REPLY_ACK}.get(kind)
        if kind == GET_BASE:
            (number, _) = _STATE.unpack(body)
            tell(self._peer, kind, _STATE.pack(number, self._queues[number].next), flags=_VERSION | _REPLY)
        elif answer is not None:
            tell(self._peer, kind, _NUMBER.pack(answer), flags=_VERSION | _REPLY)
        else:
            self._note(kind, body, fds)
            if flags & _NEED_REPLY:
                tell(self._peer, kind, _NUMBER.pack(0), flags=_VERSION | _REPLY)
        return True

    def _note(self, kind: int, body: bytes, fds: list[int]) -> None:
        if kind == SET_MEM_TABLE:
            self._regions = [_region(fd, *_REGION.unpack_from(body, 8 + i * _REGION.size)) for i, fd in enumerate(fds)]
        elif kind in (SET_KICK, SET_CALL):
            (number,) = _NUMBER.unpack(body)
            bell = -1 if number & _NO_FD else fds[0]
            setattr(self._queues[number & 0xFF], "kick" if kind == SET_KICK else "call", bell)
        elif kind == SET_ADDR:
            number, _, descriptors, used, available, _ = _ADDRESSES.unpack(body)
            queue = self._queues[number]
            queue.descriptors, queue.used, queue.available = descriptors, used, available
        elif kind in (SET_NUM, SET_BASE, SET_ENABLE):
            number, value = _STATE.unpack(body)
            setattr(self._queues[number], {SET_NUM: "size", SET_BASE: "next", SET_ENABLE: "enabled"}[kind], value)

    def _place(self, address: int, space: str = "guest") -> tuple[mmap.mmap, int]:
        for one in self._regions:
            start = one.guest if space == "guest" else one.user
            if start <= address < start + one.size:
                return one.memory, one.skip + address - start
        raise ConnectionError(f"the front end has no memory at {address:#x}")

    def _number(self, address: int) -> int:
        memory, at = self._place(address, "user")
        return int(struct.unpack_from("<H", memory, at)[0])

    def _exchange(self) -> None:
        sends = self._queues[SEND]
        while sends.next != self._number(sends.available + 2):
            head, parts = self._chain(sends)
            whole = b"".join(memory[at : at + length] for memory, at, length in parts)
            self.frame = whole[_FRAME_HEADER:]
            self._done(sends, head, 0)
            self._answer(self.frame[::-1])

    def _answer(self, frame: bytes) -> None:
        """In the buffers that the front end offers; without any the frame is lost, as on a wire."""
        receives = self._queues[RECEIVE]
        if not receives.enabled or receives.next == self._number(receives.available + 2):
            return
        head, parts = self._chain(receives)
        left = whole = bytes(_FRAME_HEADER - 2) + b"\1\0" + frame  # one buffer
        for memory, at, length in parts:
            memory[at : at + min(length, len(left))] = left[:length]
            left = left[length:]
        self._done(receives, head, len(whole))

    def _chain(self, queue: Queue) -> tuple[int, list[tuple[mmap.mmap, int, int]]]:
        """The next buffers that the front end offers."""
        head = at = self._number(queue.available + 4 + 2 * (queue.next % queue.size))
        queue.next = (queue.next + 1) & 0xFFFF
        parts = []
        while True:
            memory, offset = self._place(queue.descriptors + at * _DESCRIPTOR.size, "user")
            address, length, flags, at = _DESCRIPTOR.unpack_from(memory, offset)
            parts.append((*self._place(address), length))
            if not flags & _NEXT:
                return head, parts

    def _done(self, queue: Queue, head: int, length: int) -> None:
        memory, at = self._place(queue.used, "user")
        (count,) = struct.unpack_from("<H", memory, at + 2)
        _USED.pack_into(memory, at + 4 + _USED.size * (count % queue.size), head, length)
        struct.pack_into("<H", memory, at + 2, (count + 1) & 0xFFFF)
        if queue.call >= 0:
            os.eventfd_write(queue.call, 1)


def _region(fd: int, guest: int, size: int, user: int, skip: int) -> Region:
    return Region(guest, size, user, skip, mmap.mmap(fd, size + skip))


def back(peer: socket.socket) -> bytes:
    """The switch's end. Returns the last frame that came."""
    served = Back(peer)
    served.serve()
    return served.frame


# The front end.


def ask(peer: socket.socket, kind: int, body: bytes = b"", *fds: int) -> int:
    """A message that is answered or, with a body, confirmed."""
    tell(peer, kind, body, *fds, flags=_VERSION | (_NEED_REPLY if body else 0))
    found, flags, answer, _ = hear(peer)
    if found != kind or not flags & _REPLY:
        raise ConnectionError(f"message {found} with flags {flags:#x} came, not the answer to {kind}")
    return int(_NUMBER.unpack(answer)[0])


def _agree(peer: socket.socket) -> None:
    wanted = VERSION_1 | PROTOCOL
    if ask(peer, GET_FEATURES) & wanted != wanted:
        raise ConnectionError("the back end is older than virtio 1.0, or knows no features of the protocol")
    tell(peer, SET_OWNER, b"")
    if not ask(peer, GET_PROTOCOL) & REPLY_ACK:
        raise ConnectionError("the back end confirms nothing")
    tell(peer, SET_PROTOCOL, _NUMBER.pack(REPLY_ACK))
    tell(peer, SET_FEATURES, _NUMBER.pack(wanted))


def _hand_over(peer: socket.socket, number: int) -> tuple[int, int]:
    """A queue of four; its bells, there and back."""
    at = _USER + number * _QUEUE
    kick, call = os.eventfd(0), os.eventfd(0)
    tell(peer, SET_NUM, _STATE.pack(number, 4))
    tell(peer, SET_BASE, _STATE.pack(number, 0))
    tell(peer, SET_ADDR, _ADDRESSES.pack(number, 0, at, at + 0x800, at + 0x400, 0))
    tell(peer, SET_KICK, _NUMBER.pack(number), kick)
    tell(peer, SET_CALL, _NUMBER.pack(number), call)
    if ask(peer, SET_ENABLE, _STATE.pack(number, 1)):
        raise ConnectionError(f"the back end refuses queue {number}")
    return kick, call


def _offer(memory: mmap.mmap, number: int, length: int, flags: int) -> int:
    """The queue's only buffer; where it is in the memory."""
    at, place = number * _QUEUE, _BUFFERS + number * _BUFFER
    _DESCRIPTOR.pack_into(memory, at, _GUEST + place, length, flags, 0)
    struct.pack_into("<HH", memory, at + 0x402, 1, 0)
    return place


def front(peer: socket.socket) -> bytes:
    """The Pod's end: sends a frame. Returns what came back."""
    fd = os.memfd_create("guest memory")
    os.ftruncate(fd, _SIZE)
    with mmap.mmap(fd, _SIZE) as memory:
        _agree(peer)
        table = struct.pack("<II", 1, 0) + _REGION.pack(_GUEST, _SIZE, _USER, 0)
        if ask(peer, SET_MEM_TABLE, table, fd):
            raise ConnectionError("the back end refuses the memory")
        place = _offer(memory, RECEIVE, _BUFFER, _WRITE)
        _, heard = _hand_over(peer, RECEIVE)
        bell, _ = _hand_over(peer, SEND)
        whole = bytes(_FRAME_HEADER) + FRAME
        start = _offer(memory, SEND, len(whole), 0)
        memory[start : start + len(whole)] = whole
        os.eventfd_write(bell, 1)
        if not select.select([heard], [], [], _PATIENCE)[0]:
            raise TimeoutError("no frame came")
        _, length = _USED.unpack_from(memory, RECEIVE * _QUEUE + 0x804)
        return memory[place + _FRAME_HEADER : place + length]


def connected(role: str, path: str) -> socket.socket:
    """The socket to the other end; the server makes it, the client waits for it."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if role == "server":
        with peer as listener:
            listener.bind(path)
            os.chmod(path, 0o777)
            listener.listen()
            listener.settimeout(_PATIENCE)
            peer, _ = listener.accept()
    else:
        end = time.monotonic() + _PATIENCE
        while peer.connect_ex(path):
            if time.monotonic() > end:
                raise TimeoutError(f"nobody listens at {path}")
            time.sleep(0.02)
    peer.settimeout(_PATIENCE)
    return peer


if __name__ == "__main__":
    with connected(sys.argv[2], sys.argv[3]) as other:
        print({"front": front, "back": back}[sys.argv[1]](other).hex())
