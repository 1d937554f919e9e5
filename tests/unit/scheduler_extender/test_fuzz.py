"""Whatever is posted: an answer that is sound or an error that says so, at once, and the next call is answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podnet_api import names
from podnet_scheduler_extender import wire
from podnet_scheduler_extender.extender import Extender
from podnet_scheduler_extender.fake import NAMESPACE, listed
from podnet_tests import fuzzing_extender
from podnet_tests.fuzzing_extender import answers

NAMES = st.sampled_from(["a", "b", "c", "ghost", "", "é", "\U0001f600"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | NAMES
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner))
LISTS = st.sampled_from(
    [listed(["blue"]), listed(["default"]), listed(["blue", "blue"]), listed(["none"]), "", "[", "{}"]
)


def or_anything(wanted: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what is expected there."""
    return st.one_of(wanted, wanted, wanted, JSON)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object in which fields may be wrong, absent or unknown."""
    return st.fixed_dictionaries(
        {}, optional={name: or_anything(value) for name, value in fields.items()} | {"x": JSON}
    )


METADATA = some(
    name=NAMES,
    namespace=st.just(NAMESPACE),
    uid=NAMES,
    annotations=some(**{names.NETWORKS_ANNOTATION: LISTS | st.text(max_size=30)}),
)
POD = some(metadata=METADATA, spec=some(hostNetwork=st.booleans()), status=JSON)
NODES = some(items=st.lists(or_anything(some(metadata=METADATA)), max_size=3))
VICTIMS = some(Pods=st.lists(or_anything(some(UID=NAMES, metadata=METADATA))), NumPDBViolations=st.integers(0, 9))
ARGS = some(Pod=POD, Nodes=NODES, NodeNames=st.lists(NAMES, max_size=8))
PREEMPTION = some(
    Pod=POD,
    NodeNameToVictims=st.dictionaries(NAMES, or_anything(VICTIMS), max_size=3),
    NodeNameToMetaVictims=st.dictionaries(NAMES, or_anything(VICTIMS), max_size=3),
)
ENCODED = st.one_of(st.binary(max_size=60), (ARGS | PREEMPTION).map(lambda body: json.dumps(body).encode()))


@pytest.fixture(scope="module")
def extender() -> Extender:
    return fuzzing_extender.cluster().extender


@settings(max_examples=400, deadline=None)
@given(ENCODED, st.integers(0, 100))
def test_anything(extender: Extender, body: bytes, cut: int) -> None:
    for answer in [*answers(extender, body), *answers(extender, body[: len(body) * cut // 100])]:
        json.loads(answer)


@settings(max_examples=200, deadline=None)
@given(st.lists(NAMES, max_size=12), LISTS)
def test_every_node_is_either_taken_or_refused_and_none_is_invented(
    extender: Extender, asked: list[str], text: str
) -> None:
    meta = {"name": "p", "namespace": NAMESPACE, "uid": "p", "annotations": {names.NETWORKS_ANNOTATION: text}}
    body = json.dumps({"Pod": {"metadata": meta}, "NodeNames": asked}).encode()
    answer = json.loads(wire.encode(extender.filter(wire.arguments(body))))
    assert answer["Error"] == ""
    refused = {*answer["FailedNodes"], *answer["FailedAndUnresolvableNodes"]}
    assert set(answer["NodeNames"]) | refused == set(asked)
    assert not set(answer["NodeNames"]) & refused


KEYS = st.sampled_from(["Pod", "Nodes", "NodeNames", "x"])
NESTED = st.recursive(
    st.none() | st.just([]) | st.lists(NAMES, max_size=3) | st.lists(st.integers(), max_size=2) | st.text(max_size=3),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=3),
)
TAILS = st.sampled_from(["", "", "", "}", "]}", '"NodeNames":["a"]}', "\n"])


def read(reader: Callable[[bytes], wire.Args], body: bytes) -> object:
    """What a request asks, or None when it cannot be read."""
    try:
        args = reader(body)
        return args.pod, args.nodes, bytes(args.node_names), wire.named_nodes(args)
    except wire.BadRequestError:
        return None


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(KEYS, NESTED), max_size=4), TAILS, st.integers(0, 5))
def test_names_that_stand_last_are_read_as_they_are_anywhere(
    fields: list[tuple[str, object]], tail: str, less: int
) -> None:
    written = ",".join(f'"{key}":{json.dumps(value, separators=(",", ":"))}' for key, value in fields)
    body = (f"{{{written}}}" + tail).encode()
    body = body[: len(body) - less]
    assert read(wire.arguments, body) == read(lambda text: wire.decode(text, wire.Args), body)
