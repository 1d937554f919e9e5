"""An address that a Pod makes of a router's advertisement (SLAAC) is in the Pod's status."""

import pytest
from conformance import kit

STORIES = (9,)
ADVERTISE = """
import socket, struct, sys
prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 1800, 0) + socket.inet_pton(socket.AF_INET6, sys.argv[2])
message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sender:
    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    sender.sendto(message, ("ff02::1", 0, 0, socket.if_nametoindex(sys.argv[1])))
"""
"""A router advertisement (RFC 4861, 4.2) with one prefix, autonomous and on the link."""


def test_it(place: kit.Place) -> None:
    router, _ = place.running("router", "host")
    if not _has_python(place):
        pytest.skip("the router's advertisement takes an image with python3")
    interface = _entry(place, router)["interface"]

    def told() -> bool:
        place.inside("router", "python3", "-c", ADVERTISE, interface, "2001:db8:77::")
        observed = _entry(place, place.get("pod/host")).get("observedAddresses", [])
        return any(text.startswith("2001:db8:77:") for text in observed)

    kit.eventually(told, 2 * kit.SECONDS)


def _entry(place: kit.Place, pod: kit.Object) -> kit.Object:
    return kit.attached(pod)[f"advertised-{place.namespace}"]


def _has_python(place: kit.Place) -> bool:
    return bool(place.inside("router", "sh", "-c", "command -v python3 || true").strip())
