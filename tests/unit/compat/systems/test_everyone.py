"""What holds for every translator: what it makes is valid, and nothing depends on the order of keys and objects."""

from __future__ import annotations

import copy
import random
from typing import Any

import msgspec
import pytest
from podnet_api import kni, networks
from podnet_api.validation import attachment_config, network_config
from podnet_compat.systems import SYSTEMS, Outcome, base, registry, translate, translate_objects, workloads
from podnet_compat.systems.registry import System
from podnet_tests import fieldwalk, translated
from podnet_tests.fieldwalk import Example
from podnet_tests.foreign_objects import NETWORKS, pod
from podnet_tests.translations import EXAMPLES

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
    """Neither does that of keys inside the JSON of annotations; a CNI configuration is handed on as it is written."""
    texts = [text for text in example.texts if not text.startswith(("spec.", "data."))]
    opened, chance = [fieldwalk.opened(item, texts) for item in objects], random.Random(5)
    before = _said(translate_objects([fieldwalk.closed(item, texts) for item in opened], example.namespace))
    for _ in range(3):
        other = [fieldwalk.closed(_shuffled(item, chance), texts) for item in opened]
        chance.shuffle(other)
        assert _said(translate_objects(other, example.namespace)) == before


@pytest.mark.parametrize(("example", "objects"), FORMS, ids=lambda one: one.name if isinstance(one, Example) else "")
def test_what_is_made_is_valid(example: Example, objects: list[Any]) -> None:
    """By the rules that admission holds."""
    outcome = translate_objects(copy.deepcopy(objects), example.namespace)
    for item in outcome.made:
        if item["kind"] == "NetworkConfig":
            assert not network_config.network_config_faults(msgspec.convert(item, kni.NetworkConfig))
        elif item["kind"] == "AttachmentConfig":
            assert not attachment_config.attachment_config_faults(msgspec.convert(item, kni.AttachmentConfig))
    for listed in translated.lists(outcome):
        networks.parse(msgspec.json.encode(listed).decode())


def test_every_translator_has_an_example() -> None:
    """So that the tests above are of all of them."""
    walked = {name for example in EXAMPLES for name in _translators(example)}
    assert walked == {name for system in SYSTEMS for name in _names(system)}


def _translators(example: Example) -> set[str]:
    """Who translates the objects of ``example``."""
    found = set()
    for first in (example.objects[0], *example.more):
        objects = translate.known([first, *example.objects[1:]], example.namespace, SYSTEMS)
        item = workloads.pod(first, example.namespace) if "kind" in first else None
        if item is not None:
            found |= {system.name for system in SYSTEMS if system.has(item, objects)}
            continue
        for system in SYSTEMS:
            adopted = system.adopt(first) if system.adopt and "kind" not in first else None
            for one in adopted or [first]:
                kind = str(one.get("kind"))
                namespaced = all(k.namespaced for k in system.kinds if k.kind == kind)
                origin = base.source(one, example.namespace, cluster=not namespaced)
                found |= {f"{system.name} {kind}" for _ in translate.kinds(origin, objects, [system])}
    return found


def _names(system: System) -> set[str]:
    """A system for its Pods, and each of its kinds in one spelling; what is only recognised has tests of its own."""
    if system.name in {"recognised", "galaxy"}:
        return set()
    kinds = {f"{system.name} {kind.kind}" for kind in system.kinds if kind.applies is not registry.never}
    return {name for name in kinds if not name.endswith(("LogicalNetwork", "PhysicalNetwork"))} | (
        {system.name} if system.pods else set()
    )


def test_every_system_has_a_name_of_its_own() -> None:
    names = [system.name for system in SYSTEMS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_a_plain_pod_of_multus_is_nobodys(system: Any) -> None:
    """What no system claims goes the way of Multus' own annotation."""
    outcome = translate_objects([pod({NETWORKS: "net1,net2@left"}), pod({})], "a", [system])
    assert len(outcome.rest) == 2
    assert not outcome.errors
