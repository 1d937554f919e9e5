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
from podnet_api.meta import ObjectMeta, manifest
from ruamel.yaml.comments import CommentedMap

from podnet_compat import legacy, names, systems
from podnet_compat import nad as nads
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad
from podnet_compat.manifests import document, edit, items
from podnet_compat.manifests.items import Item, Object

BY = "translate"
"""Value of the label generated-by on native objects: a file's, not podnet-compat's."""


@dataclass(frozen=True)
class Rewritten:
    """The new text of each file, and what there is to say. With errors the texts are those of before."""

    texts: Mapping[str, str]
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass
class _Work:
    """One run over all files."""

    namespace: str
    as_annotation: bool
    nads: dict[tuple[str, str], Nad] = field(default_factory=dict)
    made: list[Object] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    there: dict[tuple[str, str, str], Item] = field(default_factory=dict)
    """Native objects of the files, which are not made again."""
    lists: dict[int, tuple[networks.Network, ...]] = field(default_factory=dict)
    """By the identity of a Pod's spec: aliases share one."""


def rewrite(
    files: Mapping[str, str],
    namespace: str,
    *,
    as_annotation: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Rewritten:
    """What ``files`` (name -> text) become; ``namespace`` is for objects that do not say their own, ``as_annotation``
    writes the annotation of podnet, for clusters without the front proxy, ``settings`` is what no object says of
    another system. Raises FileError where a file is no YAML."""
    documents = {file: document.read(file, text) for file, text in files.items()}
    work = _Work(namespace, as_annotation)
    found = [item for listed in documents.values() for one in listed for item in items.items(one)]
    work.there = {_identity(item.plain): item for item in found if _is_native(item.plain)}
    left = _foreign(work, [item for item in found if _is_sound(work, item)], settings)
    for item in left:
        _definition(work, item)
    for item in left:
        _carrier(work, item)
    if work.errors:
        return Rewritten(files, tuple(work.errors), tuple(work.warnings))
    texts = {file: document.write(found) for file, found in documents.items()}
    return Rewritten(texts, (), tuple(work.warnings))


def _is_sound(work: _Work, item: Item) -> bool:
    """Whether the metadata are an object's; if not, that is an error with its place."""
    try:
        msgspec.convert(legacy.without_nulls(item.plain.get("metadata") or {}), ObjectMeta)
    except msgspec.ValidationError as error:
        at = item.document.place(*edit.place(item.root, "metadata"))
        work.errors.append(f"{at}: cannot accept an object of kind {item.key[0]!r}: metadata: {error}")
        return False
    return True


def _foreign(work: _Work, found: list[Item], settings: Mapping[str, str] | None) -> list[Item]:
    """Has other systems translated; what is Kubernetes' or Multus' own is left."""
    given = [item.plain for item in found]
    outcome = systems.translate_objects(given, work.namespace, settings=settings)
    work.errors += [items.placed(found, text, work.namespace) for text in outcome.errors]
    work.warnings += [items.placed(found, text, work.namespace) for text in outcome.warnings]
    rest = {id(one) for one in outcome.rest}
    theirs = [item for item in found if id(item.plain) not in rest]
    changed = {Item(theirs[0].document, theirs[0].root, one).key: one for one in outcome.changed} if theirs else {}
    fresh = [one for one in map(_named, outcome.made) if _new(work, one)]
    for item in theirs:
        if item.template is not None and item.key in changed:
            gone = sorted(set(outcome.gone[id(item.plain)]))
            _listed(work, item, _list_of(item, changed[item.key]), (), gone)
        elif item.template is None:
            item.give_way(fresh)
            item.document.changed = True
            fresh = []
    if fresh:
        first = (theirs or found)[0]
        first.put_before(fresh)
        first.document.changed = True
    kept = {id(one) for one in outcome.kept}
    return [item for item in found if id(item.plain) in rest - kept]


def _list_of(item: Item, changed: Object) -> tuple[networks.Network, ...]:
    found: Any = changed
    for key in (*(item.template or ()), "metadata", "annotations"):
        found = found.get(key) or {}
    return networks.parse(found[api_names.NETWORKS_ANNOTATION])


def _definition(work: _Work, item: Item) -> None:
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
    fresh = [one for one in _objects(native.network, native.config) if _new(work, one)]
    if systems.reader_of(item.plain, work.namespace):
        item.put_before(fresh)
        return
    item.give_way(fresh)
    item.document.changed = True


def _carrier(work: _Work, item: Item) -> None:
    """A Pod or a Pod template with an annotation of Multus."""
    pod = item.pod
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


def _translated(work: _Work, item: Item, pod: CommentedMap) -> pods.Translation:
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
    work: _Work, item: Item, listed: tuple[networks.Network, ...], needed: Iterable[Object], gone: list[str]
) -> None:
    """Writes ``listed`` into the Pod of ``item``, and takes the annotations ``gone`` away."""
    pod = item.pod
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
    if work.as_annotation or not item.has_pod_spec:
        meta = pod.setdefault("metadata", CommentedMap())
        meta.setdefault("annotations", CommentedMap())[api_names.NETWORKS_ANNOTATION] = networks.encode(listed)
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
    there = work.there.get(_identity(made))
    if there is None:
        return True
    if there.plain.get("spec") != made.get("spec"):
        at = there.document.place(*edit.place(there.root, ""))
        work.warnings.append(f"{at}: {made['kind']} {there.key[2]} is there already, and says otherwise")
    return False


def _is_native(plain: Object) -> bool:
    return str(plain.get("apiVersion", "")).rpartition("/")[0] in {api_names.GROUP, api_names.KNI_GROUP}


def _identity(plain: Object) -> tuple[str, str, str]:
    meta = plain.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    return str(plain.get("kind")), str(meta.get("namespace", "")), str(meta.get("name"))
