"""The objects in a YAML document, each with its node, so that it can be changed and its place be named. Pure.

``rewrite`` asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.comments import CommentedMap

from podnet_compat.manifests import document, edit
from podnet_compat.manifests.document import Document
from podnet_compat.systems import workloads

Object = dict[str, Any]
_ANNOTATION = re.compile(r"metadata\.annotations\[([^\]]+)\]")


@dataclass
class Item:
    """One object: a document, or an item of a List in one."""

    document: Document
    root: CommentedMap
    plain: Object
    within: list[Any] | None = None
    """The items of the List."""

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, namespace and name as they are written."""
        meta = self.plain.get("metadata")
        meta = meta if isinstance(meta, dict) else {}
        return str(self.plain.get("kind")), str(meta.get("namespace", "")), str(meta.get("name", ""))

    @property
    def template(self) -> tuple[str, ...] | None:
        """Keys that lead to the Pod in it."""
        return workloads.TEMPLATES.get(self._type)

    @property
    def has_pod_spec(self) -> bool:
        """Whether its Pod is a Pod of Kubernetes, with ``spec.networks`` on the front proxy; a machine's is not."""
        return self._type in workloads.PODS

    @property
    def _type(self) -> tuple[str, str]:
        return str(self.plain.get("apiVersion") or "").rpartition("/")[0], self.key[0]

    @property
    def pod(self) -> CommentedMap | None:
        """The Pod, or the Pod template, in it."""
        root: Any = self.root
        for key in self.template or ():
            root = root.get(key) if isinstance(root, dict) else None
        return root if self.template is not None and isinstance(root, CommentedMap) else None

    def put_before(self, made: Iterable[Object]) -> None:
        """New objects in front of this one."""
        nodes = [document.commented(one) for one in made]
        if self.within is None:
            self.document.before += nodes
        else:
            at = next(i for i, item in enumerate(self.within) if item is self.root)
            self.within[at:at] = nodes

    def give_way(self, made: Iterable[Object]) -> None:
        """New objects in place of this one."""
        nodes = [document.commented(one) for one in made]
        if self.within is None:
            self.document.instead = nodes
        else:
            self.put_before(made)
            self.within[:] = [item for item in self.within if item is not self.root]


def items(one: Document) -> list[Item]:
    """The objects of a document, those of a List one by one."""
    if not isinstance(one.root, CommentedMap):
        return []
    within = one.root.get("items")
    if not isinstance(within, list):
        return [Item(one, one.root, document.plain(one.root))]
    found = [item for item in within if isinstance(item, CommentedMap)]
    return [Item(one, item, document.plain(item), within) for item in found]


def placed(found: Iterable[Item], text: str, namespace: str) -> str:
    """``text`` with the place of the one of ``found`` that it names, and of the annotation if it names one."""
    said = text.removeprefix("warning: ")
    for item in found:
        kind, space, name = item.key
        if any(f"{kind} {one}:" in text for one in (name, f"{space or namespace}/{name}")):
            return f"{item.document.place(*_named(item, text))}: {said}"
    return said


def _named(item: Item, text: str) -> tuple[int, int]:
    key, pod = _ANNOTATION.search(text), item.pod
    meta = pod.get("metadata") if pod is not None else None
    node = meta.get("annotations") if isinstance(meta, CommentedMap) else None
    return edit.place(node, key[1]) if key and edit.own(node, key[1]) else edit.place(item.root, "")
