"""The ranges of IPAM type ``whereabouts``. Pure; called by ``ipam``.

whereabouts reads loosely: host bits in ranges, octets with leading zeros, ``a-b/len`` for the addresses
from a to b. Its top-level range comes before those of ``ipRanges``.
"""

from __future__ import annotations

import re

from podnet_api import kni

from podnet_compat import addresses, names, ranges
from podnet_compat.addresses import Address, Network
from podnet_compat.reader import Reader

_BACKEND = (
    "kubernetes", "datastore", "etcd_host", "etcd_username", "etcd_password", "etcd_key_file", "etcd_cert_file",
    "etcd_ca_cert_file", "configuration_path", "log_file", "log_level", "sleep_for_race", "leader_lease_duration",
    "leader_renew_deadline", "leader_retry_period", "reconciler_cron_expression", "optimistic_ipam", "name",
)  # fmt: skip
_SPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_RANGE = ("range_start", "range_end", "exclude")


def sets(reader: Reader) -> list[list[kni.Range]]:
    """The ranges, each a set of its own, because each gives a Pod one address."""
    plain = [_range(reader)] if reader.string("range") else []
    if not plain and reader.has("ipRanges"):
        reader.refuse(*_RANGE, why="needs a range beside it")
    reader.accept(*_RANGE)
    listed = [_listed(item) for item in reader.children("ipRanges")]
    reader.ignore(*_BACKEND, why="it configures the whereabouts program, which is not used")
    reader.ignore("node_slice_size", why="nodes claim blocks of addresses by themselves")
    reader.refuse("addresses")
    if not reader.has("range") and not reader.has("ipRanges"):
        reader.notes.fault(reader.at("range"), "whereabouts needs a range or ipRanges")
    return [[item] for item in [*plain, *listed] if item is not None]


def space(reader: Reader, items: list[kni.Range]) -> str:
    """The address space in which whereabouts gives no address twice: all networks, those of one ``network_name``, or,
    without looking at overlapping ranges, those of the very same ranges."""
    name, apart = reader.string("network_name"), reader.has("enable_overlapping_ranges")
    apart = not reader.boolean("enable_overlapping_ranges") and apart
    if not name and not apart:
        return ""
    return names.digest(f"{name} {[item.cidr for item in items]}") if apart or not _SPACE.fullmatch(name) else name


def with_gateway(reader: Reader, items: list[kni.Range]) -> list[kni.Range]:
    """``items`` with the gateway, which whereabouts has once for all ranges."""
    gateway = ranges.read(reader, "gateway", lambda text: addresses.address(text, sloppy=True))
    if gateway is None:
        return items
    if not any(gateway in addresses.subnet(item.cidr) for item in items):
        reader.notes.fault(reader.at("gateway"), "must be an address of a range", str(gateway))
    return ranges.with_gateways(items, [gateway])


def _listed(reader: Reader) -> kni.Range | None:
    made = _range(reader)
    reader.finish(refuse=True)
    return made


def _range(reader: Reader) -> kni.Range | None:
    if not reader.has("range"):
        reader.notes.fault(reader.at("range"), "an entry needs a range")
    found = ranges.read(reader, "range", bounds)
    if found is None:
        reader.accept(*_RANGE)
        return None
    network, start, end = found
    first, last = (ranges.inside(reader, key, network, sloppy=True) for key in _RANGE[:2])
    return kni.Range(
        cidr=str(network),
        start=ranges.text(start or first),
        end=ranges.text(end or last),
        exclude=_excluded(reader, network),
    )


def bounds(text: str) -> tuple[Network, Address | None, Address | None]:
    """``a-b/len`` or ``a/len``: the subnet, and the first and last address of the former. Raises ValueError."""
    first, dash, last = text.partition("-")
    if not dash:
        return addresses.interface(text, sloppy=True).network, None, None
    end = addresses.interface(last.strip(), sloppy=True)
    start = addresses.address(first.strip(), sloppy=True)
    if start not in end.network:
        raise ValueError(f"must start with an address of {end.network}")
    return end.network, start, end.ip


def _excluded(reader: Reader, network: Network) -> list[str]:
    """What is excluded of ``network``; a part of another subnet changes nothing."""
    found: list[str] = []
    for i, text in enumerate(reader.strings("exclude")):
        at = f"{reader.at('exclude')}[{i}]"
        try:
            excluded = _network(text)
        except ValueError as error:
            reader.notes.fault(at, str(error), text)
            continue
        if not excluded.overlaps(network):
            reader.notes.warn(at, f"{text} has no effect: it is no part of {network}")
        elif excluded.prefixlen <= network.prefixlen:
            reader.notes.fault(at, f"leaves nothing of {network}", text)
        elif str(excluded) not in found:
            found.append(str(excluded))
    return found


def _network(text: str) -> Network:
    if "/" in text:
        return addresses.interface(text, sloppy=True).network
    found = addresses.address(text, sloppy=True)
    return addresses.interface(f"{found}/{found.max_prefixlen}").network
