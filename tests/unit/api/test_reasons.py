"""One vocabulary: every word has its place, and whoever reads a bad one is told what to do."""

from __future__ import annotations

from podnet_api import reasons

WORDS = {value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)}


def test_every_word_has_its_place() -> None:
    assert {word for words in reasons.GROUPS.values() for word in words} == WORDS


def test_every_bad_word_says_what_to_do() -> None:
    assert set(reasons.ADVICE) == WORDS - reasons.GOOD
    assert all(text[0].islower() and not text.endswith(".") for text in reasons.ADVICE.values())
