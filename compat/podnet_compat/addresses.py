"""Addresses as Go's net package reads them, which is what every legacy plugin does.

Pure. Python's ``ipaddress`` alone takes forms that Go refuses (zones, dotted netmasks) and tells apart
what Go does not (IPv4 inside IPv6). Every function raises ValueError with the words for a user.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

_PREFIX = re.compile(r"[0-9]{1,3}")
_LEADING_ZEROS = re.compile(r"(?<![0-9a-fA-F:.])0+(?=[0-9]+\.)|(?<=\.)0+(?=[0-9])")
_MAC = re.compile(r"(?:[0-9a-fA-F]{2}:)+[0-9a-fA-F]{2}|(?:[0-9a-fA-F]{2}-)+[0-9a-fA-F]{2}"
                  r"|(?:[0-9a-fA-F]{4}\.)+[0-9a-fA-F]{4}")  # fmt: skip
_MAC_BYTES, _GUID_BYTES = 6, 8


def address(text: str, *, sloppy: bool = False) -> Address:
    """One address; ``sloppy`` takes octets with leading zeros as decimal, as whereabouts does."""
    text = _LEADING_ZEROS.sub("", text) if sloppy else text
    if "%" in text:
        raise ValueError("must be an address without a zone")
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 address") from None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def interface(text: str, *, sloppy: bool = False) -> Interface:
    """An address with its prefix length."""
    host, slash, prefix = text.partition("/")
    if not slash:
        raise ValueError("must have a prefix length, e.g. 10.1.0.5/24")
    found = address(host, sloppy=sloppy)
    if not _PREFIX.fullmatch(prefix) or int(prefix) > found.max_prefixlen:
        raise ValueError(f"must have a prefix length between 0 and {found.max_prefixlen} behind the slash")
    return ipaddress.ip_interface((found, int(prefix)))


def subnet(text: str) -> Network:
    """A subnet whose host bits are zero."""
    found = interface(text)
    if found.ip != found.network.network_address:
        raise ValueError(f"has host bits set: the subnet is {found.network}")
    return found.network


def address_or_interface(text: str) -> Address | Interface:
    """What a Pod may ask for: an address, with or without a prefix length."""
    return interface(text) if "/" in text else address(text)


def guid(text: str) -> str:
    """A GUID of InfiniBand in lower case with colons."""
    digits = re.sub(r"[:.-]", "", text)
    if not _MAC.fullmatch(text) or len(digits) != 2 * _GUID_BYTES:
        raise ValueError("must be a GUID of 8 bytes, e.g. c2:11:22:33:44:55:66:77")
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2)).lower()


def mac(text: str) -> str:
    """A MAC address in lower case with colons."""
    digits = re.sub(r"[:.-]", "", text)
    if not _MAC.fullmatch(text) or len(digits) != 2 * _MAC_BYTES:
        raise ValueError("must be a MAC address of 6 bytes, e.g. 02:00:00:00:00:01")
    if int(digits[:2], 16) & 1:
        raise ValueError("is a multicast address; the first byte of an interface's own must be even")
    if not int(digits, 16):
        raise ValueError("must not be all zeros")
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2)).lower()
