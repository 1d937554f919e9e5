"""Reading one JSON object key by key as Go decodes it, so that no key vanishes without a word.

Pure. ``annotation``, ``nad`` and ``ipam`` take what they know from a Reader, say what they refuse and what
they ignore, and call ``finish`` for the rest. Go's rules: keys are compared without case, of equal keys
the last wins, null means absent, no value changes its type.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from podnet_api.faults import Fault, FaultType

T = TypeVar("T")
NOT_COVERED = "compat does not cover it yet"
_WORDS: dict[type, str] = {str: "string", int: "number", bool: "boolean", list: "list", dict: "JSON object"}


@dataclass
class Notes:
    """What there is to say of one object: faults refuse it, warnings do not."""

    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def fault(self, path: str, message: str, value: object = None, type_: FaultType = FaultType.INVALID) -> None:
        """Refuse."""
        self.faults.append(Fault(path, type_, message, value))

    def faulty(self, path: str) -> bool:
        """Whether ``path`` is refused already, so that nothing more need be said of it."""
        return any(fault.path == path for fault in self.faults)

    def unsupported(self, path: str, value: object = None, message: str = NOT_COVERED) -> None:
        """Refuse what is right but not covered."""
        self.fault(path, message, value, FaultType.NOT_SUPPORTED)

    def warn(self, path: str, message: str) -> None:
        """Let it pass and say so."""
        self.warnings.append(f"{path}: {message}")


class Reader:
    """One JSON object at ``path``."""

    def __init__(self, value: Mapping[str, Any], path: str, notes: Notes) -> None:
        self.path = path
        self.notes = notes
        self._values: dict[str, tuple[str, Any]] = {}
        self._known: list[str] = []
        for key, item in value.items():
            if key.lower() in self._values:
                notes.warn(self.at(key), f"takes the place of {self._values[key.lower()][0]!r}")
            self._values[key.lower()] = (key, item)

    def at(self, key: str) -> str:
        """The path of ``key``."""
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        """Whether ``key`` is there and not null."""
        return self._values.get(key.lower(), ("", None))[1] is not None

    def string(self, key: str) -> str:
        """The string at ``key``; "" when absent or of another type (which is a fault)."""
        return self._take(key, str, "")

    def integer(self, key: str, low: int = 0, high: int = 2**32 - 1) -> int:
        """The number at ``key`` between ``low`` and ``high``; 0 when absent."""
        value = self._take(key, int, 0)
        if value and not low <= value <= high:
            self.notes.fault(self.at(key), f"must be between {low} and {high}", value)
            return 0
        return value

    def boolean(self, key: str) -> bool:
        """The boolean at ``key``; False when absent."""
        return self._take(key, bool, False)

    def strings(self, key: str) -> list[str]:
        """The strings of the list at ``key``, by their places."""
        items: list[Any] = self._take(key, list, [])
        return [item for i, item in enumerate(items) if self._is(f"{self.at(key)}[{i}]", item, str)]

    def children(self, key: str) -> list[Reader]:
        """A reader for each object of the list at ``key``."""
        items: list[Any] = self._take(key, list, [])
        return readers(items, self.at(key), self.notes)

    def sets(self, key: str) -> list[list[Reader]]:
        """A reader for each object of the lists in the list at ``key``."""
        items: list[Any] = self._take(key, list, [])
        places = [(f"{self.at(key)}[{i}]", item) for i, item in enumerate(items)]
        return [readers(item, place, self.notes) for place, item in places if self._is(place, item, list)]

    def child(self, key: str) -> Reader:
        """A reader for the object at ``key``; an empty one when absent."""
        return Reader(self._take(key, dict, {}), self.at(key), self.notes)

    def mapping(self, key: str) -> dict[str, object]:
        """The object at ``key`` as it is, its keys with their case; {} when absent."""
        return self._take(key, dict, {})

    def raw(self, key: str) -> object:
        """The value at ``key``, of whatever type; None when absent."""
        return self._any(key)

    def written(self) -> list[str]:
        """The keys as they are written, without those that are null."""
        return [key for key, value in self._values.values() if value is not None]

    def refuse(self, *keys: str, why: str = NOT_COVERED) -> None:
        """Refuse ``keys`` unless their value is empty, false or zero, which is what absence means."""
        for key in keys:
            value = self._any(key)
            if not _empty(value):
                self.notes.unsupported(self.at(key), value, why)

    def ignore(self, *keys: str, why: str) -> None:
        """Let ``keys`` pass without effect and say so."""
        for key in keys:
            if self._any(key) is not None:
                self.notes.warn(self.at(key), f"has no effect: {why}")

    def accept(self, *keys: str) -> None:
        """Let ``keys`` pass: they say nothing that could be lost."""
        for key in keys:
            self._any(key)

    def finish(self, advice: Mapping[str, str] | None = None, *, refuse: bool) -> None:
        """Name each key that nobody asked for, as a fault or a warning, with what was probably meant."""
        for folded, (key, value) in self._values.items():
            if folded in {known.lower() for known in self._known} or value is None:
                continue
            meant = (advice or {}).get(folded) or self._meant(folded)
            if refuse:
                self.notes.unsupported(self.at(key), message=f"unknown key{meant}: {NOT_COVERED}")
            else:
                self.notes.warn(self.at(key), f"unknown key{meant}, it has no effect")

    def _meant(self, folded: str) -> str:
        known = {key.lower(): key for key in self._known}
        close = difflib.get_close_matches(folded, known, 1)
        return f", did you mean {known[close[0]]!r}?" if close else ""

    def _any(self, key: str) -> Any:
        self._known.append(key)
        return self._values.get(key.lower(), ("", None))[1]

    def _take(self, key: str, kind: type[T], default: T) -> T:
        value = self._any(key)
        if value is None or not self._is(self.at(key), value, kind):
            return default
        taken: T = value
        return taken

    def _is(self, path: str, value: object, kind: type) -> bool:
        return _is(path, value, kind, self.notes)


def readers(items: list[Any], path: str, notes: Notes) -> list[Reader]:
    """A reader for each object of ``items``; anything else in it is a fault."""
    places = [(f"{path}[{i}]", item) for i, item in enumerate(items)]
    return [Reader(item, place, notes) for place, item in places if _is(place, item, dict, notes)]


def _is(path: str, value: object, kind: type, notes: Notes) -> bool:
    """Whether ``value`` is of ``kind``. In Python a boolean is a number too, in JSON it is not."""
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return True
    notes.fault(path, f"must be a {_WORDS[kind]}", value)
    return False


def _empty(value: Any) -> bool:
    return value is None or value is False or value in ("", 0, [], {})
