"""Faults: what is wrong with one field of one object, in the form of Kubernetes' field errors.

Pure. Validation functions return lists of faults; whoever called them decides what becomes of them
(causes of a 422, a condition, an Event).
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass


class FaultType(enum.Enum):
    """Kinds of field errors; the value is the ``reason`` of a ``status.details.causes`` entry
    (k8s.io/apimachinery/pkg/util/validation/field)."""

    REQUIRED = "FieldValueRequired"
    INVALID = "FieldValueInvalid"
    DUPLICATE = "FieldValueDuplicate"
    FORBIDDEN = "FieldValueForbidden"
    NOT_SUPPORTED = "FieldValueNotSupported"
    NOT_FOUND = "FieldValueNotFound"


_WORDS = {
    FaultType.REQUIRED: "Required value",
    FaultType.INVALID: "Invalid value",
    FaultType.DUPLICATE: "Duplicate value",
    FaultType.FORBIDDEN: "Forbidden",
    FaultType.NOT_SUPPORTED: "Unsupported value",
    FaultType.NOT_FOUND: "Not found",
}
_VALUE_LIMIT = 80


@dataclass(frozen=True)
class Fault:
    """One fault: ``path`` is the field path from the object's root, ``value`` what stands there."""

    path: str
    type: FaultType
    message: str
    value: object = None

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"

    @property
    def detail(self) -> str:
        """The fault without its path: ``Duplicate value: "net1": ...``."""
        parts = [_WORDS[self.type]]
        if self.value is not None:
            parts.append(_shorten(self.value))
        if self.message:
            parts.append(self.message)
        return ": ".join(parts)


def _shorten(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _VALUE_LIMIT else text[:_VALUE_LIMIT] + "…"
