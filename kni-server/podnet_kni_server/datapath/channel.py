"""A netlink socket that sends many messages at once and says which of them failed.

Used from the worker's thread only: it blocks. The kernel carries out a batch inside sendmsg, message by
message, going on after a failure; so one acknowledgement, of the last message, tells that all are done.
"""

import errno
import os
import socket
from collections.abc import Sequence
from typing import NamedTuple

from podnet_kni_server.datapath import netlink
from podnet_kni_server.datapath.errors import NetlinkError

ROUTE, NETFILTER = 0, 12
"""Netlink families."""
_SOL_NETLINK, _EXT_ACK = 270, 11
_TYPE = socket.SOCK_RAW | socket.SOCK_CLOEXEC
_RECEIVE = 1 << 15
"""The kernel's dumps come in pieces of at most this size."""
_ATTEMPTS = 5
_NO_ANSWER = "no answer from the kernel"
_pack_header = netlink.HEADER.pack


class Request(NamedTuple):
    """One message to send. `what` is a format string and its arguments, put together only for an error."""

    kind: int
    flags: int
    body: bytes
    what: tuple[object, ...]

    def describe(self) -> str:
        """What the message does, as in "add address 10.1.0.5/24 to net1"."""
        return str(self.what[0]) % self.what[1:]


class Answer:
    """What came back for a batch: errors by the place of their request, and the data in order."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        self.errors: dict[int, NetlinkError] = {}
        self.data: list[tuple[int, int, bytes]] = []
        """(place of the request, type, body)"""
        self.interrupted = False
        """The kernel's tables changed during a dump: it may lack something."""

    def fail(self, place: int, number: int, text: str) -> None:
        """Record that the request at `place` was refused."""
        words = os.strerror(number) + (f" ({text})" if text else "")
        self.errors.setdefault(place, NetlinkError(self._requests[place].describe(), number, words))

    def take(self, received: bytes, first: int, last: int) -> bool:
        """What one recv gave; whether the request at the place `last` is answered. `first`: sequence of the first."""
        for kind, flags, sequence, body in netlink.messages(received):
            place = sequence - first
            if not 0 <= place <= last:
                continue  # the late answer of a batch that was given up
            self.interrupted |= bool(flags & netlink.DUMP_INTERRUPTED)
            if kind == netlink.NLMSG_ERROR:
                number, text = netlink.error(body, flags)
                if number:
                    self.fail(place, number, text)
            elif kind != netlink.NLMSG_DONE:
                self.data.append((place, kind, body))
                continue
            if place == last:
                return True
        return False

    def check(self) -> "Answer":
        """Raises: the error of the first message that failed."""
        if self.errors:
            raise self.errors[min(self.errors)]
        return self


def answer_of(requests: Sequence[Request], told: Sequence[bytes], first: int) -> Answer:
    """What Channel.carry_out was told, taken apart. `requests`: what was sent, from the sequence number `first` on."""
    answer = Answer(requests)
    last = len(requests) - 1
    if not any(answer.take(received, first, last) for received in told):
        answer.fail(last, errno.EAGAIN, _NO_ANSWER)
    return answer


class Channel:
    """One socket of a netlink family, in the namespace where the thread was when it was made."""

    def __init__(self, family: int = ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, _TYPE, family)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self.sequence = 1
        """Of the next message."""

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def batch(self, requests: Sequence[Request]) -> Answer:
        """Send `requests` in one message and read every answer. A dump may only stand last."""
        answer = Answer(requests)
        if not requests:
            return answer
        sequence = first = self.sequence
        last = first + len(requests) - 1
        parts: list[bytes] = []
        for kind, flags, body, _ in requests:
            if sequence == last and flags & netlink.DUMP != netlink.DUMP:
                flags |= netlink.ACK
            parts.append(_pack_header(len(body) + 16, kind, flags, sequence, 0))
            parts.append(body)
            sequence += 1
        self.sequence = sequence
        self._socket.send(b"".join(parts))
        self._read(answer, first, last - first)
        return answer

    def _read(self, answer: Answer, first: int, last: int) -> None:
        while True:
            try:
                # Every answer is there when send returns: waiting could only wait for a lost one, for ever.
                received = self._socket.recv(_RECEIVE, socket.MSG_DONTWAIT)
            except OSError as error:
                answer.fail(last, error.errno or errno.EIO, _NO_ANSWER)
                return
            if answer.take(received, first, last):
                return

    def carry_out(self, packed: bytes, last: int) -> tuple[list[bytes], bool]:
        """Send messages that are packed already, with the sequence numbers from `sequence` to `last`. What came, in
        pieces as it came, and whether nothing was refused; what was, answer_of tells."""
        self.sequence = last + 1
        self._socket.send(packed)
        recv, fine = self._socket.recv, True
        told: list[bytes] = []
        while True:
            try:
                received = recv(_RECEIVE, socket.MSG_DONTWAIT)
            except OSError:
                return told, False
            told.append(received)
            answered, refused = netlink.outcome(received, last)
            fine = fine and not refused
            if answered:
                return told, fine

    def run(self, *requests: Request) -> None:
        """Send `requests`. Raises: the error of the first that failed."""
        self.batch(requests).check()

    def dump(self, request: Request) -> list[bytes]:
        """The bodies of a dump that no change of the kernel's tables interrupted."""
        for _ in range(_ATTEMPTS):
            answer = self.batch((request,)).check()
            if not answer.interrupted:
                break
        return [body for _, _, body in answer.data]
