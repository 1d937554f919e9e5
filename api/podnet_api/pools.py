"""Pools: which addresses the ranges of a NetworkConfig hold, and how they are cut into blocks.

Pure arithmetic. The KNI server claims blocks and leases addresses by it, the extender counts what is
left, validation refuses what does not fit.

A block is an aligned subnet of a range; its usable addresses are those between the range's start and end
that are not network or broadcast address, gateway or excluded. A range of fewer than 16 blocks is cut
into single addresses, so that a small pool is not lost to the first nodes that come; one with room for
1,024 larger blocks into these, because claiming a block costs a write. What is sticky is cut into single
addresses, as each of them may move from node to node.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from podnet_api import kni, names

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_DEFAULT_BLOCK = {4: 28, 6: 124}
_LARGE_BLOCK = {4: 26, 6: 122}
_FEW_BLOCKS = 16
_MANY_BLOCKS = 1024
COUNT_LIMIT = 2**31
"""Counts of addresses end here: an IPv6 range holds more than anybody counts."""


@dataclass(frozen=True)
class PoolRange:
    """One range: ``first`` and ``last`` are the outermost usable addresses as integers, ``gaps`` the
    merged intervals between them that are never given, ``block`` the prefix length of its blocks."""

    network: Network
    gateway: Address | None
    first: int
    last: int
    gaps: tuple[tuple[int, int], ...]
    block: int

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.network.version

    def usable(self, block: Network) -> int:
        """How many addresses of ``block`` can be given."""
        low, high = max(self.first, int(block[0])), min(self.last, int(block[-1]))
        lost = sum(max(0, min(high, b) - max(low, a) + 1) for a, b in self.gaps)
        return max(0, high - low + 1 - lost)

    def addresses(self, block: Network) -> Iterator[Address]:
        """The addresses of ``block`` that can be given, lowest first."""
        low, high = max(self.first, int(block[0])), min(self.last, int(block[-1]))
        kind = IPv4Address if self.version == 4 else IPv6Address
        while low <= high:
            gap = next((b for a, b in self.gaps if a <= low <= b), None)
            if gap is not None:
                low = gap + 1
                continue
            yield kind(low)
            low += 1

    def blocks(self) -> Iterator[Network]:
        """Every block with at least one usable address, lowest first; computed as they are asked for."""
        step = 1 << (self.network.max_prefixlen - self.block)
        start = self.first - self.first % step
        for base in range(start, self.last + 1, step):
            block = self.block_at(base)
            if self.usable(block):
                yield block

    def block_at(self, address: int) -> Network:
        """The block that holds ``address``."""
        kind = IPv4Network if self.version == 4 else IPv6Network
        step = 1 << (self.network.max_prefixlen - self.block)
        return kind((address - address % step, self.block))

    def gives(self, address: Address) -> bool:
        """Whether ``address`` is one that can be given."""
        value = int(address)
        inside = address.version == self.version and self.first <= value <= self.last
        return inside and not any(a <= value <= b for a, b in self.gaps)

    def shared(self, other: PoolRange) -> Address | None:
        """The lowest address that both ranges give."""
        low, high = max(self.first, other.first), min(self.last, other.last)
        if self.version != other.version:
            return None
        for start, end in _merged([*self.gaps, *other.gaps]):
            if start <= low <= end:
                low = end + 1
        kind = IPv4Address if self.version == 4 else IPv6Address
        return kind(low) if low <= high else None

    def reserves(self, address: Address) -> bool:
        """Whether ``address`` is one that a Pod may have but only by asking for it."""
        low, high = _bounds(self.network)
        inside = address.version == self.version and low <= int(address) <= high
        return inside and not self.gives(address) and address != self.gateway


@dataclass(frozen=True)
class Pool:
    """The ranges of one NetworkConfig, in order. ``per_node``: every node gives the whole by itself;
    ``sticky``: members of StatefulSets keep their addresses; ``space``: within it no address may be twice."""

    config: str
    ranges: tuple[PoolRange, ...]
    per_node: bool
    sticky: bool = False
    space: str = ""

    @property
    def versions(self) -> tuple[int, ...]:
        """The families that a Pod gets an address of: 4, 6 or both."""
        return tuple(sorted({r.version for r in self.ranges}))

    def of(self, version: int) -> tuple[PoolRange, ...]:
        """The ranges of one family."""
        return tuple(r for r in self.ranges if r.version == version)

    def total(self, version: int) -> int:
        """How many addresses of a family there are, at most COUNT_LIMIT."""
        return min(COUNT_LIMIT, sum(r.usable(r.network) for r in self.of(version)))

    def range_of(self, address: Address) -> PoolRange | None:
        """The range that can give ``address``."""
        return next((r for r in self.ranges if r.gives(address)), None)

    def claim_of(self, address: Address) -> Network | None:
        """The block to be claimed for the static ``address``; None when no Pod may have it.

        One that lies in a subnet but is never leased (excluded, or before the start or behind the end) is a
        block of its own, so that nodes do not hinder each other.
        """
        inside = self.range_of(address)
        if inside is not None:
            return inside.block_at(int(address))
        free = any(r.reserves(address) for r in self.ranges)
        return ipaddress.ip_network((address, address.max_prefixlen)) if free else None

    def shared(self, other: Pool) -> Address | None:
        """The lowest address that this pool and ``other`` both give, although they are of one space. What each node
        gives by itself does not leave the node and is shared with nobody."""
        if self.per_node or other.per_node or self.space != other.space or self.config == other.config:
            return None
        found = [a for mine in self.ranges for theirs in other.ranges if (a := mine.shared(theirs)) is not None]
        return min(found, key=lambda a: (a.version, int(a)), default=None)

    def usable(self, block: Network) -> int:
        """How many addresses of ``block`` can be given."""
        return min(COUNT_LIMIT, sum(r.usable(block) for r in self.of(block.version)))


def pool_of(config: kni.NetworkConfig) -> Pool | None:
    """The pool of ``config``, or None when it gives no addresses.

    Raises ValueError when an address or subnet cannot be read; validation says which.
    """
    ipam = config.spec.ipam
    if ipam is None:
        return None
    name = config.metadata.name
    known = _known.get(name)
    if known is None or known[0] is not ipam:
        ranges = tuple(_range(item, ipam) for item in ipam.ranges)
        known = ipam, Pool(name, ranges, ipam.scope == "node", ipam.sticky, ipam.space)
        if len(_known) >= _KNOWN_LIMIT:
            _known.clear()
        _known[name] = known
    return known[1]


_known: dict[str, tuple[kni.Ipam, Pool]] = {}
"""What was read last, by NetworkConfig: every Pod asks again. Objects do not change; a new version is another one."""
_KNOWN_LIMIT = 4096


def _range(item: kni.Range, ipam: kni.Ipam) -> PoolRange:
    network = ipaddress.ip_network(item.cidr)
    gateway = ipaddress.ip_address(item.gateway) if item.gateway else None
    first, last = _bounds(network)
    first = max(first, int(ipaddress.ip_address(item.start))) if item.start else first
    last = min(last, int(ipaddress.ip_address(item.end))) if item.end else last
    excluded = [ipaddress.ip_network(text, strict=False) for text in item.exclude]
    gaps = [(int(e[0]), int(e[-1])) for e in excluded if e.version == network.version]
    gaps += [(int(gateway), int(gateway))] if gateway else []
    asked = ipam.block_prefix4 if network.version == 4 else ipam.block_prefix6
    block = network.max_prefixlen if ipam.sticky else asked or _default_block(network, first, last)
    return PoolRange(network, gateway, first, last, _merged(gaps), block)


def _bounds(network: Network) -> tuple[int, int]:
    """First and last usable address: without network and broadcast address (IPv4), without the
    subnet-router anycast address (IPv6, RFC 4291 2.6.1); /31, /32, /127 and /128 use all (RFC 3021, 6164)."""
    first, last = int(network[0]), int(network[-1])
    if network.num_addresses <= 2:
        return first, last
    return first + 1, last - 1 if network.version == 4 else last


def _merged(gaps: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(gaps):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _default_block(network: Network, first: int, last: int) -> int:
    if _spanned(network, first, last, _LARGE_BLOCK[network.version]) >= _MANY_BLOCKS:
        return _LARGE_BLOCK[network.version]
    prefix = _DEFAULT_BLOCK[network.version]
    return prefix if _spanned(network, first, last, prefix) >= _FEW_BLOCKS else network.max_prefixlen


def _spanned(network: Network, first: int, last: int, prefix: int) -> int:
    """How many blocks of a prefix length lie between two addresses."""
    size = 1 << (network.max_prefixlen - prefix)
    return last // size - first // size + 1


def block_name(config: str, block: Network) -> str:
    """The name of the IPBlock for ``block`` of the pool of ``config``; the same for every claimant."""
    text = block.network_address.exploded.replace(":", "").replace(".", "-") + f"-{block.prefixlen}"
    return names.hashed_name(config, 200) + "-" + (text if block.version == 4 else "v6-" + text)


def pool_hash(config: str) -> str:
    """Eight hexadecimal digits that stand for a pool where its name does not fit."""
    return hashlib.sha256(config.encode()).hexdigest()[:8]
