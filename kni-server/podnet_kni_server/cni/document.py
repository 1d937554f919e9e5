"""JSON as Go programs read it: names of keys in any case, wrong types refused with their place. Pure."""

from collections.abc import Callable, Mapping

import msgspec

Object = Mapping[str, object]
Fail = Callable[[str], Exception]
"""Makes the error of the caller from a message."""


def decode(text: str | bytes, fail: Fail) -> dict[str, object]:
    """The object in `text`. Raises what `fail` makes when it is none."""
    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise fail(f"is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise fail("must be a JSON object")
    return value


class Reader:
    """Takes fields of one object. `path` stands before every message; absent and null are the same."""

    def __init__(self, value: object, path: str, fail: Fail) -> None:
        if not isinstance(value, dict):
            raise fail(f"{path or 'it'}: must be an object, is {kind_of(value)}")
        self.value: dict[str, object] = value
        self._path = path
        self._fail = fail
        self._folded = {key.lower(): item for key, item in value.items()} | value

    def at(self, key: str) -> str:
        """The path of a field."""
        return f"{self._path}.{key}" if self._path else key

    def get(self, key: str) -> object:
        """A field as it is."""
        return self._folded.get(key, self._folded.get(key.lower()))

    def text(self, key: str) -> str:
        """A string; `""` when absent."""
        value = self.get(key)
        if value is None or isinstance(value, str):
            return value or ""
        raise self.wrong(key, "a string", value)

    def number(self, key: str) -> int:
        """A whole number; 0 when absent."""
        value = self.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value or 0
        raise self.wrong(key, "a whole number", value)

    def flag(self, key: str) -> bool:
        """A boolean, also written as a string; False when absent."""
        value = self.get(key)
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.wrong(key, "true or false", value)

    def items(self, key: str) -> list[object]:
        """A list; empty when absent."""
        value = self.get(key)
        if value is None or isinstance(value, list):
            return value or []
        raise self.wrong(key, "a list", value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(self._text_of(key, item) for item in self.items(key))

    def objects(self, key: str) -> list["Reader"]:
        """A list of objects."""
        return [Reader(item, f"{self.at(key)}[{i}]", self._fail) for i, item in enumerate(self.items(key))]

    def child(self, key: str) -> "Reader":
        """An object; an empty one when absent."""
        value = self.get(key)
        return Reader({} if value is None else value, self.at(key), self._fail)

    def wrong(self, key: str, wanted: str, value: object) -> Exception:
        """The error of a field that is not as `wanted`."""
        return self._fail(f"{self.at(key)}: must be {wanted}, is {kind_of(value)}")

    def fail(self, key: str, message: str) -> Exception:
        """An error of a field."""
        return self._fail(f"{self.at(key)}: {message}")

    def _text_of(self, key: str, item: object) -> str:
        if isinstance(item, str):
            return item
        raise self.wrong(key, "a list of strings", item)


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    names = ((bool, "a boolean"), (str, "a string"), (int | float, "a number"), (list, "a list"), (dict, "an object"))
    return next((name for kind, name in names if isinstance(value, kind)), "null")
