"""Whatever people write, a translator translates it or says what is wrong; the order of keys says nothing.
`make fuzz FUZZ="--target compat"` does the same for long."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podnet_api import core
from podnet_api.errors import InvalidError
from podnet_api.meta import ObjectMeta
from podnet_compat import nad as nads
from podnet_compat import names
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad, NadSpec
from podnet_compat.systems import translate_objects
from podnet_tests import fuzzing_compat, translations

COUNT = 400


@pytest.mark.parametrize("name", fuzzing_compat.TARGETS)
def test_what_is_good_is_taken(name: str) -> None:
    target = fuzzing_compat.TARGETS[name]
    for data in fuzzing_compat.plain(target).seeds:
        target.feed(data)


@pytest.mark.parametrize("name", fuzzing_compat.TARGETS)
def test_what_is_nearly_good(name: str) -> None:
    target = fuzzing_compat.TARGETS[name]
    for data in itertools.islice(fuzzing_compat.inputs(target, random.Random(1)), COUNT):
        try:
            target.feed(data)
        except BaseException as error:
            raise AssertionError(f"{name} failed on {data[:400]!r}") from error


@pytest.mark.parametrize("name", fuzzing_compat.TARGETS)
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300))
def test_anything_at_all(name: str, data: bytes) -> None:
    fuzzing_compat.TARGETS[name].feed(data)


def wrong(error: InvalidError) -> list[str]:
    """The faults without what they quote, which stands there as it was written."""
    return sorted(f"{fault.path} {fault.type} {fault.message}" for fault in error.faults)


def defined(value: Any) -> Any:
    """What a NAD becomes, or what is wrong with it."""
    nad = Nad(metadata=ObjectMeta(name="x", namespace="test"), spec=NadSpec(config=json.dumps(value)))
    try:
        made = nads.translate(nad)
    except InvalidError as error:
        return wrong(error)
    spec = made.config.spec
    sent = spec.cni and json.loads(spec.cni.config)
    return made.config.spec if sent is None else sent, made.capabilities, sorted(made.warnings)


def selected(value: Any) -> Any:
    """What a Pod's annotation becomes, or what is wrong with it."""
    meta = ObjectMeta(name="web", namespace="test", annotations={names.NETWORKS: json.dumps(value)})
    try:
        wanted = pods.read(core.Pod(metadata=meta, spec=core.PodSpec()), "test")
        made = pods.translate(wanted, lambda namespace, name: fuzzing_compat.KNOWN.get((namespace, name)))
    except InvalidError as error:
        return wrong(error)
    asked = [(pair.attachment.spec.pod_network_name, pair.config.spec) for pair in made.attachments]
    return (
        [(n.pod_network_name, n.interface_name, n.is_default_gw4) for n in made.networks],
        asked,
        sorted(made.warnings),
    )


@pytest.mark.parametrize("number", range(60))
def test_the_order_of_keys_says_nothing(number: int) -> None:
    """Neither of good values nor of broken ones. (Keys that differ in case alone are one, of which the last counts.)"""
    chance = random.Random(number)
    for read, name in ((defined, "compat-nad"), (selected, "compat-annotation")):
        made = fuzzing_compat.mutations(fuzzing_compat.TARGETS[name], chance)
        for value in (one for one in map(json.loads, itertools.islice(made, 12)) if not twice(one)):
            assert read(fuzzing_compat.shuffled(value, chance)) == read(value)


def twice(value: Any) -> bool:
    """Whether an object in it has a key twice."""
    if isinstance(value, dict):
        return len({key.lower() for key in value}) < len(value) or any(map(twice, value.values()))
    return isinstance(value, list) and any(map(twice, value))


def opened(value: Any) -> Any:
    """``value`` with the JSON in its strings as values."""
    if isinstance(value, dict):
        return {key: opened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [opened(item) for item in value]
    return opened(json.loads(value)) if isinstance(value, str) and value[:1] in {"{", "["} else value


@pytest.mark.parametrize("example", translations.EXAMPLES, ids=[one.name for one in translations.EXAMPLES])
def test_the_order_of_keys_says_nothing_to_other_systems(example: Any) -> None:
    chance = random.Random(3)

    def outcome(objects: Any) -> Any:
        found = translate_objects(objects, "a")
        return opened(found.made), sorted(found.warnings), sorted(found.errors)

    for first in (example.objects[0], *example.more):
        objects = [first, *example.objects[1:]]
        for _ in range(3):
            assert outcome(fuzzing_compat.shuffled(list(objects), chance)) == outcome(objects)
