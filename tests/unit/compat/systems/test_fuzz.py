"""Whatever comes in, only messages come out: every format of every system with something wrong in it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from podnet_tests import fieldwalk, translated, translations

_BOUNDED = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("seed", translations.SEEDS, ids=[one.name for one in translations.EXAMPLES])
def test_seeds(seed: bytes) -> None:
    translations.feed(seed)


@_BOUNDED
@given(translations.documents())
def test_objects_with_something_wrong(items: list[dict[str, Any]]) -> None:
    translations.check(items)


@_BOUNDED
@given(st.one_of(st.text(), st.text('[]{}",:@/. \nabeth019'), translations.VALUES.map(str)))
def test_any_text_under_any_key(text: str) -> None:
    translations.feed(text.encode(errors="surrogatepass"))
    for key in translations.KEYS:
        pod = translations.pod_with("")
        pod["metadata"]["annotations"] = {key: text}
        translations.check([pod])


@_BOUNDED
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    translations.feed(data)


@_BOUNDED
@given(st.lists(st.dictionaries(st.sampled_from(["kind", "apiVersion", "metadata", "spec", "network", "networks"]),
                                translations.VALUES, max_size=4), max_size=3))  # fmt: skip
def test_any_objects(items: list[dict[str, Any]]) -> None:
    translations.check(items)


def _shuffled(value: Any, chance: random.Random) -> Any:
    """The same with the keys of every object in another order."""
    if isinstance(value, dict):
        keys = chance.sample(list(value), len(value))
        return {key: _shuffled(value[key], chance) for key in keys}
    return [_shuffled(item, chance) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("example", translations.EXAMPLES, ids=lambda one: one.name)
def test_nothing_depends_on_order(example: fieldwalk.Example) -> None:
    """Neither on that of objects nor on that of keys, also inside the JSON of annotations (that of a CNI configuration
    is handed on as it is written)."""
    seen, texts = set(), [text for text in example.texts if not text.startswith(("spec.", "data."))]
    for seed in range(8):
        chance = random.Random(seed)
        items = [_shuffled(fieldwalk.opened(item, texts), chance) for item in example.objects]
        closed = [fieldwalk.closed(item, texts) for item in items]
        chance.shuffle(closed)
        outcome = translations.check(closed)
        seen.add(json.dumps([translated.made(outcome), sorted(translated.lists(outcome), key=str),
                             sorted(outcome.warnings), sorted(outcome.errors)]))  # fmt: skip
    assert len(seen) == 1
