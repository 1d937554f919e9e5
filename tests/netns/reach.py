"""Whether a port of one address leads to another, both ways."""

import contextlib
import socket
import time

from netns.lab import Place


def mapped(source: Place, target: Place, address: str, inside: str, port: int = 7777) -> bool:
    """Whether a datagram to a port of `address` reaches `inside`, and its answer comes back from where it went."""
    with (
        target.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server,
        source.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client,
    ):
        server.bind((inside, port))
        server.settimeout(0.1)
        client.settimeout(0.1)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                client.sendto(b"ask", (address, port))
                _, sender = server.recvfrom(100)
                server.sendto(b"answer", sender)
                return client.recvfrom(100) == (b"answer", (address, port))
            time.sleep(0.02)
    return False
