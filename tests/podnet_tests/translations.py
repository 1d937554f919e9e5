"""Inputs for the fuzz of every translator of another system: good objects of all formats with something wrong in them.

``feed`` takes bytes, for atheris and for mutations (``make fuzz``); ``documents`` is a hypothesis strategy. Whatever
comes in, only InvalidError may come out of a translator, and ``translate_objects`` turns that into a message.
"""

from __future__ import annotations

import copy
import importlib
import json
import pathlib
from typing import Any

import msgspec
from hypothesis import strategies as st
from podnet_api import kni, multinetwork
from podnet_compat.systems import Outcome, translate_objects
from podnet_compat.systems.genie import status

from podnet_tests import fieldwalk
from podnet_tests.fieldwalk import Example, Path

Object = dict[str, Any]


def examples() -> dict[str, list[Example]]:
    """Those of every module beside this one that is called ``..._examples``, by its name before that."""
    modules = sorted(path.stem for path in pathlib.Path(__file__).parent.glob("*_examples.py"))
    found = {name: getattr(importlib.import_module(f"podnet_tests.{name}"), "EXAMPLES", ()) for name in modules}
    return {
        name.removesuffix("_examples"): [one for one in listed if isinstance(one, Example) and one.systems is None]
        for name, listed in found.items()
    }


FAMILIES = examples()
EXAMPLES = [one for listed in FAMILIES.values() for one in listed]
KEYS = sorted({key for one in EXAMPLES for item in one.objects for key in fieldwalk.annotated(item)})
SEEDS = [json.dumps([*one.objects]).encode() for one in EXAMPLES]
WORDS = [
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b"-1",
    b"1e400",
    b"\\ud800",
    b"\xff",
    b'"::1/200"',
    b"@",
    b",",
    b"/",
    b"\n",
]


_KINDS = {
    kind.resource.kind: kind
    for kind in (
        multinetwork.PodNetwork,
        multinetwork.PodNetworkAttachment,
        kni.NetworkConfig,
        kni.AttachmentConfig,
    )
}


def feed(data: bytes) -> None:
    """Objects as JSON; anything else is the text of every annotation that a system knows."""
    text = data.decode(errors="surrogateescape")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = [pod_with(text)]
    items = [item for item in (found if isinstance(found, list) else [found]) if isinstance(item, dict)]
    check(items)
    status.preferences(text)


def pod_with(text: str) -> Object:
    """A Pod with ``text`` under every key at once."""
    meta = {"name": "p", "namespace": "a", "annotations": dict.fromkeys(KEYS, text)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {}}


def check(items: list[Object]) -> Outcome:
    """Translates ``items``; what comes out must be what it says it is."""
    outcome = translate_objects(items, "a")
    json.dumps(outcome.made)
    for item in outcome.made:
        if item["kind"] in _KINDS:
            msgspec.convert(item, _KINDS[item["kind"]])
    assert all(isinstance(line, str) for line in (*outcome.errors, *outcome.warnings))
    return outcome


_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2**70), st.floats(), st.text(max_size=20),
    st.sampled_from(["", "dynamic", "none", "10.0.0.1", "fd00::/64", "10.0.0.0/99", "eth0", "a" * 300, "\ud800"]),
)  # fmt: skip
VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)
"""Any JSON value, and some that look like what belongs there."""


@st.composite
def documents(draw: st.DrawFn) -> list[Object]:
    """The objects of one example, with a few values of them replaced or gone."""
    example = draw(st.sampled_from(EXAMPLES))
    items = copy.deepcopy([draw(st.sampled_from([example.objects[0], *example.more])), *example.objects[1:]])
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(items) - 1))
        items[place] = _spoilt(draw, fieldwalk.opened(items[place], example.texts), example)
    return draw(st.permutations(items))


def _spoilt(draw: st.DrawFn, item: Object, example: Example) -> Object:
    """At a leaf, or at anything that holds one."""
    path: Path = draw(st.sampled_from(sorted(fieldwalk.leaves(item), key=str)))
    part = path[: draw(st.integers(1, max(1, len(path))))]
    if not part:
        return item
    spoilt = fieldwalk.without(item, part) if draw(st.booleans()) else fieldwalk.put(item, part, draw(VALUES))
    return fieldwalk.closed(spoilt, example.texts)
