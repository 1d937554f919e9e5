"""The field in OpenAPI v2, by which kubectl checks objects in a List: as JSON, and in protobuf, its own way. Pure."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.message import DecodeError

from podnet_api.proxy import openapi
from podnet_api.proxy.openapi_v2_pb2 import Document, Items, NamedSchema, Schema, Type

PATH = "/openapi/v2"
_REFS = "#/definitions/"
_ADDED = openapi.additions(_REFS)


def document(body: bytes, content_type: str) -> bytes:
    """The document with the field; one that cannot be read, as it came."""
    if "protobuf" in content_type:
        return _packed(body)
    return _json(body) if content_type.startswith("application/json") else body


def _json(body: bytes) -> bytes:
    whole = json.loads(body)
    definitions = whole.get("definitions", {})
    for name, properties in _ADDED.items():
        schema = definitions.setdefault(name, {"type": "object"})
        schema["properties"] = schema.get("properties", {}) | properties
    return json.dumps(whole, separators=(",", ":")).encode()


def _packed(body: bytes) -> bytes:
    """Protobuf keeps what our description of it does not know."""
    try:
        whole = Document.FromString(body)
    except DecodeError:
        return body
    known = {one.name: one.value for one in whole.definitions.schemas if one.name in _ADDED}
    for name, properties in _ADDED.items():
        schema = known.get(name)
        if schema is None:
            added = NamedSchema(name=name, value=Schema(type=Type(value=["object"])))
            whole.definitions.schemas.append(added)
            schema = whole.definitions.schemas[-1].value
        named = (NamedSchema(name=key, value=_schema(value)) for key, value in properties.items())
        schema.properties.schemas.extend(named)
    return whole.SerializeToString()


def _schema(value: dict[str, Any]) -> Schema:
    if "$ref" in value:
        return Schema(ref=value["$ref"])
    items = Items(schema=[_schema(value["items"])]) if "items" in value else None
    return Schema(description=value["description"], type=Type(value=[value["type"]]), items=items)
