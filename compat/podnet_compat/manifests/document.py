"""A YAML file as a list of documents, each with its text: what is not changed stays byte for byte. Pure.

A changed document is written anew by ruamel.yaml, which keeps comments, order, quotes and block scalars; the way lists
are indented is looked up in the document's own text.
"""

from __future__ import annotations

import datetime
import io
import itertools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml
from podnet_api.errors import PodnetError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from podnet_compat import jsontext

_MARKER = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_EMPTY = re.compile(r"(\s|#.*|%.*|\.\.\.)*")
_HEAD = re.compile(r"(#.*\n)*")
_LIST_IN_MAP = re.compile(r"^( *)[^\s#-][^\n]*:[ ]*\n\1( *)- ", re.MULTILINE)
_MAP_IN_MAP = re.compile(r"^( *)[^\s#-][^\n]*:[ ]*\n\1( +)[^\s#-]", re.MULTILINE)
_WIDTH = 4096
"""No line is broken that was not before."""


class FileError(PodnetError):
    """A file cannot be read; the message has its name, line and column."""


@dataclass
class Document:
    """One document. ``root`` is None where it holds nothing; ``line`` is the first one, counted from 0.

    ``instead``: what stands in its place, where it was replaced."""

    file: str
    line: int
    text: str
    root: Any = None
    changed: bool = False
    before: list[CommentedMap] = field(default_factory=list)
    """New documents that come before it."""
    instead: list[CommentedMap] | None = None

    def place(self, line: int, column: int) -> str:
        """A position in the file, for messages: lines and columns of ruamel.yaml count from 0."""
        return f"{self.file}:{self.line + line + 1}:{column + 1}"

    def written(self) -> str:
        """Its text now."""
        if not (self.changed or self.before or self.instead is not None):
            return self.text
        own = self.instead if self.instead is not None else [self.root]
        if _is_json(self.text):
            return _json([plain(root) for root in (*self.before, *own)], self.text)
        marker = bool(_MARKER.match(self.text))
        parts = [_dump(root, self.text) for root in (*self.before, *own)]
        head = _HEAD.match(_MARKER.sub("", self.text).lstrip("\n"))
        kept = head[0] if head and self.instead is not None else ""
        return ("---\n" if marker else "") + kept + "---\n".join(parts)


def read(file: str, text: str) -> list[Document]:
    """The documents of ``text``. Raises FileError."""
    starts = [match.start() for match in _MARKER.finditer(text)]
    bounds = [0, *(start for start in starts if start), len(text)]
    made = []
    for start, end in itertools.pairwise(bounds):
        made.append(Document(file, text.count("\n", 0, start), text[start:end]))
    for document in made:
        document.root = _load(document)
    return made


def write(documents: Iterable[Document]) -> str:
    """The text of a file."""
    return "".join(document.written() for document in documents)


def plain(node: Any) -> Any:
    """``node`` as JSON has it."""
    if isinstance(node, dict):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(item) for item in node]
    if isinstance(node, str):
        return jsontext.clean(str(node))
    if isinstance(node, datetime.date):
        return node.isoformat()
    return node


def commented(value: Any) -> Any:
    """``value`` as ruamel.yaml writes it, in block style."""
    if isinstance(value, dict):
        return CommentedMap({key: commented(item) for key, item in value.items()})
    if isinstance(value, str):
        return value if _is_plain(value) else DoubleQuotedScalarString(value)
    return [commented(item) for item in value] if isinstance(value, list) else value


def _is_plain(text: str) -> bool:
    """Whether ``text`` is text without quotes, too, for a reader of YAML 1.1: 12:30:00 is a number there."""
    try:
        return bool(yaml.safe_load(f"- {text}") == [text])
    except yaml.YAMLError:
        return False


def _load(document: Document) -> Any:
    if _EMPTY.fullmatch(_MARKER.sub("", document.text)):
        return None
    try:
        return _yaml("").load(document.text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = document.place(mark.line, mark.column) if mark else document.file
        quoted = f": {_line(document.text, mark.line)!r}" if mark else ""
        raise FileError(f"cannot read {where}: {error.problem or error.context}{quoted}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise FileError(f"cannot read {document.place(0, 0)}: {error}") from error
    except TypeError as error:  # a key of a mapping that is a mapping of mappings, to which Python has no dict
        raise FileError(f"cannot read {document.place(0, 0)}: a key must be text, and one is a mapping") from error


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number].strip()[:80] if number < len(lines) else ""


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _json(found: list[Any], like: str) -> str:
    """A file of JSON stays one, and holds one object: several are a List."""
    whole = found[0] if len(found) == 1 else {"apiVersion": "v1", "kind": "List", "items": found}
    return json.dumps(whole, indent=2 if "\n" in like.strip() else None, ensure_ascii=False) + "\n"


def _dump(root: Any, like: str) -> str:
    stream = io.StringIO()
    _yaml(like).dump(root, stream)
    text = stream.getvalue().removeprefix("---\n")
    return text if text.endswith("\n") else text + "\n"


def _yaml(like: str) -> YAML:
    """A reader and writer that indents as ``like`` does."""
    made = YAML(typ="rt")
    made.preserve_quotes = True
    made.width = _WIDTH
    found = _LIST_IN_MAP.search(like)
    offset = len(found[2]) if found else 0
    inner = _MAP_IN_MAP.search(like)
    made.indent(mapping=len(inner[2]) if inner else 2, sequence=offset + 2, offset=offset)
    return made
