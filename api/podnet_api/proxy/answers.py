"""Answers of the proxy's own: Status objects, as the API server would say them. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from podnet_api.errors import InvalidError
from podnet_api.proxy import ownership
from podnet_api.proxy.carriers import Carrier

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    413: "RequestEntityTooLarge",
    422: "Invalid",
    502: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def status(code: int, message: str, **details: Any) -> bytes:
    """A failure."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": _REASONS.get(code, ""),
        "details": details,
        "code": code,
    }
    return msgspec.json.encode({key: value for key, value in body.items() if value != {} or key == "metadata"})


def invalid(error: InvalidError, carrier: Carrier, name: str) -> bytes:
    """422 with each fault as a cause, in the API server's words."""
    causes = [{"reason": fault.type.value, "message": fault.detail, "field": fault.path} for fault in error.faults]
    told = [str(fault) for fault in error.faults]
    kind = f"{carrier.kind}.{carrier.group}" if carrier.group else carrier.kind
    message = f'{kind} "{name}" is invalid: {told[0] if len(told) == 1 else "[" + ", ".join(told) + "]"}'
    return status(422, message, name=name, group=carrier.group, kind=carrier.kind, causes=causes)


def told(body: bytes) -> bytes:
    """A failure of the API server that speaks of the field instead of the annotation."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    if not isinstance(found, dict) or found.get("kind") != "Status":
        return body
    if isinstance(found.get("message"), str):
        found["message"] = ownership.told(found["message"])
    for cause in (found.get("details") or {}).get("causes") or ():
        for key in ("message", "field"):
            if isinstance(cause.get(key), str):
                cause[key] = ownership.told(cause[key])
    return msgspec.json.encode(found)
