"""What all kinds share: the base of every type that crosses JSON, object metadata, conditions.

Types are frozen ``msgspec`` structs. The docstring of a class and the string below a field are the
specification: ``podnet_api.schema`` turns them into the descriptions of the CRDs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""A DNS subdomain (RFC 1123), what Kubernetes allows as the name of an object."""
Text = Annotated[str, Meta(max_length=1024)]
"""A sentence for people."""
InterfaceName = Annotated[str, Meta(min_length=1, max_length=15, pattern=r"^[^/:\s%]+$")]
"""A name that Linux accepts for a network interface."""
Cidr = Annotated[str, Meta(min_length=3, max_length=43)]
Address = Annotated[str, Meta(min_length=2, max_length=39)]
Mac = Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$", max_length=17)]
SET = {"x-kubernetes-list-type": "set"}
"""``extra_json_schema`` of a list that holds each item once; other lists are atomic, or maps where the items
have a ``list_key``."""
Mtu = Annotated[int, Meta(ge=68, le=65535)]


@dataclass(frozen=True)
class Rule:
    """A CEL rule of a CRD schema (``x-kubernetes-validations``).

    ``path`` is relative to the type that carries the rule, e.g. ``.gateway``; ``""`` is the type itself.
    """

    rule: str
    message: str
    reason: str = "FieldValueInvalid"
    path: str = ""


@dataclass(frozen=True)
class Column:
    """A printer column of ``kubectl get``."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True)
class Resource:
    """Where a kind lives in the API. ``group`` is empty for the core group."""

    kind: str
    plural: str
    group: str
    version: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    selectable: tuple[str, ...] = ()
    """JSON paths that field selectors may use."""

    @property
    def api_version(self) -> str:
        """``group/version``, or ``version`` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """URL path of the collection (all namespaces when ``namespace`` is empty) or of one object."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        middle = f"/namespaces/{namespace}" if namespace else ""
        return root + middle + "/" + "/".join(part for part in (self.plural, name, subresource) if part)


class Model(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base of every type that crosses JSON: camelCase keys, defaults left out."""


class OwnerReference(Model, frozen=True, kw_only=True):
    """An object that this one belongs to."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False


class ObjectMeta(Model, frozen=True, kw_only=True):
    """The part of Kubernetes' ObjectMeta that podnet reads or writes."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: list[str] = []
    owner_references: list[OwnerReference] = []
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None


class Kind(Protocol):
    """What a Model needs to be read and written: its place in the API and its metadata."""

    resource: ClassVar[Resource]

    @property
    def metadata(self) -> ObjectMeta: ...


def manifest(item: Kind) -> dict[str, Any]:
    """``item`` as a dict with apiVersion and kind, ready to be written."""
    body: dict[str, Any] = msgspec.to_builtins(item)
    return {"apiVersion": item.resource.api_version, "kind": item.resource.kind, **body}


class Condition(Model, frozen=True, kw_only=True):
    """One aspect of the state of an object (metav1.Condition)."""

    list_key: ClassVar[str] = "type"

    type: Annotated[str, Meta(min_length=1, max_length=316)]
    """Name of the aspect, CamelCase."""
    status: Annotated[str, Meta(max_length=7, pattern="^(True|False|Unknown)$")]
    """True, False or Unknown."""
    reason: Annotated[str, Meta(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """Why, in one CamelCase word that programs may compare."""
    message: Annotated[str, Meta(max_length=32768)] = ""
    """Why, for people; says what to do next."""
    last_transition_time: Annotated[str, Meta(max_length=64, extra_json_schema={"format": "date-time"})] = ""
    """When status last changed (RFC 3339)."""
    observed_generation: Annotated[int, Meta(ge=0, le=2**53)] = 0
    """The metadata.generation that this condition was worked out from."""


class ParametersRef(Model, frozen=True, kw_only=True):
    """A reference to an object that holds parameters of the implementation (KEP-3698, ParametersRef)."""

    group: Annotated[str, Meta(min_length=1, max_length=253)]
    """API group of the object."""
    kind: Annotated[str, Meta(min_length=1, max_length=63)]
    """Kind of the object."""
    name: Name
    """Name of the object."""
    namespace: Annotated[str, Meta(max_length=63)] = ""
    """Namespace of the object; empty for a cluster-scoped kind."""


class Stated(Protocol):
    """Anything with the two fields that every condition has."""

    @property
    def type(self) -> str: ...

    @property
    def status(self) -> str: ...


C = TypeVar("C", bound=Stated)


def condition(conditions: Iterable[C], kind: str) -> C | None:
    """The condition of type ``kind``, or None."""
    return next((c for c in conditions if c.type == kind), None)


def is_true(conditions: Iterable[Stated], kind: str) -> bool:
    """Whether the condition ``kind`` is there and True."""
    found = condition(conditions, kind)
    return found is not None and found.status == "True"
