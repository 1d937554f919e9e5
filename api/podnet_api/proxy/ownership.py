"""Who owns the field: managedFields, and the field's name in what the API server says. Pure.

The API server tracks the annotation; whoever owns its key owns the list as a whole (an atomic list). The field is
shown beside it, and taken away again before anything is written.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import msgspec

from podnet_api import names
from podnet_api.proxy import carriage
from podnet_api.proxy.carriers import Carrier

Json = dict[str, Any]
_OWNED_KEY = f"f:{names.NETWORKS_ANNOTATION}"
_OWNED_FIELD = f"f:{carriage.FIELD}"
_KEY = re.escape(names.NETWORKS_ANNOTATION)
_NAMED = re.compile(rf"metadata\.annotations(?:\[{_KEY}\]|\.{_KEY})")


@functools.lru_cache(512)
def of(fields: bytes, carrier: Carrier) -> bytes:
    """What somebody owns (``fieldsV1``), with the field where it has the annotation. Remembered, because the Pods of
    a template are all owned alike. Raises msgspec.DecodeError."""
    entry = {"fieldsV1": msgspec.json.decode(fields)}
    owner = _owner(entry, carrier)
    if owner is not None and _OWNED_KEY in (carriage.mapping(owner, "f:metadata", "f:annotations") or {}):
        owner.setdefault("f:spec", {})[_OWNED_FIELD] = {}
    return msgspec.json.encode(entry["fieldsV1"])


def stripped(entries: Any, carrier: Carrier) -> bool:
    """Takes the field away; whether it was there."""
    found = False
    for entry in entries if isinstance(entries, list) else ():
        owner = _owner(entry, carrier)
        owned = carriage.mapping(owner, "f:spec")
        if owner is not None and owned is not None and owned.pop(_OWNED_FIELD, None) is not None:
            found = True
            if not owned:
                del owner["f:spec"]
    return found


def _owner(entry: Any, carrier: Carrier) -> Json | None:
    return carriage.mapping(entry, "fieldsV1", *(f"f:{key}" for key in carrier.template))


def told(text: str) -> str:
    """A sentence of the API server or of a webhook with the field's name in place of the annotation's."""
    return _NAMED.sub(f"spec.{carriage.FIELD}", text)
