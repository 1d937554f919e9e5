"""What holds for every object: reading and writing back changes nothing, and a patch does directly what it says."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podnet_api import names
from podnet_api.errors import InvalidError
from podnet_api.proxy import bodies, carriage, carriers, patches, pointers, shown
from podnet_api.proxy.carriers import Carrier

KEY = carriage.KEY
Json = dict[str, Any]
word = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
network = st.fixed_dictionaries({"podNetworkName": st.sampled_from("abcdefgh")}).map(dict)
listed = st.lists(network, min_size=1, max_size=4, unique_by=lambda one: one["podNetworkName"])
carrier = st.sampled_from(list(carriers.CARRIERS.values()))


@st.composite
def inner(draw: st.DrawFn) -> Json:
    """A Pod or pod template as the API server has it."""
    annotations = draw(st.dictionaries(word, word, max_size=2))
    if draw(st.booleans()):
        annotations[KEY] = json.dumps(draw(listed), indent=draw(st.sampled_from([None, 2])))
    if draw(st.booleans()):
        addresses = ["192.0.2.1/24", "2001:db8::1/64"]
        said = {"network": "x" + draw(word), "interface": "net1", "addresses": addresses}
        annotations[names.STATUS_ANNOTATION] = json.dumps([said])
    owned = [{"manager": "m", "fieldsV1": {"f:metadata": {"f:annotations": {f"f:{KEY}": {}}}}}]
    meta = {"name": draw(word), "annotations": annotations, "managedFields": owned}
    status = {"podIPs": [{"ip": "10.0.0.1"}]} if draw(st.booleans()) else {}
    return {"metadata": meta, "spec": draw(st.dictionaries(word, word, max_size=2)), "status": status}


def outer(one: Carrier, item: Json) -> Json:
    """The object around it."""
    for key in reversed(one.template):
        item = {key: item}
    return item if one.is_pod else {"metadata": {"name": "x"}, **item}


def seen(item: Json, one: Carrier) -> Json:
    """As clients see it."""
    found: Json = json.loads(shown.one(json.dumps(item).encode(), one))
    return found


@given(carrier, inner())
def test_writing_back_what_was_read(one: Carrier, item: Json) -> None:
    before = outer(one, item)
    item = seen(before, one)
    bodies.lowered(item, one, carriage.annotation(before, one), restore=one.is_pod)
    assert item == before


@given(carrier, inner(), listed)
def test_patches_say_what_comes_of_them(one: Carrier, item: Json, wanted: list[Json]) -> None:
    """A merge patch of the field, carried out directly, shows as the patch carried out on what is shown."""
    before = outer(one, item)
    patch = outer(one, {"spec": {"networks": wanted}})
    patch.pop("metadata", None)
    lowered = copy.deepcopy(patch)
    assert patches.lowered(lowered, one, None, strategic=False)
    after = seen(merged(before, lowered), one)
    assert carriage.mapping(after, *one.template, "spec") == {**_spec(seen(before, one), one), "networks": wanted}


def _spec(item: Json, one: Carrier) -> Json:
    return carriage.mapping(item, *one.template, "spec") or {}


def merged(item: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    made = dict(item) if isinstance(item, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merged(made.get(key), value)
    return made


operation = st.one_of(
    st.builds(lambda v: {"op": "add", "path": "/spec/networks", "value": v}, listed),
    st.builds(lambda v: {"op": "add", "path": "/spec/networks/-", "value": v}, network),
    st.builds(lambda n: {"op": "remove", "path": f"/spec/networks/{n}"}, st.integers(0, 2)),
    st.builds(lambda v: {"op": "replace", "path": "/spec/networks/0", "value": v}, network),
    st.builds(lambda v: {"op": "add", "path": "/metadata/labels", "value": {"a": v}}, word),
    st.builds(lambda v: {"op": "replace", "path": "/spec", "value": {"networks": v}}, listed),
    st.just({"op": "copy", "from": "/spec/networks/0", "path": "/spec/networks/0"}),
    st.just({"op": "remove", "path": "/spec/networks"}),
    st.just({"op": "test", "path": "/metadata/name", "value": "x"}),
)


@given(inner(), st.lists(operation, min_size=1, max_size=4))
def test_json_patches_say_what_comes_of_them(item: Json, operations: list[Json]) -> None:
    pod = carriers.POD
    there = seen(item, pod)
    try:
        expected = pointers.carried_out(operations, there)
        lowered = pointers.lowered(operations, there, pod, carriage.annotation(item, pod))
    except (pointers.PointerError, InvalidError):
        return
    after = seen(pointers.carried_out(lowered, item), pod)
    if not expected["spec"].get("networks"):
        expected["spec"].pop("networks", None)
    assert after["spec"] == expected["spec"]
    assert after["metadata"].get("labels") == expected["metadata"].get("labels")


@given(word)
def test_a_word_is_no_list(text: str) -> None:
    with pytest.raises(InvalidError):
        carriage.settled(text, None, None, carriers.POD, host_network=False)
