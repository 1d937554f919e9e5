"""What a request is about: path, query and media types. Pure.

Nothing here decides about rights: a request that is not recognised goes to the API server as it came.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass

from podnet_api.proxy import carriers
from podnet_api.proxy.carriers import Carrier

JSON = "application/json"
YAML = "application/yaml"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"

_WHOLE = frozenset(("", "status", "ephemeralcontainers", "resize"))
"""Subresources whose body is the object itself."""
_STREAMS = frozenset(("attach", "exec", "log", "portforward", "proxy"))
_OPENAPI = "/openapi/v3"
_ANY = frozenset(("application/*", "*/*"))


@dataclass(frozen=True)
class Target:
    """A collection or an object of a kind that carries a list."""

    carrier: Carrier
    name: str
    subresource: str
    watch: bool
    objects: bool
    """Whether rows of a Table come with whole objects (includeObject=Object)."""

    @property
    def whole(self) -> bool:
        """Whether bodies are the kind itself: not so for scale, binding, eviction and the streams."""
        return self.subresource in _WHOLE


def target(path: str, query: str) -> Target | None:
    """What ``path`` (still percent-encoded) and ``query`` lead to; None: nothing that carries a list."""
    found = _resource(_segments(path))
    if found is None:
        return None
    carrier, rest, watched = found
    name, subresource = ([*rest, "", ""])[:2]
    asked = _query(query)
    watch = watched or _truth(asked.get("watch"))
    return Target(carrier, name, subresource, watch, asked.get("includeObject") == "Object")


def is_long(path: str, query: str) -> bool:
    """Whether an answer may take as long as it likes: watches, logs, streams and what the API server proxies."""
    asked, segments = _query(query), _segments(path)
    return _truth(asked.get("watch")) or "watch" in segments[2:4] or not _STREAMS.isdisjoint(segments)


def openapi(path: str) -> str | None:
    """The group and version (``apis/apps/v1``) whose OpenAPI v3 is asked for; "" for the index, None for neither."""
    trimmed = path.rstrip("/")
    if trimmed == _OPENAPI:
        return ""
    return trimmed.removeprefix(_OPENAPI + "/") if trimmed.startswith(_OPENAPI + "/") else None


def media_type(value: str) -> str:
    """A Content-Type without its parameters; none at all is JSON, as for the API server."""
    return value.partition(";")[0].strip().lower() or JSON


def readable(accept: str) -> str:
    """``accept`` with nothing but JSON where JSON is offered: in the other forms the field cannot be shown."""
    offers = [offer.strip() for offer in accept.split(",") if offer.strip()]
    text = [JSON if media_type(one) in _ANY else one for one in offers if media_type(one) in {JSON, *_ANY}]
    return ", ".join(text) or accept or JSON


def _segments(path: str) -> list[str]:
    return [urllib.parse.unquote(part) for part in path.split("/")[1:]]


def _resource(segments: Sequence[str]) -> tuple[Carrier, Sequence[str], bool] | None:
    """The kind, what follows it in the path, and whether the path has the old prefix ``watch``."""
    match segments:
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            return None
    watched = rest[:1] == ["watch"]
    rest = rest[watched:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    carrier = carriers.CARRIERS.get((group, version, rest[0])) if rest else None
    return (carrier, rest[1:], watched) if carrier and len(rest) <= 3 else None


def _query(query: str) -> dict[str, str]:
    return {key: values[0] for key, values in urllib.parse.parse_qs(query, keep_blank_values=True).items()}


def _truth(value: str | None) -> bool:
    """As the API server reads a boolean: there, and neither ``false`` nor ``0``."""
    return value is not None and value.lower() not in {"false", "0"}
