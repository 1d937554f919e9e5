"""JSON as people wrote it: a broken text is refused with line, column and a hint at the usual mistakes.

Pure. ``annotation`` and ``nad`` read every text of a user by it.
"""

from __future__ import annotations

import json
import re
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")
_TYPOGRAPHIC = "“”„‘’«»"
_BEFORE, _BEHIND = 12, 8
"""Characters that are quoted before and behind the place of an error."""


class BrokenJsonError(ValueError):
    """The text is not JSON; the message says where and, if it can be guessed, why."""


def load(text: str) -> Any:
    """The value in ``text``. Raises BrokenJsonError."""
    try:
        return clean(json.loads(text, parse_constant=_refuse))
    except json.JSONDecodeError as error:
        at = _place(text, error.pos)
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        where = f"is not JSON: line {line}, column {column}{_near(text, at)}: {error.msg}"
        hint = _hint(text, at)
        raise BrokenJsonError(f"{where} ({hint})" if hint else where) from error
    except (ValueError, RecursionError) as error:
        raise BrokenJsonError(f"is not JSON that can be read: {error}") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def clean(value: Any) -> Any:
    """``value`` as it can be written. Half surrogate pairs cannot be written as UTF-8; Go replaces them too."""
    if isinstance(value, str):
        return value if value.isascii() else _SURROGATE.sub("�", value)
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    return value


def _place(text: str, at: int) -> int:
    """Where an error stands. Of a comma too many Python 3.13 tells the comma, before that the bracket behind it."""
    behind = text[at + 1 :].lstrip()
    return len(text) - len(behind) if text[at : at + 1] == "," and behind[:1] in {"]", "}"} else at


def _near(text: str, at: int) -> str:
    """What stands there, quoted, with a little of what stands before."""
    part = " ".join(clean(text)[max(0, at - _BEFORE) : at + _BEHIND].split())
    return f", near {json.dumps(part, ensure_ascii=False)}" if part else ""


def _hint(text: str, at: int) -> str:
    here, before = text[at : at + 1], text[:at].rstrip()[-1:]
    if any(mark in text for mark in _TYPOGRAPHIC):
        return 'typographic quotes: write "'
    if here == "'" or before == "'":
        return "single quotes: JSON strings stand in double quotes"
    if before == "," and here in {"]", "}", ""}:
        return "a comma too many before it"
    if here == "#" or text[at : at + 2] in {"//", "/*"}:
        return "JSON has no comments"
    if here in {'"', "{", "["} and before in {'"', "}", "]"} | set("0123456789"):
        return "a comma is missing before it"
    if here == "":
        return "the text ends too early: a bracket or quote is not closed"
    if re.match(r"[A-Za-z_]", here):
        return "a bare word: JSON strings stand in double quotes"
    return ""
