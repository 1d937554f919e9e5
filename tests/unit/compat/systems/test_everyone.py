"""What holds for every translator: what it makes is valid, and nothing depends on the order of keys and objects."""

from __future__ import annotations

import copy
import random
from typing import Any

import msgspec
import pytest
from podnet_api import kni, networks
from podnet_api.validation import attachment_config, network_config
from podnet_compat.systems import SYSTEMS, Outcome, translate_objects
from podnet_tests import (
    cni_examples,
    gke_examples,
    isovalent_examples,
    kubevirt_examples,
    npwg_examples,
    ovn_examples,
    translated,
)
from podnet_tests.fieldwalk import Example
from podnet_tests.foreign_objects import NETWORKS, pod

EXAMPLES = [
    example
    for module in (
        cni_examples, gke_examples, isovalent_examples, kubevirt_examples, npwg_examples, ovn_examples,
    )
    for example in module.EXAMPLES
]  # fmt: skip
FORMS = [
    (example, [first, *example.objects[1:]]) for example in EXAMPLES for first in (example.objects[0], *example.more)
]


def _said(outcome: Outcome) -> tuple[Any, ...]:
    return translated.made(outcome), sorted(outcome.warnings), sorted(outcome.errors), translated.lists(outcome)


def _shuffled(value: Any, chance: random.Random) -> Any:
    """``value`` with the keys of every object in another order."""
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: _shuffled(value[key], chance) for key in keys}
    return [_shuffled(item, chance) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("example", "objects"), FORMS, ids=lambda one: one.name if isinstance(one, Example) else "")
def test_the_order_of_keys_and_objects_says_nothing(example: Example, objects: list[Any]) -> None:
    before, chance = _said(translate_objects(copy.deepcopy(objects), "a")), random.Random(5)
    for _ in range(3):
        other = [_shuffled(item, chance) for item in objects]
        chance.shuffle(other)
        assert _said(translate_objects(other, "a")) == before


@pytest.mark.parametrize(("example", "objects"), FORMS, ids=lambda one: one.name if isinstance(one, Example) else "")
def test_what_is_made_is_valid(example: Example, objects: list[Any]) -> None:
    """By the rules that admission holds."""
    outcome = translate_objects(copy.deepcopy(objects), "a")
    for item in outcome.made:
        if item["kind"] == "NetworkConfig":
            assert not network_config.network_config_faults(msgspec.convert(item, kni.NetworkConfig))
        elif item["kind"] == "AttachmentConfig":
            assert not attachment_config.attachment_config_faults(msgspec.convert(item, kni.AttachmentConfig))
    for listed in translated.lists(outcome):
        networks.parse(msgspec.json.encode(listed).decode())


def test_every_system_has_a_name_of_its_own() -> None:
    names = [system.name for system in SYSTEMS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_a_plain_pod_of_multus_is_nobodys(system: Any) -> None:
    """What no system claims goes the way of Multus' own annotation."""
    outcome = translate_objects([pod({NETWORKS: "net1,net2@left"}), pod({})], "a", [system])
    assert len(outcome.rest) == 2
    assert not outcome.errors
