"""Files with legacy annotations -> the same files with ``spec.networks`` and native objects. Pure; ``cli`` calls it.

A NetworkAttachmentDefinition, or a network of another system, gives way to its native objects. A Pod, or a Pod
template, gets the list; its legacy annotation goes, because the list now says what it said. What the list needs
(attachments, further networks) comes right before it. The native objects carry ``generated-by: translate``, so that
podnet-compat takes them for their owner's, also where it had made an object of that name.

What cannot be kept: comments inside a NetworkAttachmentDefinition; a comment above an annotation stays where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from podnet_api import core, networks
from podnet_api import names as api_names
from podnet_api.errors import InvalidError
from podnet_api.faults import Fault, FaultType
from podnet_api.kube import manifest
from podnet_api.meta import ObjectMeta
from ruamel.yaml.comments import CommentedMap

from podnet_compat import legacy, names, systems
from podnet_compat import nad as nads
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad
from podnet_compat.manifests import document, edit
from podnet_compat.manifests.document import Document
from podnet_compat.migrate.inventory import TEMPLATES

Object = dict[str, Any]
BY = "translate"
"""Value of the label generated-by on native objects: a file's, not podnet-compat's."""
_FOREIGN = frozenset(key for system in systems.SYSTEMS for key in system.keys)


@dataclass(frozen=True)
class Rewritten:
    """The new text of each file, and what there is to say. With errors the texts are those of before."""

    texts: Mapping[str, str]
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass
class _Item:
    """One object: a document, or an item of a List in one."""

    document: Document
    root: CommentedMap
    plain: Object
    within: list[Any] | None = None
    """The items of the List."""

    @property
    def key(self) -> tuple[str, str, str]:
        meta = self.plain.get("metadata")
        meta = meta if isinstance(meta, dict) else {}
        return str(self.plain.get("kind")), str(meta.get("namespace", "")), str(meta.get("name", ""))

    @property
    def template(self) -> tuple[str, ...] | None:
        """Keys that lead to the Pod in it."""
        group = str(self.plain.get("apiVersion") or "").rpartition("/")[0]
        return TEMPLATES.get((group, self.key[0]))

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


@dataclass
class _Work:
    """One run over all files."""

    namespace: str
    as_annotation: bool
    nads: dict[tuple[str, str], Nad] = field(default_factory=dict)
    made: list[Object] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    lists: dict[int, tuple[networks.Network, ...]] = field(default_factory=dict)
    """By the identity of a Pod's spec: aliases share one."""


def rewrite(files: Mapping[str, str], namespace: str, *, as_annotation: bool = False) -> Rewritten:
    """What ``files`` (name -> text) become; ``namespace`` is for objects that do not say their own, ``as_annotation``
    writes the annotation of podnet, for clusters without the front proxy. Raises FileError where a file is no YAML."""
    documents = {file: document.read(file, text) for file, text in files.items()}
    work = _Work(namespace, as_annotation)
    found = [item for listed in documents.values() for one in listed for item in _items(one)]
    items = [item for item in found if _is_sound(work, item)]
    left = _foreign(work, items)
    for item in left:
        _definition(work, item)
    for item in left:
        _carrier(work, item)
    if work.errors:
        return Rewritten(files, tuple(work.errors), tuple(work.warnings))
    texts = {file: document.write(found) for file, found in documents.items()}
    return Rewritten(texts, (), tuple(work.warnings))


def _items(one: Document) -> list[_Item]:
    if not isinstance(one.root, CommentedMap):
        return []
    within = one.root.get("items")
    if not isinstance(within, list):
        return [_Item(one, one.root, document.plain(one.root))]
    found = [item for item in within if isinstance(item, CommentedMap)]
    return [_Item(one, item, document.plain(item), within) for item in found]


