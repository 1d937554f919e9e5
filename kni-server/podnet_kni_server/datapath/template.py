"""A netlink message whose shape is known: made once by the ordinary functions, then only filled in. Pure.

An attach comes after a pause. What it costs then is how many functions and objects have to be fetched into the
processor's caches, and a message put together attribute by attribute touches dozens of them.
"""

import struct

from podnet_kni_server.datapath import netlink


class Template:
    """`sample`: kind, flags and body of a message; `fields`: a struct format without byte order in which what
    changes has a place and all else is padding (x), beginning behind the message's header.

    Fixed and changing bytes are laid over each other as numbers; the order of bytes in these is of no matter.
    """

    def __init__(self, sample: tuple[int, int, bytes], fields: str) -> None:
        kind, flags, body = sample
        self.size = len(body) + 16
        places = struct.Struct("=8xI4x" + fields)
        if places.size != self.size:
            raise ValueError(f"cannot fill in a message of {self.size} bytes by a format of {places.size}")
        whole = netlink.HEADER.pack(self.size, kind, flags, 0, 0) + body
        self._fixed = int.from_bytes(whole, "little") & ~_mask(places)
        self._pack = places.pack

    def fill(self, *values: int | bytes) -> bytes:
        """The message with its sequence number and the values of its fields."""
        return (int.from_bytes(self._pack(*values), "little") | self._fixed).to_bytes(self.size, "little")


def _mask(places: struct.Struct) -> int:
    """Ones in every bit that a field has."""
    values = places.unpack(b"\xff" * places.size)
    return int.from_bytes(places.pack(*values), "little")
