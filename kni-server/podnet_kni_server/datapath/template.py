"""A netlink message whose shape is known: made once by the ordinary functions, then only filled in. Pure.

An attach comes after a pause. What it costs then is how many functions and objects have to be fetched into the
processor's caches, and a message put together attribute by attribute touches dozens of them.
"""

import struct
from collections.abc import Sequence

from podnet_kni_server.datapath import netlink


class Template:
    """`sample`: kind, flags and body of a message; `fields`: a struct format without byte order in which what
    changes has a place and all else is padding (x), beginning behind the message's header.

    Fixed and changing bytes are laid over each other as numbers; the order of bytes in these is of no matter.
    """

    def __init__(self, sample: tuple[int, int, bytes], fields: str) -> None:
        kind, flags, body = sample
        size = len(body) + 16
        self._lay(netlink.HEADER.pack(size, kind, flags, 0, 0) + body, "8xI4x" + fields)

    def _lay(self, whole: bytes, fields: str) -> None:
        self._whole, self._fields, self.size = whole, fields, len(whole)
        places = struct.Struct("=" + fields)
        if places.size != self.size:
            raise ValueError(f"cannot fill in a message of {self.size} bytes by a format of {places.size}")
        self._fixed = int.from_bytes(whole, "little") & ~_mask(places)
        self._pack = places.pack

    @classmethod
    def joined(cls, templates: Sequence["Template"]) -> "Template":
        """One behind the other, filled in at once: that costs little more than filling in one."""
        made = cls.__new__(cls)
        made._lay(b"".join(one._whole for one in templates), " ".join(one._fields for one in templates))
        return made

    def fill(self, *values: int | bytes) -> bytes:
        """The message with its sequence number and the values of its fields; of a joined one, those of each in turn."""
        return (int.from_bytes(self._pack(*values), "little") | self._fixed).to_bytes(self.size, "little")


def _mask(places: struct.Struct) -> int:
    """Ones in every bit that a field has."""
    values = places.unpack(b"\xff" * places.size)
    return int.from_bytes(places.pack(*values), "little")