def _is_sound(work: _Work, item: _Item) -> bool:
    """Whether the metadata are an object's; if not, that is an error with its place."""
    try:
        msgspec.convert(legacy.without_nulls(item.plain.get("metadata") or {}), ObjectMeta)
    except msgspec.ValidationError as error:
        at = item.document.place(*edit.place(item.root, "metadata"))
        work.errors.append(f"{at}: cannot accept an object of kind {item.key[0]!r}: metadata: {error}")
        return False
    return True


def _placed(items: Iterable[_Item], text: str, namespace: str) -> str:
    """``text`` with the place of the object that it names."""
    for item in items:
        kind, space, name = item.key
        if any(f"{kind} {one}:" in text for one in (name, f"{space or namespace}/{name}")):
            return f"{item.document.place(*edit.place(item.root, ''))}: {text.removeprefix('warning: ')}"
    return text.removeprefix("warning: ")


def _foreign(work: _Work, items: list[_Item]) -> list[_Item]:
    """Has other systems translated; what is Kubernetes' or Multus' own is left."""
    given = [item.plain for item in items]
    outcome = systems.translate_objects(given, work.namespace)
    work.errors += [_placed(items, text, work.namespace) for text in outcome.errors]
    work.warnings += [_placed(items, text, work.namespace) for text in outcome.warnings]
    rest = {id(one) for one in outcome.rest}
    theirs = [item for item in items if id(item.plain) not in rest]
    changed = {_Item(theirs[0].document, theirs[0].root, one).key: one for one in outcome.changed} if theirs else {}
    fresh = [one for one in map(_named, outcome.made) if _new(work, one)]
    for item in theirs:
        if item.template is not None and item.key in changed:
            _listed(work, item, _list_of(item, changed[item.key]), (), sorted(_FOREIGN))
        elif item.template is None:
            item.give_way(fresh)
            item.document.changed = True
            fresh = []
    if fresh and theirs:
        theirs[0].put_before(fresh)
        theirs[0].document.changed = True
    return [item for item in items if id(item.plain) in rest]


def _list_of(item: _Item, changed: Object) -> tuple[networks.Network, ...]:
    found: Any = changed
    for key in (*(item.template or ()), "metadata", "annotations"):
        found = found.get(key) or {}
    return networks.parse(found[api_names.NETWORKS_ANNOTATION])


def _definition(work: _Work, item: _Item) -> None:
    """A NAD and its native objects."""
    if item.plain.get("kind") != legacy.KIND:
        return
    spec = item.root.get("spec")
    at = item.document.place(*(edit.place(spec, "config") if edit.own(spec, "config") else edit.place(item.root, "")))
    try:
        nad = legacy.nad(item.plain, work.namespace)
        native = nads.translate(nad)
    except InvalidError as error:
        work.errors.append(f"{at}: {error}")
        return
    work.nads[nad.key] = nad
    work.warnings += [f"{at}: {nad.subject}: {text}" for text in native.warnings]
    item.give_way([one for one in _objects(native.network, native.config) if _new(work, one)])
    item.document.changed = True


def _carrier(work: _Work, item: _Item) -> None:
    """A Pod or a Pod template with an annotation of Multus."""
    pod = _inside(item.root, item.template)
    meta = pod.get("metadata") if pod is not None else None
    annotations = meta.get("annotations") if isinstance(meta, CommentedMap) else None
    found = [key for key in (*names.MOVED, *names.HISTORIC) if isinstance(annotations, dict) and key in annotations]
    if not found or pod is None:
        return
    at = item.document.place(*edit.place(annotations, found[0]))
    subject = f"{item.key[0]} {item.key[1] or work.namespace}/{item.key[2]}"
    try:
        made = _translated(work, item, pod)
        if merged := [key for key in found if key in names.MOVED and not edit.own(annotations, key)]:
            text = "comes by a merge key (<<), which cannot be rewritten: write it where it belongs"
            raise InvalidError(subject, [Fault(f"metadata.annotations[{merged[0]}]", FaultType.NOT_SUPPORTED, text)])
    except InvalidError as error:
        work.errors += [f"{at}: cannot translate {subject}: {fault}" for fault in error.faults]
        return
    work.warnings += [f"{at}: {subject}: {text}" for text in made.warnings]
    if made.networks:
        _listed(work, item, made.networks, _needed(made), list(names.MOVED))
        work.warnings.append(f"{at}: {subject}: the annotation is gone, the list of networks says what it said")


