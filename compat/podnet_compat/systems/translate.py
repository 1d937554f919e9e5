"""Every system over the objects of a directory or a cluster. Pure; ``cli`` calls ``translate_objects``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from podnet_api import names as api_names
from podnet_api import networks
from podnet_api.errors import InvalidError
from podnet_api.meta import manifest

from podnet_compat import names
from podnet_compat import pod as pods
from podnet_compat.systems import base, workloads
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.catalogue import SYSTEMS
from podnet_compat.systems.registry import Kind, System

Object = dict[str, Any]


@dataclass
class Outcome:
    """What became of the objects. ``made``: native objects. ``changed``: the given objects that have a list now.
    ``rest``: those that belong to no other system, or stay beside what they became or because they become nothing, in
    their order; the latter are ``kept`` as well. ``gone``: of what changed, the annotations in whose place the list is,
    by id."""

    made: list[Object] = field(default_factory=list)
    changed: list[Object] = field(default_factory=list)
    rest: list[Object] = field(default_factory=list)
    kept: list[Object] = field(default_factory=list)
    gone: dict[int, tuple[str, ...]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _origins: dict[tuple[str, str, str], tuple[Object, str]] = field(default_factory=dict)

    def add(self, origin: Source, made: Made) -> None:
        """Take over what ``origin`` became; an object that another source made differently is an error."""
        for item in _manifests(made):
            meta = item["metadata"]
            if not meta.get("name"):
                self.errors.append(f"cannot accept {origin.subject}: metadata.name: Required value")
                continue
            key = (item["kind"], meta.get("namespace", ""), meta["name"])
            known = self._origins.get(key)
            if known is None:
                self._origins[key] = (item, origin.subject)
                self.made.append(item)
            elif known[0] != item:
                named = f"{key[0]} {f'{key[1]}/{key[2]}'.strip('/')}"
                self.errors.append(f"cannot translate {origin.subject}: {known[1]} becomes {named}, too: rename one")
        self.warnings += [f"warning: {origin.subject}: {warning}" for warning in made.warnings]


def translate_objects(
    items: Iterable[Object],
    namespace: str,
    systems: Iterable[System] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Outcome:
    """What ``items`` become; ``namespace`` is that of objects that do not say their own, ``settings`` what no object
    says (``Objects.settings``). Raises nothing: what is refused stands in ``errors``. The order of ``items`` changes
    the order of the result only."""
    chosen = tuple(SYSTEMS if systems is None else systems)
    listed, outcome = _documents(items, chosen), Outcome()
    objects = known(listed, namespace, chosen, settings)
    for item in listed:
        try:
            _one(item, namespace, objects, chosen, outcome)
        except InvalidError as error:
            outcome.errors.append(str(error))
    return outcome


def _documents(items: Iterable[Object], systems: Iterable[System]) -> list[Object]:
    """``items``, those that are no Kubernetes objects turned into some by the system that knows them."""
    found = []
    for item in items:
        readings = (system.adopt(item) for system in systems if system.adopt and "kind" not in item)
        found += next((reading for reading in readings if reading), [item])
    return found


def known(
    items: Iterable[Object], namespace: str, systems: Iterable[System], settings: Mapping[str, str] | None = None
) -> Objects:
    """The lookup over ``items``, without those whose metadata is broken (which are refused where they stand)."""
    cluster = _cluster_kinds(systems)
    found = []
    for item in items:
        try:
            found.append(_source(item, namespace, cluster))
        except InvalidError:
            continue
    return Objects(found, settings)


def _cluster_kinds(systems: Iterable[System]) -> set[tuple[str, str]]:
    own = {("", "Namespace"), (api_names.GROUP, "PodNetwork"), (api_names.KNI_GROUP, "NetworkConfig")}
    return own | {(kind.group, kind.kind) for system in systems for kind in system.kinds if not kind.namespaced}


def _source(item: Object, namespace: str, cluster: set[tuple[str, str]]) -> Source:
    group = str(item.get("apiVersion", "")).rpartition("/")[0]
    return base.source(item, namespace, cluster=(group, str(item.get("kind"))) in cluster)


def _one(item: Object, namespace: str, objects: Objects, systems: tuple[System, ...], outcome: Outcome) -> None:
    pod = workloads.pod(item, namespace)
    if pod is not None and workloads.has_list(item, pod):
        outcome.rest.append(item)
        outcome.kept += [item] if any(system.has(pod, objects) for system in systems) else []
        return
    if pod is not None:
        made = translate_pod(pod, objects, systems)
        outcome.add(pod, made)
        if made.listed:
            outcome.gone[id(item)] = _gone(pod, objects, systems)
            outcome.changed.append(workloads.annotated(item, listing(made)))
        else:
            outcome.rest.append(item)
        return
    origin = _source(item, namespace, _cluster_kinds(systems))
    matching = kinds(origin, objects, systems)
    made = base.merge(*(kind.translate(origin, objects) for kind in matching))
    outcome.add(origin, made)
    if all(kind.stays for kind in matching) or not _manifests(made):
        outcome.rest.append(item)
        outcome.kept += [item] if matching else []


def reader_of(nad: Object, namespace: str) -> str:
    """The system that goes on reading ``nad``, and the NPWG annotation of its Pods; "" for none."""
    found = _source(nad, namespace, set())
    return next((system.name for system in SYSTEMS if system.reads and system.reads(found)), "")


def _gone(pod: Source, objects: Objects, systems: tuple[System, ...]) -> tuple[str, ...]:
    """The annotations of ``pod`` in whose place the list is: those of every system, unless its own goes on reading."""
    system = next(system for system in systems if system.has(pod, objects))
    return () if system.stays else (*(key for one in systems for key in one.keys), *system.carries)


def translate_pod(pod: Source, objects: Objects, systems: tuple[System, ...]) -> Made:
    """What the first of ``systems`` that claims ``pod`` makes of it; without one nothing but warnings. Raises
    InvalidError with every fault."""
    system = next((system for system in systems if system.has(pod, objects)), None)
    made = _pod(pod, objects, system) if system else Made()
    return base.merge(made, Made(warnings=_unheard(pod, system, systems)))


def kinds(origin: Source, objects: Objects, systems: Iterable[System]) -> list[Kind]:
    """What translates ``origin``, an object that is no Pod."""
    found = [k for system in systems for k in system.kinds if (k.group, k.kind) == (origin.group, origin.kind)]
    return [kind for kind in found if kind.applies(origin, objects)][:1]


def _pod(pod: Source, objects: Objects, system: System) -> Made:
    """What ``system`` makes of ``pod``; nothing, with a warning, where the Pod cannot have networks."""
    spec = pod.body.get("spec")
    present = [key for key in system.keys if key in pod.annotations]
    on_host = isinstance(spec, dict) and spec.get("hostNetwork") is True
    if on_host or names.MIRROR_POD in pod.annotations:
        reason = "the Pod has the node's own interfaces" if on_host else "a static Pod cannot be changed"
        why = f"has no effect: {reason}"
        return Made(warnings=tuple(f"metadata.annotations[{key}]: {why}" for key in present))
    if system.pods is None:
        why = f"belongs to {system.name} and is not translated: {system.recognised}"
        return Made(warnings=tuple(f"metadata.annotations[{key}]: {why}" for key in present))
    return system.pods(pod, objects)


_HEARD_ELSEWHERE = frozenset({names.NETWORKS, *names.HISTORIC})
"""Keys of which ``podnet_compat.pod`` says what becomes of them, where no system claims the Pod."""


def _unheard(pod: Source, chosen: System | None, systems: Iterable[System]) -> tuple[str, ...]:
    """A warning for each key of a system that does not translate ``pod``."""
    heard = frozenset(chosen.keys) if chosen else _HEARD_ELSEWHERE
    keys = {key: system.name for system in systems for key in system.keys if key in pod.annotations}
    instead = f"{chosen.name} translates the Pod" if chosen else "{} has no claim to a Pod like this"
    if chosen is None and names.NETWORKS in pod.annotations:
        instead = f"{names.NETWORKS} decides"
    return tuple(
        f"metadata.annotations[{key}]: has no effect: {instead.format(keys[key])}" for key in sorted(set(keys) - heard)
    )


def listing(made: Made) -> dict[str, str]:
    """The annotations of a Pod with the list of ``made``."""
    return {
        api_names.NETWORKS_ANNOTATION: networks.encode(made.listed),
        names.TRANSLATED: pods.mark(made.listed),
    }


def _manifests(made: Made) -> list[Object]:
    pairs = [item for one in made.pairs for item in (one.attachment, one.config)]
    found = [manifest(item) for item in (*made.networks, *made.configs, *pairs)]
    return [*found, *map(dict, made.manifests)]
