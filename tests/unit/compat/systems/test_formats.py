"""The walk through the fields of every format is whole: each field is in an example, and each example is walked."""

from __future__ import annotations

import pytest
from podnet_tests import fieldwalk, translations
from podnet_tests.formats import FORMATS


@pytest.mark.parametrize("key", FORMATS, ids=" ".join)
def test_every_field_of_a_format_is_walked(key: tuple[str, str]) -> None:
    examples, fields = FORMATS[key]
    there = {path for one in examples for path in fieldwalk.paths(one, key[1])}
    missing = [name for name in fields if not any(fieldwalk.within(path, name) for path in there)]
    assert missing == []


def test_every_kind_of_an_example_has_its_format() -> None:
    """So that a new kind cannot come without its list of fields."""
    known = {(id(one), kind) for (_, kind), (examples, _) in FORMATS.items() for one in examples}
    lacking = [
        f"{one.name}: {item.get('kind', '')}"
        for one in translations.EXAMPLES
        for item in (one.objects[0], *one.more)
        if (id(one), item.get("kind", "")) not in known
    ]
    assert lacking == []


def test_no_field_of_any_example_vanishes_is_asked_of_all() -> None:
    """The tests of the systems walk by lists of their own: together they are all there are."""
    listed = {id(one) for examples, _ in FORMATS.values() for one in examples}
    assert listed == {id(one) for one in translations.EXAMPLES}