def _inside(root: Any, keys: tuple[str, ...] | None) -> CommentedMap | None:
    for key in keys or ():
        root = root.get(key) if isinstance(root, dict) else None
    return root if keys is not None and isinstance(root, CommentedMap) else None


def _translated(work: _Work, item: _Item, pod: CommentedMap) -> pods.Translation:
    kind, namespace, name = item.key
    clean = legacy.without_nulls(document.plain(pod))
    meta = {**(clean.get("metadata") or {}), "name": name, "namespace": namespace or work.namespace}
    try:
        read = msgspec.convert({**clean, "metadata": meta}, core.Pod)
    except msgspec.ValidationError as error:
        raise InvalidError(f"{kind} {name}", [Fault("", FaultType.INVALID, str(error))]) from error
    wanted = pods.read(read, namespace or work.namespace)
    return pods.translate(wanted, lambda space, found: work.nads.get((space, found)))


def _needed(made: pods.Translation) -> list[Object]:
    found = [_named(manifest(nads.network(f.nad, f.name, names.network(*f.nad.key)))) for f in made.further]
    for pair in made.attachments:
        found += _objects(pair.attachment, pair.config)
    return found


def _listed(
    work: _Work, item: _Item, listed: tuple[networks.Network, ...], needed: Iterable[Object], gone: list[str]
) -> None:
    """Writes ``listed`` into the Pod of ``item``, and takes the annotations ``gone`` away."""
    pod = _inside(item.root, item.template)
    if pod is None:
        return
    if not isinstance(pod.get("spec"), CommentedMap):
        pod["spec"] = CommentedMap()
    spec = pod["spec"]
    if work.lists.setdefault(id(spec), listed) != listed:
        at = item.document.place(*edit.place(pod, "spec"))
        shared = "its spec is an alias, and another Pod with other networks has it, too"
        work.errors.append(f"{at}: cannot write the list of {item.key[0]} {item.key[2]}: {shared}")
        return
    item.put_before([one for one in needed if _new(work, one)])
    item.document.changed = True
    said = _without(pod, [key for key in gone if key != api_names.NETWORKS_ANNOTATION])
    if work.as_annotation:
        pod["metadata"].setdefault("annotations", CommentedMap())[api_names.NETWORKS_ANNOTATION] = networks.encode(
            listed
        )
    elif "networks" not in spec:
        behind = "; ".join(filter(None, (one[0] for one in said)))
        edit.first(spec, "networks", document.commented(msgspec.to_builtins(listed)), behind, [one[1] for one in said])


def _without(pod: CommentedMap, gone: list[str]) -> list[tuple[str, str]]:
    """The comments of the annotations ``gone``, which are no more."""
    meta = pod.get("metadata")
    annotations = meta.get("annotations") if isinstance(meta, CommentedMap) else None
    if not isinstance(annotations, CommentedMap) or not isinstance(meta, CommentedMap):
        return []
    said = [edit.remove(annotations, key) for key in gone if edit.own(annotations, key) and key in annotations]
    if said and not annotations:
        said.append(edit.remove(meta, "annotations"))
    return said


def _objects(*made: Any) -> list[Object]:
    return [_named(manifest(one)) for one in made]


def _named(made: Object) -> Object:
    """``made`` as an object of whoever has the file."""
    meta = made["metadata"]
    if meta.get("labels", {}).get(api_names.GENERATED_BY_LABEL) != names.COMPAT:
        return made
    return {**made, "metadata": {**meta, "labels": {**meta["labels"], api_names.GENERATED_BY_LABEL: BY}}}


def _new(work: _Work, made: Object) -> bool:
    """Whether ``made`` was not made before; Pods share attachments."""
    if made in work.made:
        return False
    work.made.append(made)
    return True
