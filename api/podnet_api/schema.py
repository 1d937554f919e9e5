"""Models -> CRDs: structural schemas whose descriptions are the docstrings of the types. Pure.

``crd`` makes the CustomResourceDefinition of one kind; ``make generate`` writes the files of api/crds with
it, and a test fails when they are stale. What a reviewer of Kubernetes APIs asks for is enforced: every
field has a description, every string, list and map a bound (``SchemaError`` otherwise).

A class may carry ``rules`` (CEL), ``list_key`` (lists of it are maps by that field), and for kinds
``resource``. ``Meta(extra={"shown": False})`` keeps a default out of the schema.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect as types

from podnet_api.errors import PodnetError
from podnet_api.meta import Column, Model, Resource, Rule

Schema = dict[str, Any]

CATEGORY = "multinetwork"
_INT32 = 2**31 - 1
_API_VERSION = "Version of the schema of this object: APIVersion as in every Kubernetes object."
_KIND = "Kind of this object, in CamelCase."


class SchemaError(PodnetError):
    """A type cannot become a schema: something has no description or no bound."""


def crd(kind: type[Model]) -> Schema:
    """The CustomResourceDefinition of ``kind``, a Model with a ``resource``."""
    resource: Resource = kind.resource  # type: ignore[attr-defined]
    name = {
        "kind": resource.kind,
        "listKind": resource.kind + "List",
        "plural": resource.plural,
        "singular": resource.kind.lower(),
        "shortNames": list(resource.short_names),
        "categories": [CATEGORY],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "names": {key: value for key, value in name.items() if value},
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [_version(kind, resource)],
        },
    }


def _version(kind: type[Model], resource: Resource) -> Schema:
    root = of(kind)
    version: Schema = {"name": resource.version, "served": True, "storage": True}
    if resource.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in resource.selectable]
    if "status" in root["properties"]:
        version["subresources"] = {"status": {}}
    age = Column("Age", ".metadata.creationTimestamp", "date")
    version["additionalPrinterColumns"] = [_column(column) for column in (*resource.columns, age)]
    version["schema"] = {"openAPIV3Schema": root}
    return version


def _column(column: Column) -> Schema:
    made: Schema = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    return made | ({"priority": column.priority} if column.priority else {})


def of(kind: type[Model]) -> Schema:
    """The structural schema of a kind: ``metadata`` is the API server's own, the rest is the type's."""
    schema = _struct(kind, kind.__name__)
    head = {
        "apiVersion": {"type": "string", "description": _API_VERSION},
        "kind": {"type": "string", "description": _KIND},
        "metadata": {"type": "object"},
    }
    schema["properties"] = head | {k: v for k, v in schema["properties"].items() if k != "metadata"}
    schema["required"] = [key for key in schema.get("required", []) if key != "metadata"]
    return {key: value for key, value in schema.items() if value}


def _struct(model: type[msgspec.Struct], where: str) -> Schema:
    described = types.type_info(model)
    assert isinstance(described, types.StructType)
    schema: Schema = {"type": "object", "description": _text(model.__doc__ or "", where)}
    schema["properties"] = {
        field.encode_name: _field(model, field, f"{where}.{field.encode_name}") for field in described.fields
    }
    schema["required"] = [field.encode_name for field in described.fields if field.required]
    rules: tuple[Rule, ...] = getattr(model, "rules", ())
    schema["x-kubernetes-validations"] = [_rule(rule) for rule in rules]
    return {key: value for key, value in schema.items() if value or key == "properties"}


def _rule(rule: Rule) -> Schema:
    made = {"rule": rule.rule, "message": rule.message, "reason": rule.reason}
    return made | ({"fieldPath": rule.path} if rule.path else {})


def _field(model: type[msgspec.Struct], field: types.Field, where: str) -> Schema:
    if field.encode_name == "metadata":
        return {"type": "object"}
    schema, shown = _of(field.type, where)
    text = docstrings(model).get(field.name, "")
    if text or "description" not in schema:
        schema["description"] = _text(text, where)
    if shown and _is_visible(field.default):
        schema["default"] = field.default
    return {key: schema[key] for key in ("type", "description", *schema)}


def _is_visible(default: Any) -> bool:
    """Whether a default says something: false, 0, "" and empty lists are what absence means anyhow."""
    return isinstance(default, bool | int | str) and bool(default)


def _of(kind: types.Type, where: str) -> tuple[Schema, bool]:
    """The schema of a type, and whether its default is to be shown."""
    if isinstance(kind, types.Metadata):
        schema, _ = _of(kind.type, where)
        return schema | (kind.extra_json_schema or {}), (kind.extra or {}).get("shown", True)
    if isinstance(kind, types.UnionType):
        [one] = [t for t in kind.types if not isinstance(t, types.NoneType)]
        return _of(one, where)
    return _plain(kind, where), True


def _plain(kind: types.Type, where: str) -> Schema:
    match kind:
        case types.StructType():
            return _struct(kind.cls, where)
        case types.BoolType():
            return {"type": "boolean"}
        case types.StrType():
            return _string(kind, where)
        case types.LiteralType():
            return {"type": "string", "enum": sorted(kind.values, key=str)}
        case types.IntType():
            return _integer(kind, where)
        case types.ListType():
            return _list(kind, where)
        case types.DictType():
            return _map(kind, where)
    raise SchemaError(f"cannot describe {where}: {kind!r} has no form in a CRD")


def _string(kind: types.StrType, where: str) -> Schema:
    bounds = {"minLength": kind.min_length, "maxLength": kind.max_length, "pattern": kind.pattern}
    return {"type": "string"} | _bounded(bounds, "maxLength", where)


def _integer(kind: types.IntType, where: str) -> Schema:
    bounds = _bounded({"minimum": kind.ge, "maximum": kind.le}, "maximum", where)
    return {"type": "integer", "format": "int32" if bounds["maximum"] <= _INT32 else "int64"} | bounds


def _list(kind: types.ListType, where: str) -> Schema:
    items, _ = _of(kind.item_type, f"{where}[]")
    bounds = _bounded({"minItems": kind.min_length, "maxItems": kind.max_length}, "maxItems", where)
    key = getattr(kind.item_type.cls, "list_key", "") if isinstance(kind.item_type, types.StructType) else ""
    how: Schema = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]} if key else {}
    return {"type": "array", "items": items} | bounds | (how or {"x-kubernetes-list-type": "atomic"})


def _map(kind: types.DictType, where: str) -> Schema:
    values, _ = _of(kind.value_type, f"{where}{{}}")
    return {"type": "object", "additionalProperties": values} | _bounded(
        {"maxProperties": kind.max_length}, "maxProperties", where
    )


def _bounded(bounds: Mapping[str, Any], needed: str, where: str) -> Schema:
    if bounds[needed] is None:
        raise SchemaError(f"cannot describe {where}: it has no {needed}")
    return {key: value for key, value in bounds.items() if value is not None}


def _text(docstring: str, where: str) -> str:
    """A docstring as running text; empty lines keep their meaning."""
    if not docstring.strip():
        raise SchemaError(f"cannot describe {where}: it has no docstring")
    paragraphs = inspect.cleandoc(docstring).replace("``", "`").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


@functools.cache
def docstrings(model: type[msgspec.Struct]) -> Mapping[str, str]:
    """The strings that stand directly below the fields of ``model`` or of a class that it inherits from."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Model) and base is not Model:
            found |= _own_docstrings(base)
    return found


def _own_docstrings(model: type) -> dict[str, str]:
    tree = ast.parse(inspect.getsource(sys.modules[model.__module__]))
    [body] = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == model.__name__]
    found = {}
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            found[field.target.id] = str(ast.literal_eval(text.value))
    return found
