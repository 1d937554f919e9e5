"""Pools that share an address, as a table."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_api import kni, overlap
from podnet_tests.kni_world import network_config


def config(name: str, *ranges: dict[str, Any], **ipam: Any) -> kni.NetworkConfig:
    return network_config(name, ipam={"ranges": list(ranges), **ipam} if ranges else None)


WHOLE = {"cidr": "10.0.0.0/24"}


@pytest.mark.parametrize(
    ("mine", "theirs", "shared"),
    [
        (config("a", WHOLE), config("b", WHOLE), "10.0.0.1"),
        (config("a", WHOLE), config("b", {"cidr": "10.0.0.128/25"}), "10.0.0.129"),
        (config("a", WHOLE), config("b", {"cidr": "10.0.1.0/24"}), ""),
        (config("a", {**WHOLE, "end": "10.0.0.99"}), config("b", {**WHOLE, "start": "10.0.0.100"}), ""),
        (config("a", {**WHOLE, "end": "10.0.0.100"}), config("b", {**WHOLE, "start": "10.0.0.100"}), "10.0.0.100"),
        (config("a", {**WHOLE, "exclude": ["10.0.0.0/25"]}), config("b", {"cidr": "10.0.0.0/25"}), ""),
        (config("a", WHOLE), config("b", {"cidr": "fd00::/64"}, {"cidr": "10.0.0.0/30"}), "10.0.0.1"),
        (config("a", {"cidr": "fd00::/64"}), config("b", {"cidr": "fd00::/80"}), "fd00::1"),
        (config("a", WHOLE, space="x"), config("b", WHOLE, space="y"), ""),
        (config("a", WHOLE, space="x"), config("b", WHOLE, space="x"), "10.0.0.1"),
        (config("a", WHOLE, space="x"), config("b", WHOLE), ""),
        (config("a", WHOLE, scope="node"), config("b", WHOLE), ""),
        (config("a", WHOLE), config("a", WHOLE), ""),
        (config("a", WHOLE), config("b"), ""),
        (config("a"), config("b", WHOLE), ""),
        (config("a", {"cidr": "nonsense"}), config("b", WHOLE), ""),
    ],
)
def test_an_address_that_both_give(mine: kni.NetworkConfig, theirs: kni.NetworkConfig, shared: str) -> None:
    found = overlap.of_config(mine, [theirs])
    assert [text.rpartition(" ")[2] for text in found] == ([shared] if shared else [])
    if shared:
        assert "NetworkConfigs a and b of " in found[0]
