"""The examples and the types agree: what the API server accepts is read, valid, and written the same."""

from __future__ import annotations

import pathlib
from typing import Any

import msgspec
import pytest
import yaml
from podnet_api import core
from podnet_api.meta import Model
from podnet_api.webhook import objects
from podnet_hack import generate, paths

EXAMPLES = paths.CHECKOUT / "api/examples"
ALL: tuple[type[Model], ...] = (*generate.KINDS, core.Pod)
KINDS: dict[str, Any] = {kind.__name__: kind for kind in ALL}
VALID = sorted((EXAMPLES / "valid").glob("*.yaml"))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_valid_examples_are_read_without_faults(path: pathlib.Path) -> None:
    body = yaml.safe_load(path.read_text())
    read = msgspec.convert(body, KINDS[body["kind"]])
    if body["kind"] == "Pod":
        return
    assert objects.faults(body, None, lambda _: None) == ()
    written = msgspec.to_builtins(read)
    assert msgspec.convert(written, KINDS[body["kind"]]) == read
    assert written.get("spec", {}).keys() <= body.get("spec", {}).keys(), "a default is written"


@pytest.mark.parametrize("path", sorted((EXAMPLES / "invalid").glob("*.yaml")), ids=lambda path: path.stem)
def test_invalid_examples_say_what_is_wrong(path: pathlib.Path) -> None:
    text = path.read_text()
    assert text.startswith("# field: ")
    assert "\n# message: " in text
    documents = list(yaml.safe_load_all(text))
    assert len(documents) == (2 if "\n# update: true\n" in text else 1)
    assert documents[0]["kind"] in KINDS


def test_every_kind_has_an_example() -> None:
    assert {yaml.safe_load(path.read_text())["kind"] for path in VALID} == KINDS.keys()
