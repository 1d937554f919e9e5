"""Proof that no field of a foreign format vanishes: every leaf of a maximal example is removed and changed in turn,
and each time what is made or what is said must change, or a message must name the field's path.

A format is described by an ``Example``: objects in which every field occurs with a value that is not the default.
``refused`` holds what cannot stand in them because it is refused: the error must name its path. ``fields`` is the
whole format as its own types have it; a field in neither the objects nor ``refused`` fails the walk.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from podnet_compat.systems import Outcome, translate_objects
from podnet_compat.systems.registry import System

from podnet_tests import translated

Object = dict[str, Any]
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Example:
    """``objects[0]`` is walked, the others surround it; ``more`` are further forms of it (fields that exclude each
    other). ``texts``: annotations of it that hold JSON, whose leaves are walked too; ``spec.config`` for that of a NAD,
    ``data.<key>`` for that of a ConfigMap. ``refused``: path and value of
    what is refused, put into ``objects[0]``. ``marks``: what is no part of the format, left alone with all below it.
    ``fields``: dotted paths of the format, list places as ``[]``, e.g. ``spec.Options.vlan``."""

    name: str
    objects: Sequence[Object]
    more: Sequence[Object] = ()
    texts: Sequence[str] = ()
    refused: Sequence[tuple[Path, object]] = ()
    marks: Sequence[Path] = (("metadata", "labels"), ("spec", "containers"))
    fields: frozenset[str] = frozenset()
    systems: Sequence[System] | None = None
    namespace: str = "a"


@dataclass(frozen=True)
class Seen:
    """What came out, without the given object that is printed again."""

    made: str
    said: tuple[str, ...] = field(compare=True)


def walk(example: Example) -> list[str]:
    """What vanishes, one line each; empty when nothing does."""
    found: list[str] = []
    for first in (example.objects[0], *example.more):
        objects = [first, *example.objects[1:]]
        found += _walked(example, objects)
    found += [_refused(example, path, value) for path, value in example.refused]
    return [line for line in (*found, *_missing(example)) if line]


def _walked(example: Example, objects: list[Object]) -> Iterator[str]:
    before = _seen(example, objects)
    whole = opened(objects[0], example.texts)
    if errors := [line for line in before.said if not line.startswith("warning:")]:
        yield f"{example.name}: the example itself is refused: {errors}"
    for path in leaves(whole):
        if _is_frame(path) or any(path[: len(mark)] == mark for mark in example.marks) or _named(path, before.said):
            continue
        for what, changed in (("removed", without(whole, path)), ("changed", _changed(whole, path))):
            if _seen(example, [closed(changed, example.texts), *objects[1:]]) == before:
                yield f"{example.name}: {written(path)} {what}: nothing changes and no message names it"


def _refused(example: Example, path: Path, value: object) -> str:
    whole = put(opened(example.objects[0], example.texts), path, value)
    seen = _seen(example, [closed(whole, example.texts), *example.objects[1:]])
    errors = [line for line in seen.said if not line.startswith("warning:")]
    return "" if _named(path, errors) else f"{example.name}: {written(path)} = {value!r}: no error names it: {errors}"


def _missing(example: Example) -> Iterator[str]:
    there = paths(example)
    for name in sorted(example.fields):
        if not any(within(one, name) for one in there):
            yield f"{example.name}: the example has no {name}"


def paths(example: Example, kind: str | None = None) -> set[str]:
    """The fields that the walk through ``example`` comes to, in objects of ``kind`` (None: of all), dotted, with list
    places as ``[]``."""
    items = [item for item in (example.objects[0], *example.more) if kind in {None, item.get("kind", "")}]
    there = {_general(path) for item in items for path in leaves(opened(item, example.texts))}
    return there | {_general(path) for path, _ in example.refused if example.objects[0] in items}


def within(path: str, name: str) -> bool:
    """Whether ``path`` is the field ``name`` or in it."""
    return path == name or path.startswith((f"{name}.", f"{name}["))


def _seen(example: Example, objects: Iterable[Object]) -> Seen:
    outcome: Outcome = translate_objects(copy.deepcopy(list(objects)), example.namespace, example.systems)
    made = json.dumps([translated.made(outcome), translated.lists(outcome)], sort_keys=True)
    return Seen(made, (*outcome.warnings, *outcome.errors))


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of every value without parts; an empty object or list is one."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            yield from leaves(item, (*path, place))
    else:
        yield path


def written(path: Path) -> str:
    """``path`` as messages have it: keys of annotations in brackets, places in brackets, others by dots."""
    text = ""
    for before, part in zip((None, *path), path, strict=False):
        bracket = isinstance(part, int) or before in {"annotations", "labels", "data"}
        text += f"[{part}]" if bracket else f".{part}"
    return text.lstrip(".")


def _named(path: Path, said: Sequence[str]) -> bool:
    """Whether a message is of ``path``, or of what holds it: paths stand before a colon."""
    for end in range(len(path), 0, -1):
        forms = {written(path[:end]), _bracketed(path[:end])} if end > 1 else {written(path[:1])}
        pattern = "|".join(re.escape(form) for form in sorted(forms))
        if any(re.search(rf"(?<![\w.\]])(?:{pattern}): ", line) for line in said):
            return True
    return False


def _bracketed(path: Path) -> str:
    """``path`` with its last key in brackets, as for maps with free keys."""
    return f"{written(path[:-1])}[{path[-1]}]"


def _general(path: Path) -> str:
    return re.sub(r"\[\d+\]", "[]", written(path))


def _is_frame(path: Path) -> bool:
    """What every object has, and who an object is."""
    names = {("metadata", "name"), ("metadata", "namespace"), ("metadata", "generateName"), ("apiVersion",), ("kind",)}
    return path in names


def annotated(item: Any) -> Object:
    """The annotations of an object of whatever shape; those themselves, not a copy."""
    meta = item.get("metadata") if isinstance(item, dict) else None
    found = meta.get("annotations") if isinstance(meta, dict) else None
    return found if isinstance(found, dict) else {}


def opened(item: Object, texts: Sequence[str]) -> Object:
    """``item`` with its ``texts`` as the JSON that they hold."""
    made = copy.deepcopy(item)
    for holder, key in _places(made, texts):
        with contextlib.suppress(TypeError, ValueError):
            holder[key] = json.loads(holder[key])
    return made


def closed(item: Object, texts: Sequence[str]) -> Object:
    """``item`` with its ``texts`` as text again."""
    made = copy.deepcopy(item)
    for holder, key in _places(made, texts):
        holder[key] = json.dumps(holder[key])
    return made


def _places(item: Object, texts: Sequence[str]) -> Iterator[tuple[Object, str]]:
    """Where the texts of ``item`` that hold JSON are."""
    for text in texts:
        part, dot, key = text.partition(".")
        inside = part in {"spec", "data"} and dot
        holder = item.get(part) if inside else annotated(item)
        name = key if inside else text
        if isinstance(holder, dict) and name in holder:
            yield holder, name


def without(item: Object, path: Path) -> Object:
    """``item`` without what is at ``path``."""
    made = copy.deepcopy(item)
    del _at(made, path[:-1])[path[-1]]
    return made


def _changed(item: Object, path: Path) -> Object:
    return put(item, path, _other(_at(item, path)))


def put(item: Object, path: Path, value: object) -> Object:
    """``item`` with ``value`` at ``path``, made where it is not there."""
    made = copy.deepcopy(item)
    held: Any = made
    for part, after in itertools.pairwise(path):
        if isinstance(held, dict) and part not in held:
            held[part] = [] if isinstance(after, int) else {}
        held = held[part]
    if isinstance(held, list) and path[-1] == len(held):
        held.append(value)
    else:
        held[path[-1]] = value
    return made


def _at(item: Any, path: Path) -> Any:
    for part in path:
        item = item[part]
    return item


def _other(value: object) -> object:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 1) if value else "x"
    return [*value, "x"] if isinstance(value, list) else {"x": "x"}
