"""Ranges of addresses, however the legacy IPAM writes them -> kni.Range, checked. Pure.

``host_local`` and ``whereabouts`` read the keys, ``ipam`` makes the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal, TypeVar

from msgspec import structs
from podnet_api import kni

from podnet_compat import addresses
from podnet_compat.addresses import Address, Network
from podnet_compat.reader import Reader

T = TypeVar("T")


def read(reader: Reader, key: str, parse: Callable[[str], T]) -> T | None:
    """What ``parse`` makes of the string at ``key``; None when absent or wrong (which is a fault)."""
    text = reader.string(key)
    try:
        return parse(text) if text else None
    except ValueError as error:
        reader.notes.fault(reader.at(key), str(error), text)
        return None


def inside(reader: Reader, key: str, network: Network, *, sloppy: bool = False) -> Address | None:
    """The address at ``key``, which must be one of ``network``."""
    found = read(reader, key, lambda text: addresses.address(text, sloppy=sloppy))
    if found is not None and found not in network:
        reader.notes.fault(reader.at(key), f"must be an address of {network}", str(found))
        return None
    return found


def text(address: Address | None) -> str | None:
    """``address`` as a field of a native object has it."""
    return None if address is None else str(address)


def pool(
    reader: Reader, sets: Sequence[Sequence[kni.Range]], scope: Literal["cluster", "node"], space: str = ""
) -> kni.Ipam | None:
    """The pool of ``sets``, each of which gives a Pod one address; ours gives one per family."""
    for a, b in combinations([items for items in sets if items], 2):
        if version(a[0]) == version(b[0]):
            message = f"a Pod gets one IPv{version(a[0])} address: two ranges that give one each are not covered yet"
            reader.notes.unsupported(reader.path, message=message)
    ranges = [item for items in sets for item in items]
    made = kni.Ipam(ranges=ranges, scope=scope, space=space)
    _check(reader, made)
    return made if ranges else None


def with_gateways(items: Sequence[kni.Range], gateways: Sequence[Address]) -> list[kni.Range]:
    """``items``, each with the first of ``gateways`` that it contains unless it has one."""
    return [structs.replace(item, gateway=item.gateway or _first_of(item, gateways)) for item in items]


def with_first_gateways(reader: Reader, items: Sequence[kni.Range]) -> list[kni.Range]:
    """``items``, each with its first address as gateway unless it has one."""
    for item in items:
        if item.gateway is None and addresses.subnet(item.cidr).num_addresses <= 2:
            reader.notes.fault(reader.path, f"subnet {item.cidr} has no room for a gateway")
    firsts = [network[1] for item in items if (network := addresses.subnet(item.cidr)).num_addresses > 2]
    return with_gateways(items, firsts)


def version(item: kni.Range) -> int:
    """4 or 6."""
    return 6 if ":" in item.cidr else 4


def _first_of(item: kni.Range, gateways: Sequence[Address]) -> str | None:
    network = addresses.subnet(item.cidr)
    return next((str(gateway) for gateway in gateways if gateway in network), None)


def _check(reader: Reader, made: kni.Ipam) -> None:
    for item in made.ranges:
        _check_room(reader, item)
    for a, b in combinations(made.ranges, 2):
        if _overlap(a, b):
            reader.notes.fault(reader.path, f"ranges {a.cidr} and {b.cidr} overlap")


def _check_room(reader: Reader, item: kni.Range) -> None:
    first, last = _bounds(item)
    if first > last:
        reader.notes.fault(reader.path, f"range {item.start} to {item.end} of {item.cidr} gives no address")


def _overlap(a: kni.Range, b: kni.Range) -> bool:
    (first, last), (low, high) = _bounds(a), _bounds(b)
    return version(a) == version(b) and first <= high and low <= last


def _bounds(item: kni.Range) -> tuple[int, int]:
    network = addresses.subnet(item.cidr)
    first = addresses.address(item.start) if item.start else network[0]
    last = addresses.address(item.end) if item.end else network[-1]
    return int(first), int(last)
