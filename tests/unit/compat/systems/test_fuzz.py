"""Whatever comes in, only messages come out: every format of every system with something wrong in it. That nothing
depends on order is in ``test_everyone``."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from podnet_tests import translations

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
