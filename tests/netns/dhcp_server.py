"""A DHCP server for tests (RFC 2131, 2132): as much of it as a client can tell from a real one, in a namespace.

It listens in a thread; what it heard stands in `heard`. Leases are by client identifier, as clients ask for them. It
hears through a packet socket as Kea and dhcpd do: the plugin's RELEASE comes from 0.0.0.0, which the kernel drops
before any UDP socket.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from ipaddress import IPv4Address

from netns.lab import Place

KINDS = {1: "DISCOVER", 3: "REQUEST", 4: "DECLINE", 7: "RELEASE"}
OFFER, ACK, NAK = 2, 5, 6
_HEAD = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
_COOKIE = b"\x63\x82\x53\x63"
_SO_BINDTODEVICE = 25
_ETH_P_IP = 0x0800
SUBNET, ROUTER, HOST_NAME, WANTED, SECONDS, KIND, SERVER, CLIENT = 1, 3, 12, 50, 51, 53, 54, 61


class Server:
    """Gives `addresses` to whoever asks on an interface of `place`, for `seconds`."""

    def __init__(self, place: Place, interface: str, own: str, addresses: list[str], seconds: int = 600) -> None:
        self.addresses = addresses
        self.seconds = seconds
        self.leases: dict[bytes, str] = {}
        self.heard: list[str] = []
        self.host_names: set[str] = set()
        self._own = IPv4Address(own).packed
        self._socket = place.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, interface.encode())
        self._socket.bind(("", 67))
        kind = socket.SOCK_DGRAM  # without the Ethernet header
        self._ears = place.inside(lambda: socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_IP)))
        self._ears.bind((interface, _ETH_P_IP))
        self._ears.settimeout(0.1)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Fall silent."""
        self._stopped.set()
        self._thread.join()
        self._socket.close()
        self._ears.close()

    def count(self, kind: str) -> int:
        """How many messages of a kind came."""
        return self.heard.count(kind)

    async def wait(self, kind: str, count: int = 1, patience: float = 5.0) -> None:
        """Until so many messages of a kind have come."""
        async with asyncio.timeout(patience):
            while self.count(kind) < count:
                await asyncio.sleep(0.02)

    def _run(self) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(TimeoutError):
                packet = self._ears.recv(2000)
                header = (packet[0] & 15) * 4
                if packet[9] == socket.IPPROTO_UDP and packet[header + 2 : header + 4] == b"\0\x43":
                    self._answer(packet[header + 8 :])

    def _answer(self, packet: bytes) -> None:
        fields = _HEAD.unpack_from(packet)
        options = _options(packet[_HEAD.size :])
        kind = KINDS.get(options.get(KIND, b"\0")[0], "?")
        client = options.get(CLIENT, fields[11])
        self.host_names |= {options[HOST_NAME].decode()} if HOST_NAME in options else set()
        if kind == "RELEASE":
            self.leases.pop(client, None)
        elif kind == "DISCOVER":
            self._send(fields, OFFER, self._free(client))
        elif kind == "REQUEST":
            self._grant(fields, client, options)
        self.heard.append(kind)

    def _free(self, client: bytes) -> str:
        taken = {address for other, address in self.leases.items() if other != client}
        known = self.leases.get(client)
        return known or next(address for address in self.addresses if address not in taken)

    def _grant(self, fields: tuple[bytes, ...], client: bytes, options: dict[int, bytes]) -> None:
        asked = str(IPv4Address(options.get(WANTED, fields[7])))
        if asked == self._free(client):
            self.leases[client] = asked
            self._send(fields, ACK, asked)
        else:
            self._send(fields, NAK, "0.0.0.0")

    def _send(self, fields: tuple[bytes, ...], kind: int, address: str) -> None:
        head = _HEAD.pack(
            2, 1, 6, 0, fields[4], 0, 0x8000, fields[7], IPv4Address(address).packed, self._own, bytes(4), fields[11],
            bytes(64), bytes(128), _COOKIE,
        )  # fmt: skip
        options = {KIND: bytes([kind]), SERVER: self._own}
        if kind != NAK:
            options |= {SECONDS: self.seconds.to_bytes(4, "big"), SUBNET: b"\xff\xff\xff\0", ROUTER: self._own}
        body = b"".join(bytes([key, len(value)]) + value for key, value in options.items())
        renewing = IPv4Address(fields[7])
        target = str(renewing) if int(renewing) else "255.255.255.255"
        self._socket.sendto(head + body + b"\xff", (target, 68))


def _options(text: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(text) and text[at] != 255:
        if text[at] == 0:
            at += 1
            continue
        length = text[at + 1]
        found[text[at]] = text[at + 2 : at + 2 + length]
        at += 2 + length
    return found
