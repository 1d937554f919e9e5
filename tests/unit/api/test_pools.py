"""Pools as tables: which addresses a range gives, and how it is cut."""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podnet_api import kni, pools
from podnet_api.meta import ObjectMeta


def pool(*ranges: dict[str, Any], **ipam: Any) -> pools.Pool:
    spec = {"bridge": {}, "ipam": {"ranges": list(ranges), **ipam}}
    config = kni.NetworkConfig(metadata=ObjectMeta(name="blue"), spec=msgspec.convert(spec, kni.NetworkConfigSpec))
    made = pools.pool_of(config)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("given_range", "total", "block"),
    [
        ({"cidr": "10.0.0.0/24"}, 254, 28),
        ({"cidr": "10.0.0.0/24", "gateway": "10.0.0.1"}, 253, 28),
        ({"cidr": "10.0.0.0/24", "start": "10.0.0.10", "end": "10.0.0.14"}, 5, 32),
        ({"cidr": "10.0.0.0/24", "exclude": ["10.0.0.0/25", "10.0.0.64/26"]}, 127, 28),
        ({"cidr": "10.0.0.0/31"}, 2, 32),
        ({"cidr": "10.0.0.7/32"}, 1, 32),
        ({"cidr": "fd00::/120"}, 255, 124),
        ({"cidr": "fd00::/64"}, pools.COUNT_LIMIT, 122),
        ({"cidr": "fd00::/112"}, 65535, 122),
        ({"cidr": "fd00::/113"}, 32767, 124),
        ({"cidr": "10.0.0.0/16"}, 65534, 26),
        ({"cidr": "10.0.0.0/17"}, 32766, 28),
    ],
)
def test_a_range_gives(given_range: dict[str, Any], total: int, block: int) -> None:
    made = pool(given_range)
    [one] = made.ranges
    assert made.total(one.version) == total
    assert one.block == block


def test_blocks_cover_each_usable_address_once() -> None:
    made = pool({"cidr": "10.0.0.0/24", "gateway": "10.0.0.1", "exclude": ["10.0.0.100/30"]}, blockPrefix4=29)
    [one] = made.ranges
    found = [a for block in one.blocks() for a in one.addresses(block)]
    assert len(found) == len(set(found)) == made.total(4)
    assert all(one.gives(address) for address in found)


@given(st.integers(0, 255), st.integers(0, 255), st.sets(st.integers(0, 255), max_size=8), st.integers(24, 32))
def test_counting_agrees_with_walking(a: int, b: int, gaps: set[int], prefix: int) -> None:
    low, high = min(a, b), max(a, b)
    made = pool(
        {
            "cidr": "10.0.0.0/24",
            "start": f"10.0.0.{low}",
            "end": f"10.0.0.{high}",
            "exclude": [f"10.0.0.{g}/32" for g in gaps],
        },
        blockPrefix4=prefix,
    )
    [one] = made.ranges
    walked = [address for block in one.blocks() for address in one.addresses(block)]
    assert len(walked) == made.total(4) == sum(one.usable(block) for block in one.blocks())
    assert {int(w) & 255 for w in walked} == set(range(max(low, 1), min(high, 254) + 1)) - gaps


def test_sticky_pools_are_cut_into_single_addresses() -> None:
    made = pool({"cidr": "10.0.0.0/16"}, {"cidr": "fd00::/64"}, sticky=True)
    assert [one.block for one in made.ranges] == [32, 128]


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("10.0.0.99", "10.0.0.99/32"),
        ("10.0.0.100", "10.0.0.96/29"),
        ("10.0.0.130", "10.0.0.130/32"),
        ("10.0.0.1", None),
        ("10.0.0.0", None),
        ("10.0.0.255", None),
        ("10.0.1.1", None),
        ("fd00::5", None),
    ],
)
def test_what_is_claimed_for_a_static_address(address: str, block: str | None) -> None:
    made = pool(
        {"cidr": "10.0.0.0/24", "gateway": "10.0.0.1", "start": "10.0.0.100", "exclude": ["10.0.0.128/30"]},
        blockPrefix4=29,
    )
    found = made.claim_of(ipaddress.ip_address(address))
    assert (str(found) if found else None) == block


def test_names_of_blocks_are_legal_and_differ() -> None:
    blocks = [ipaddress.ip_network(t) for t in ("10.0.0.0/28", "10.0.0.0/29", "fd00::/124", "fd00::10/124")]
    names = {pools.block_name("blue", block) for block in blocks}
    assert names == {
        "blue-10-0-0-0-28",
        "blue-10-0-0-0-29",
        "blue-v6-fd000000000000000000000000000000-124",
        "blue-v6-fd000000000000000000000000000010-124",
    }
    assert len(pools.block_name("x" * 253, blocks[2])) <= 253
