"""NADs that take addresses out of one store, and whether they can go on doing so. Pure; ``maker`` asks.

host-local keeps a store for each name of a configuration on each node, whereabouts one for the cluster or for each
network_name; NADs of several networks may share it, and get no address twice. podnet's pools are of one NetworkConfig:
NADs with equal ones share that. Where they are not equal, or one is for the nodes' plugins, the store has to stay the
only one that gives the addresses, so the plugins attach all of them.
"""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from podnet_compat import ipam, jsontext, whereabouts
from podnet_compat.addresses import Network
from podnet_compat.legacy import Nad
from podnet_compat.reader import Notes, Reader

_DATA = "/var/lib/cni/networks"
Key = tuple[str, str]
"""Namespace and name of a NAD."""


@dataclass(frozen=True)
class Taking:
    """What a NAD takes of ``store``."""

    store: str
    ranges: tuple[Network, ...]


def of(nad: Nad) -> Taking | None:
    """The store that the configuration of ``nad`` names; None: none, or it cannot be read."""
    try:
        value = jsontext.load((nad.spec.config if nad.spec else None) or "{}")
    except jsontext.BrokenJsonError:
        return None
    if not isinstance(value, dict):
        return None
    whole = Reader(value, "", Notes())
    for plugin in [whole, *whole.children("plugins")]:
        given = plugin.child("ipam")
        name = whole.string("name") or nad.metadata.name
        if given.string("type") == ipam.WHEREABOUTS:
            return _taking(f"{ipam.WHEREABOUTS} {given.string('network_name')}".strip(), list(_whereabouts(given)))
        if given.string("type") == ipam.HOST_LOCAL:
            return _taking(f"{ipam.HOST_LOCAL} {given.string('dataDir') or _DATA}/{name}", list(_host_local(given)))
    return None


def _taking(store: str, texts: list[str]) -> Taking | None:
    found = []
    for text in texts:
        try:
            found.append(whereabouts.bounds(text)[0])
        except ValueError:
            continue
    return Taking(store, tuple(found)) if found else None


def _whereabouts(reader: Reader) -> Iterator[str]:
    for each in (reader, *reader.children("ipRanges")):
        yield each.string("range")


def _host_local(reader: Reader) -> Iterator[str]:
    for each in (reader, *(item for items in reader.sets("ranges") for item in items)):
        yield each.string("subnet")


@dataclass
class _Ranges:
    """Subnets of one store and who takes them: two of them meet where one lies in the other."""

    listed: list[tuple[int, int, int, Key]] = field(default_factory=list)
    lengths: Counter[tuple[int, int]] = field(default_factory=Counter)
    at: defaultdict[Network, set[Key]] = field(default_factory=lambda: defaultdict(set))

    def add(self, network: Network, key: Key) -> None:
        bisect.insort(self.listed, (network.version, int(network[0]), network.prefixlen, key))
        self.lengths[network.version, network.prefixlen] += 1
        self.at[network].add(key)

    def drop(self, network: Network, key: Key) -> None:
        self.listed.remove((network.version, int(network[0]), network.prefixlen, key))
        self.lengths[network.version, network.prefixlen] -= 1
        self.at[network].discard(key)

    def meeting(self, network: Network) -> Iterator[Key]:
        for (version, length), count in self.lengths.items():
            if count and version == network.version and length <= network.prefixlen:
                yield from self.at.get(network.supernet(new_prefix=length), ())
        at = bisect.bisect_left(self.listed, (network.version, int(network[0])))
        for version, first, _, key in self.listed[at:]:
            if version != network.version or first > int(network[-1]):
                return
            yield key


class Stores:
    """Who takes from which store, kept up by the watch of NADs."""

    def __init__(self) -> None:
        self._taking: dict[Key, Taking] = {}
        self._stores: defaultdict[str, _Ranges] = defaultdict(_Ranges)

    def changed(self, old: Nad | None, new: Nad | None) -> None:
        """A listener of a watch cache."""
        if old is not None and new is not None and old.spec == new.spec:
            return
        if old is not None and (taken := self._taking.pop(old.key, None)):
            for network in taken.ranges:
                self._stores[taken.store].drop(network, old.key)
        if new is not None and (taken := of(new)):
            self._taking[new.key] = taken
            for network in taken.ranges:
                self._stores[taken.store].add(network, new.key)

    def store(self, key: Key) -> str:
        """The store that NAD ``key`` takes from; "" when none."""
        taken = self._taking.get(key)
        return taken.store if taken else ""

    def mates(self, nad: Nad) -> list[Key]:
        """The other NADs that may be given the same addresses by the same store."""
        taken = self._taking.get(nad.key) or of(nad)
        if taken is None:
            return []
        found = {key for network in taken.ranges for key in self._stores[taken.store].meeting(network)}
        return sorted(found - {nad.key})
