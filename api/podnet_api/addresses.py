"""Reading addresses and subnets as strictly as Kubernetes does. Pure.

Python's ipaddress reads more than Go's netip, and what one half of a system reads the other must not
refuse: zones (fe80::1%eth0), IPv4 inside IPv6 (::ffff:10.0.0.1), dotted masks (10.0.0.0/255.0.0.0),
subnets without a length and lengths with leading zeros are no addresses here.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Interface = IPv4Interface | IPv6Interface

_SUBNET = re.compile(r"[0-9a-fA-F:.]+/(0|[1-9][0-9]{0,2})", re.ASCII)
_ADDRESS = re.compile(r"[0-9a-fA-F:.]+", re.ASCII)


def address(text: str) -> Address:
    """The address in ``text``. Raises ValueError."""
    if not _ADDRESS.fullmatch(text):
        raise ValueError("must be an IPv4 or IPv6 address")
    return _unmapped(ipaddress.ip_address(text))


def network(text: str) -> Network:
    """The subnet in ``text``, whose host bits must be zero. Raises ValueError."""
    made = interface(text)
    if made.ip != made.network.network_address:
        raise ValueError(f"must have no host bits, i.e. be {made.network}")
    return made.network


def interface(text: str) -> Interface:
    """The address with its prefix length in ``text``. Raises ValueError."""
    if not _SUBNET.fullmatch(text):
        raise ValueError("must be an address and a prefix length, e.g. 10.1.0.0/24 or fd00:1::/64")
    made = ipaddress.ip_interface(text)
    _unmapped(made.ip)
    return made


def either(text: str) -> Interface:
    """An address with or without a prefix length. Raises ValueError."""
    return interface(text) if "/" in text else ipaddress.ip_interface(address(text))


def _unmapped(found: Address) -> Address:
    if found.version == 6 and found.ipv4_mapped is not None:
        raise ValueError("must not be an IPv4 address inside an IPv6 one")
    return found
