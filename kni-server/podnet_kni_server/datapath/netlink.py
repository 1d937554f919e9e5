"""Netlink messages as bytes: packing and parsing. Pure; channel.py sends them.

Numbers are those of include/uapi/linux/netlink.h; everything in host byte order, padded to four bytes.
"""

import struct
import sys
from collections.abc import Iterator

NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE = 1, 2, 3
REQUEST, MULTI, ACK, DUMP_INTERRUPTED = 0x01, 0x02, 0x04, 0x10
ROOT, MATCH = 0x100, 0x200
DUMP = REQUEST | ROOT | MATCH
REPLACE, EXCL, CREATE, APPEND = 0x100, 0x200, 0x400, 0x800
CAPPED, ACK_TLVS = 0x100, 0x200
"""Flags of an NLMSG_ERROR: the request's payload is left out; attributes follow."""
NESTED = 0x8000
TYPE_MASK = 0x3FFF
"""Of an attribute's type: without the bits for "nested" and "network byte order"."""
ERROR_TEXT = 1
"""NLMSGERR_ATTR_MSG: the kernel's own words."""

HEADER = struct.Struct("=IHHII")
_ATTR = struct.Struct("=HH")
_INT = struct.Struct("=i")
_U32_ATTR = struct.Struct("=HHI")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def attr(kind: int, value: bytes) -> bytes:
    """One attribute with its padding."""
    size = len(value)
    return _ATTR.pack(size + 4, kind) + value + _PADDING[size & 3]


def u8(kind: int, value: int) -> bytes:
    """An attribute of one byte."""
    return attr(kind, bytes((value,)))


def u16(kind: int, value: int) -> bytes:
    """An attribute of two bytes in host order."""
    return attr(kind, value.to_bytes(2, sys.byteorder))


def u32(kind: int, value: int) -> bytes:
    """An attribute of four bytes in host order."""
    return _U32_ATTR.pack(8, kind, value)


def text(kind: int, value: str) -> bytes:
    """A string attribute, ended by a zero."""
    return attr(kind, value.encode() + b"\0")


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attr(kind | NESTED, b"".join(parts))


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, flags, sequence, body) of each message in what one recv gave."""
    at, end = 0, len(data)
    while at + 16 <= end:
        size, kind, flags, sequence, _ = HEADER.unpack_from(data, at)
        if size < 16 or at + size > end:
            return
        yield kind, flags, sequence, data[at + 16 : at + size]
        at += (size + 3) & ~3


def outcome(data: bytes, last: int) -> tuple[bool, bool]:
    """Of what one recv gave: whether the message with the sequence `last` is answered, and whether one is refused.

    The kernel sends each refusal and each acknowledgement by itself, and of a dump's pieces the last one may end
    with the mark that says so.
    """
    end = len(data) - _MARK
    if end < 0:
        return False, False
    _, kind, _, sequence, _ = HEADER.unpack_from(data)
    if kind == NLMSG_ERROR:
        return sequence == last, data[16:20] != _NO_ERROR
    size, kind, _, sequence, _ = HEADER.unpack_from(data, end)
    return size == _MARK and kind == NLMSG_DONE and sequence == last, False


_MARK, _NO_ERROR = 20, bytes(4)


def attributes(data: bytes, at: int = 0) -> dict[int, bytes]:
    """Attributes by type, from the offset `at`; of a type that comes twice the last one."""
    found: dict[int, bytes] = {}
    end = len(data)
    unpack = _ATTR.unpack_from
    while at + 4 <= end:
        size, kind = unpack(data, at)
        if size < 4 or at + size > end:
            break
        found[kind & TYPE_MASK] = data[at + 4 : at + size]
        at += (size + 3) & ~3
    return found


def each(data: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """(type, value) of every attribute, also of types that come more than once."""
    end = len(data)
    while at + 4 <= end:
        size, kind = _ATTR.unpack_from(data, at)
        if size < 4 or at + size > end:
            return
        yield kind & TYPE_MASK, data[at + 4 : at + size]
        at += (size + 3) & ~3


def pick(data: bytes, at: int, wanted: frozenset[int]) -> dict[int, bytes]:
    """Like attributes(), but only those of the `wanted` types, and no further than the last of them."""
    found: dict[int, bytes] = {}
    end = len(data)
    missing = len(wanted)
    unpack = _ATTR.unpack_from
    while at + 4 <= end and missing:
        size, kind = unpack(data, at)
        if size < 4 or at + size > end:
            break
        kind &= TYPE_MASK
        if kind in wanted and kind not in found:
            found[kind] = data[at + 4 : at + size]
            missing -= 1
        at += (size + 3) & ~3
    return found


def error(body: bytes, flags: int) -> tuple[int, str]:
    """errno (0: an acknowledgement) and the kernel's words, of the body of an NLMSG_ERROR."""
    number = -_INT.unpack_from(body)[0]
    if not flags & ACK_TLVS:
        return number, ""
    size = HEADER.unpack_from(body, 4)[0]
    at = 20 if flags & CAPPED else 4 + ((size + 3) & ~3)
    return number, string(attributes(body, at).get(ERROR_TEXT, b""))


def string(value: bytes) -> str:
    """A string attribute's text."""
    return value.partition(b"\0")[0].decode(errors="replace")


def number(value: bytes) -> int:
    """An integer attribute of any width, in host order."""
    return int.from_bytes(value, sys.byteorder)
