"""Changes of one document that keep its comments. Pure; ``rewrite`` calls.

ruamel.yaml hangs a comment on the key before it: with a key goes what was said behind it and below it. So what stood
behind a removed key is put behind the new one, and what stood below it before the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ruamel.yaml.comments import CommentedMap

_EOL = 2
"""Where ruamel.yaml keeps the comment behind the value of a key."""


def own(node: Any, key: str) -> bool:
    """Whether ``key`` is written in ``node``, and not in a mapping that is merged into it (``<<``)."""
    return isinstance(node, CommentedMap) and key in (node.lc.data or {})


def place(node: Any, key: str) -> tuple[int, int]:
    """Line and column of the value of ``key`` in its document, from 0; of ``node`` where it has no such key."""
    if own(node, key):
        line, column = node.lc.value(key)
        return int(line), int(column)
    return (int(node.lc.line), int(node.lc.col)) if isinstance(node, CommentedMap) else (0, 0)


def remove(node: CommentedMap, key: str) -> tuple[str, str]:
    """Takes ``key`` away; the comment behind it, and the lines of comment below it if no key follows."""
    keys = list(node)
    following = keys[keys.index(key) + 1 :]
    behind, below = _comments(node, key)
    column = node.lc.key(key)[1]
    del node[key]
    if below and following and own(node, following[0]):
        node.yaml_set_comment_before_after_key(following[0], before=below, indent=column)
        below = ""
    return behind, below


def first(node: CommentedMap, key: str, value: Any, behind: str, above: Iterable[str]) -> None:
    """Puts ``key`` in front of ``node``, with comments behind and above it; flow style has no place for them."""
    node.insert(0, key, value)
    if node.fa.flow_style():
        return
    column = int(node.lc.col or 0)
    if said := "\n".join(filter(None, above)):
        node.yaml_set_comment_before_after_key(key, before=said, indent=column)
    if behind:
        node.yaml_add_eol_comment(behind, key)


def _comments(node: CommentedMap, key: str) -> tuple[str, str]:
    """The comment behind the value of ``key``, and the lines below, without their ``#``."""
    tokens = node.ca.items.pop(key, None) or []
    token = tokens[_EOL] if len(tokens) > _EOL else None
    token = token or next(iter(getattr(node[key], "comment", None) or ()), None)
    text = str(getattr(token, "value", "") or "")
    head, _, rest = text.partition("\n")
    lines = [line.strip().removeprefix("#").strip() for line in rest.splitlines()]
    return head.strip().removeprefix("#").strip(), "\n".join(line for line in lines if line)
