"""CRDs from types: nothing undescribed, nothing unbounded, nothing stale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import pytest
from msgspec import Meta
from podnet_api import kni, multinetwork, schema
from podnet_api.meta import Model, ObjectMeta, Rule
from podnet_hack import generate


def test_what_is_committed_is_what_would_be_generated() -> None:
    generate.check(generate.wanted())


def fields(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from fields(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from fields(node[key], f"{path}[]")


@pytest.mark.parametrize("kind", generate.KINDS)
def test_every_field_is_described_and_bounded(kind: type[Model]) -> None:
    for path, node in fields(schema.of(kind), kind.__name__):
        assert "type" in node, path
        if path.count(".") == 1 and path.rsplit(".", 1)[1] in {"apiVersion", "kind", "metadata"}:
            continue
        assert node.get("description") or path.endswith("]"), path
        if node["type"] == "string":
            assert "maxLength" in node or "enum" in node, path
        if node["type"] == "array":
            assert {"maxItems", "x-kubernetes-list-type"} <= node.keys(), path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path
        if node["type"] == "integer":
            assert {"minimum", "maximum", "format"} <= node.keys(), path


def spec(kind: type[Model]) -> Any:
    return schema.of(kind)["properties"]["spec"]


def test_conditions_are_a_map_and_defaults_are_visible() -> None:
    conditions = schema.of(multinetwork.PodNetwork)["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert spec(multinetwork.PodNetwork)["properties"]["enabled"]["default"] is True
    assert "default" not in spec(kni.NetworkConfig)["properties"]["antiSpoof"]
    assert spec(multinetwork.PodNetwork)["required"] == ["provider"]


def test_what_a_kind_says_of_itself() -> None:
    made = schema.crd(multinetwork.PodNetwork)
    assert made["metadata"]["name"] == "podnetworks.multinetwork.x-k8s.io"
    assert made["spec"]["names"]["shortNames"] == ["pn"]
    assert made["spec"]["names"]["categories"] == ["multinetwork"]
    [version] = made["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    assert version["selectableFields"] == [{"jsonPath": ".spec.provider"}]
    assert version["additionalPrinterColumns"][-1]["name"] == "Age"
    assert "subresources" not in schema.crd(kni.IPBlock)["spec"]["versions"][0]


class Parent(Model, frozen=True, kw_only=True):
    """What is inherited."""

    old: Annotated[int, Meta(ge=0, le=5)] = 0
    """From ``Parent``."""


class Child(Parent, frozen=True, kw_only=True):
    """A child.

    With a second paragraph
    over two lines.
    """

    rules: ClassVar[tuple[Rule, ...]] = (Rule("true", "never", path=".new"),)

    new: Literal["b", "a"] = "a"
    """Its own."""


class Kind(Model, frozen=True, kw_only=True):
    """A kind."""

    metadata: ObjectMeta
    spec: Child
    """The spec."""


def test_docstrings_are_inherited_and_flow() -> None:
    made = schema.of(Kind)["properties"]["spec"]
    assert made["description"] == "The spec."
    assert made["properties"]["old"]["description"] == "From `Parent`."
    assert made["properties"]["new"] == {
        "type": "string", "description": "Its own.", "enum": ["a", "b"], "default": "a",
    }  # fmt: skip
    assert made["x-kubernetes-validations"] == [
        {"rule": "true", "message": "never", "reason": "FieldValueInvalid", "fieldPath": ".new"}
    ]
    assert "required" not in made


class Unbounded(Model, frozen=True):
    """Has a field without an end."""

    text: str = ""
    """Any text."""


class Undescribed(Model, frozen=True):
    """Has a field that nobody knows."""

    flag: bool = False


class Endless(Model, frozen=True):
    """Has a list without an end."""

    flags: list[bool] = []
    """Any number."""


class Open(Model, frozen=True):
    """Has a map without an end."""

    flags: dict[str, bool] = {}
    """Any number."""


class Floating(Model, frozen=True):
    """Has a type that CRDs should not have."""

    number: float = 0.0
    """A number."""


@pytest.mark.parametrize("kind", [Unbounded, Undescribed, Endless, Open, Floating])
def test_what_a_reviewer_would_refuse_is_an_error(kind: type[Model]) -> None:
    with pytest.raises(schema.SchemaError, match="cannot describe"):
        schema.of(kind)
