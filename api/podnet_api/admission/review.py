"""AdmissionReview v1 <-> Request, Allow and Deny. Pure.

``decode`` reads what kube-apiserver posts, ``encode`` writes what it expects. A denial has the form of
kube-apiserver's own validation errors (422, reason Invalid, one cause per field), so that kubectl prints
it the same way.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import field as json_field

from podnet_api.errors import PodnetError
from podnet_api.faults import Fault
from podnet_api.meta import Model

API_VERSION = "admission.k8s.io/v1"


class BadReviewError(PodnetError):
    """What was posted is not an AdmissionReview of version v1."""


@dataclass(frozen=True)
class Request:
    """What a user asks of the API server. ``object`` is empty for DELETE; ``name`` is generateName while
    the object has no name yet; ``user`` and ``groups`` are who asks."""

    uid: str
    operation: str
    user: str
    namespace: str
    name: str
    object: dict[str, Any]
    old_object: dict[str, Any] | None
    dry_run: bool
    groups: tuple[str, ...] = ()
    subresource: str = ""


@dataclass(frozen=True)
class Allow:
    """The request may go on, changed by ``patch`` (RFC 6902)."""

    patch: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Deny:
    """The request is refused because of ``faults`` (never empty) in the object ``kind`` ``name``."""

    kind: str
    name: str
    faults: tuple[Fault, ...]
    warnings: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The sentence that kube-apiserver itself would use."""
        texts = [str(fault) for fault in self.faults]
        what = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
        return f'{self.kind} "{self.name}" is invalid: {what}'


Handler = Callable[[Request], Awaitable[Allow | Deny]]
"""Answers one request. It must be safe to call again with its own result (reinvocation)."""


class _User(Model, frozen=True, kw_only=True):
    username: str = ""
    groups: list[str] = []


class _Request(Model, frozen=True, kw_only=True):
    uid: str
    operation: str
    namespace: str = ""
    name: str = ""
    user_info: _User = _User()
    object: dict[str, Any] | None = None
    old_object: dict[str, Any] | None = None
    dry_run: bool = False
    sub_resource: str = ""


class _Review(Model, frozen=True, kw_only=True):
    api_version: str
    kind: str
    request: _Request


class _Cause(msgspec.Struct, frozen=True):
    reason: str
    message: str
    field: str


class _Details(Model, frozen=True, kw_only=True):
    name: str
    kind: str
    causes: list[_Cause]


class _Status(Model, frozen=True, kw_only=True):
    code: int
    reason: str
    message: str
    details: _Details


class _Response(Model, frozen=True, kw_only=True):
    uid: str
    allowed: bool
    patch_type: str = ""
    patch: str = ""
    warnings: list[str] = []
    result: _Status | None = json_field(name="status", default=None)


def decode(body: bytes) -> Request:
    """The request in an AdmissionReview. Raises BadReviewError when ``body`` is none."""
    try:
        review = msgspec.json.decode(body, type=_Review)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadReviewError(f"cannot read the AdmissionReview: {error}") from error
    if (review.api_version, review.kind) != (API_VERSION, "AdmissionReview"):
        raise BadReviewError(f"cannot read {review.kind} of {review.api_version}: want AdmissionReview {API_VERSION}")
    asked = review.request
    item = asked.object or {}
    return Request(
        uid=asked.uid,
        operation=asked.operation,
        user=asked.user_info.username,
        namespace=asked.namespace,
        name=asked.name or _name(item),
        object=item,
        old_object=asked.old_object,
        dry_run=asked.dry_run,
        groups=tuple(asked.user_info.groups),
        subresource=asked.sub_resource,
    )


def _name(item: dict[str, Any]) -> str:
    meta = item.get("metadata") or {}
    return str(meta.get("name") or meta.get("generateName") or "")


def encode(uid: str, answer: Allow | Deny) -> bytes:
    """The AdmissionReview that answers request ``uid``."""
    response = _denied(uid, answer) if isinstance(answer, Deny) else _allowed(uid, answer)
    review = {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}
    return msgspec.json.encode(review)


def _allowed(uid: str, answer: Allow) -> _Response:
    if not answer.patch:
        return _Response(uid=uid, allowed=True, warnings=answer.warnings)
    patch = base64.b64encode(msgspec.json.encode(answer.patch)).decode()
    return _Response(uid=uid, allowed=True, patch_type="JSONPatch", patch=patch, warnings=answer.warnings)


def _denied(uid: str, answer: Deny) -> _Response:
    causes = [_Cause(fault.type.value, fault.detail, fault.path) for fault in answer.faults]
    details = _Details(name=answer.name, kind=answer.kind, causes=causes)
    status = _Status(code=422, reason="Invalid", message=answer.message, details=details)
    return _Response(uid=uid, allowed=False, result=status, warnings=answer.warnings)
