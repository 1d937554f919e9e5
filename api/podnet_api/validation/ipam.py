"""Ranges of addresses: readable, in their subnet, apart from each other, not smaller than a block. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from podnet_api import addresses, kni, pools
from podnet_api.faults import Fault, FaultType
from podnet_api.meta import ObjectMeta
from podnet_api.validation.reading import read

Span = tuple[int, int, int]
"""Family, first and last address of a range."""


def faults(path: str, ipam: kni.Ipam) -> list[Fault]:
    """Faults of ``ipam``, which stands at ``path``."""
    found = _dhcp_faults(path, ipam)
    spans: list[Span | None] = []
    for i, item in enumerate(ipam.ranges):
        spans.append(_range_span(f"{path}.ranges[{i}]", item, found))
    return found + _overlaps(path, ipam, spans) + _block_faults(path, ipam) + _sticky_faults(path, ipam)


def _dhcp_faults(path: str, ipam: kni.Ipam) -> list[Fault]:
    if ipam.dhcp is None:
        missing = Fault(f"{path}.ranges", FaultType.REQUIRED, "must have ranges, or dhcp")
        return [] if ipam.ranges else [missing]
    message = "with dhcp, ranges may be of IPv6 alone"
    both = [i for i, item in enumerate(ipam.ranges) if ":" not in item.cidr]
    return [Fault(f"{path}.ranges[{i}].cidr", FaultType.INVALID, message, ipam.ranges[i].cidr) for i in both]


def _range_span(path: str, item: kni.Range, faults: list[Fault]) -> Span | None:
    """The span of a range, None when it cannot be read; faults are appended."""
    subnet = read(f"{path}.cidr", item.cidr, addresses.network, faults)
    if subnet is None:
        return None
    before = len(faults)
    _member(f"{path}.gateway", item.gateway, subnet, faults)
    start = _member(f"{path}.start", item.start, subnet, faults)
    end = _member(f"{path}.end", item.end, subnet, faults)
    for i, text in enumerate(item.exclude):
        _excluded(f"{path}.exclude[{i}]", text, subnet, faults)
    first, last = int(start or subnet[0]), int(end or subnet[-1])
    if first > last:
        faults.append(Fault(f"{path}.end", FaultType.INVALID, f"must not be before start {item.start}", item.end))
    elif len(faults) == before and not _gives_any(item):
        faults.append(Fault(path, FaultType.INVALID, "has no address left to give", item.cidr))
    return subnet.version, first, last


def _gives_any(item: kni.Range) -> bool:
    spec = kni.NetworkConfigSpec(ipam=kni.Ipam(ranges=[item]))
    pool = pools.pool_of(kni.NetworkConfig(metadata=ObjectMeta(), spec=spec))
    return pool is not None and any(pool.total(version) for version in pool.versions)


def _member(path: str, text: str | None, subnet: addresses.Network, faults: list[Fault]) -> addresses.Address | None:
    found = read(path, text, addresses.address, faults) if text is not None else None
    if found is None or found in subnet:
        return found
    faults.append(Fault(path, FaultType.INVALID, f"must be an address of {subnet}", text))
    return None


def _excluded(path: str, text: str, subnet: addresses.Network, faults: list[Fault]) -> None:
    found = read(path, text, addresses.either, faults)
    if found is None:
        return
    inside = found.version == subnet.version and found.network[0] in subnet and found.network[-1] in subnet
    if not inside:
        faults.append(Fault(path, FaultType.INVALID, f"must lie in {subnet}", text))


def _overlaps(path: str, ipam: kni.Ipam, spans: Sequence[Span | None]) -> list[Fault]:
    faults = []
    for i, span in enumerate(spans):
        other = next((j for j, earlier in enumerate(spans[:i]) if span and earlier and _overlap(span, earlier)), None)
        if other is not None:
            message = f"must not overlap ranges[{other}]"
            faults.append(Fault(f"{path}.ranges[{i}]", FaultType.INVALID, message, ipam.ranges[i].cidr))
    return faults


def _overlap(a: Span, b: Span) -> bool:
    return a[0] == b[0] and a[1] <= b[2] and b[1] <= a[2]


def _block_faults(path: str, ipam: kni.Ipam) -> list[Fault]:
    faults = []
    for version, asked in ((4, ipam.block_prefix4), (6, ipam.block_prefix6)):
        subnets = [s for r in ipam.ranges if (s := _quietly(r.cidr)) is not None and s.version == version]
        longest = max((subnet.prefixlen for subnet in subnets), default=0)
        if asked is not None and asked < longest:
            message = f"a block must not be larger than the range: at least {longest}"
            faults.append(Fault(f"{path}.blockPrefix{version}", FaultType.INVALID, message, asked))
    return faults


def _sticky_faults(path: str, ipam: kni.Ipam) -> list[Fault]:
    if not ipam.sticky:
        return []
    faults = []
    if ipam.scope != "cluster":
        faults.append(Fault(f"{path}.sticky", FaultType.FORBIDDEN, "needs scope cluster"))
    if ipam.block_prefix4 or ipam.block_prefix6:
        message = "sticky addresses are claimed one by one, without blocks"
        faults.append(Fault(f"{path}.sticky", FaultType.FORBIDDEN, message))
    return faults


def _quietly(cidr: str) -> addresses.Network | None:
    return read("", cidr, addresses.network, [])
