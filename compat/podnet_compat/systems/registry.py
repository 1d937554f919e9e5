"""Which systems there are, by which keys and kinds they are known, and what translates each. Pure.

A system is one module with a ``SYSTEM`` in it, named in ``MODULES``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from podnet_compat.legacy import Nad
from podnet_compat.systems.base import Made, Objects, Source, Translator


def always(_source: Source, _objects: Objects) -> bool:
    """Every object of the kind belongs to the system."""
    return True


@dataclass(frozen=True)
class Kind:
    """A kind of object that a system has, and what becomes of one. ``applies``: for kinds that several systems
    share (a NetworkAttachmentDefinition, a Service), whether one is this system's."""

    group: str
    kind: str
    translate: Translator
    namespaced: bool = True
    applies: Callable[[Source, Objects], bool] = always
    plural: str = ""
    """As the API has it in URLs; empty: never read through the API."""
    versions: tuple[str, ...] = ("v1",)
    """Versions under which it is asked for, the first that is served."""
    stays: bool = False
    """Whether the object itself stays beside what becomes of it: a Service, what is only recognised, or what its own
    system goes on reading."""
    followed: bool = True
    """Whether a live translation has to see its changes: not where nothing native comes of them."""

    @property
    def watched(self) -> bool:
        """Whether a live translation watches it. NetworkAttachmentDefinitions have a cache of their own."""
        return bool(self.plural) and self.followed and self.group != Nad.resource.group


def never(_source: Source, _objects: Objects) -> bool:
    """No object of the kind belongs to the system."""
    return False


NAMESPACES = Kind(
    "", "Namespace", lambda _origin, _objects: Made(), namespaced=False, applies=never, plural="namespaces"
)
"""For systems that ask for labels or annotations of a Pod's Namespace."""
CONFIG_MAPS = Kind(
    "", "ConfigMap", lambda _origin, _objects: Made(), applies=never, plural="configmaps", followed=False
)
"""For systems that are configured by a ConfigMap of a known name."""


def nads(translate: Translator, is_ours: Callable[[Source], bool], *, stays: bool = False) -> Kind:
    """The NetworkAttachmentDefinitions that are a system's own."""
    kind = Nad.resource
    return Kind(kind.group, kind.kind, translate, True, lambda one, _: is_ours(one), kind.plural, stays=stays)


@dataclass(frozen=True)
class System:
    """Another multi-network system.

    ``adds``: it adds to the cluster's default network, else it takes its place. ``keys``: annotations by which its
    Pods are known. ``claims``: whether a Pod is its own, where the keys alone do not say so. ``carries``: further
    annotations of its Pods that the list takes the place of. ``stays``: none goes, as the system reads them still."""

    name: str
    adds: bool
    keys: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    pods: Translator | None = None
    claims: Callable[[Source, Objects], bool] | None = None
    adopt: Callable[[Mapping[str, Any]], list[dict[str, Any]]] | None = None
    """For documents without ``kind``: the objects in one that is the system's, as Kubernetes would write them."""
    carries: tuple[str, ...] = ()
    stays: bool = False
    reads: Callable[[Source], bool] | None = None
    """Which NADs it goes on reading, with the NPWG annotation of their Pods."""
    recognised: str = ""
    """Why its Pods are not translated, where they are only recognised: said in a warning."""

    def has(self, pod: Source, objects: Objects) -> bool:
        """Whether ``pod`` is to be translated by this system."""
        if self.claims is not None:
            return self.claims(pod, objects)
        return any(key in pod.annotations for key in self.keys)
