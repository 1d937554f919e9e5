"""Isovalent pod networks: routed links, and lists whose names are not trimmed."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_tests import fieldwalk, isovalent_examples
from podnet_tests.foreign_objects import DECIDED, configs, listed, networks, pod, run
from podnet_tests.isovalent_examples import JUPITER, KEY, POOL, network, pool


def test_a_network() -> None:
    outcome = run(JUPITER, POOL)
    assert configs(outcome)["jupiter"] == {
        "routed": {},
        "ipam": {
            "ranges": [{"cidr": "192.168.16.0/20"}, {"cidr": "fd00:10::/112"}],
            "blockPrefix4": 27,
            "blockPrefix6": 120,
        },
        "routes": [{"destination": "192.168.0.0/16", "gateway": "192.168.0.1"}],
        "antiSpoof": False,
    }
    assert any("gives Pods of other nodes no route" in line for line in outcome.warnings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("default,jupiter", ["default@eth0!", "jupiter@cil1"]),
        ("jupiter", ["jupiter@eth0!!6"]),
        ("jupiter,mars", ["jupiter@eth0!!6", "mars@cil1"]),
        ("default,mars,jupiter", ["default@eth0!", "mars@cil1", "jupiter@cil2"]),
    ],
)
def test_lists(text: str, expected: list[str]) -> None:
    assert listed(run(pod({KEY: text}), JUPITER, network("mars"), POOL)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("default, jupiter", '[1]: Not found: " jupiter": IsovalentPodNetwork " jupiter" not found: names are not'),
        ("", '[0]: Not found: "": IsovalentPodNetwork "" not found'),
        ("default,venus", '[1]: Not found: "venus"'),
        ("jupiter,default", '[1]: Unsupported value: "default": the default network is eth0'),
    ],
)
def test_lists_that_are_refused(text: str, words: str) -> None:
    """Case 13 of the field notes."""
    assert words in run(pod({KEY: text}), JUPITER, POOL).errors[0]


def test_the_default_network_alone_changes_nothing() -> None:
    outcome = run(pod({KEY: "default"}))
    assert (outcome.changed, outcome.errors, len(outcome.rest)) == ([], [], 1)


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([network("n", mode="cluster-pool"), POOL], 'spec.ipam.mode: Invalid value: "cluster-pool"'),
        ([network("n", "nobody")], 'spec.ipam.pool.name: Not found: "nobody"'),
        ([network("n"), pool(ipv4={"cidrs": ["10.0.0.1/24"], "maskSize": 27})], "has host bits set"),
        ([network("n"), pool(ipv4={"cidrs": [], "maskSize": 27})], "has neither ipv4 nor ipv6 addresses"),
        ([network("n", routes=[{"gateway": "10.0.0.1"}]), POOL], "spec.routes[0].destination: Required value"),
    ],
)
def test_networks_that_are_refused(objects: list[dict[str, Any]], words: str) -> None:
    assert any(words in error for error in run(*objects).errors)


def test_what_was_decided_takes_the_place() -> None:
    assert networks(run(network("n", annotations={DECIDED: "mine"}))) == {"n": "mine"}


def test_a_pool_of_the_default_network_is_the_clusters() -> None:
    assert "no IsovalentPodNetwork names the pool" in run(pool("other")).warnings[0]


@pytest.mark.parametrize("example", isovalent_examples.EXAMPLES, ids=lambda example: example.name)
def test_no_field_vanishes(example: fieldwalk.Example) -> None:
    assert fieldwalk.walk(example) == []
