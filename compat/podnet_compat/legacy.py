"""The legacy kind: NetworkAttachmentDefinition, k8s.cni.cncf.io/v1. Pure.

Everything in it may be missing: NADs without ``spec`` or ``config`` are in use.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import msgspec
from msgspec import structs
from podnet_api.errors import InvalidError
from podnet_api.faults import Fault, FaultType
from podnet_api.meta import Model, ObjectMeta, Resource

from podnet_compat import names

GROUP = "k8s.cni.cncf.io"
KIND = "NetworkAttachmentDefinition"
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class NadSpec(Model, frozen=True, kw_only=True):
    """What the network is."""

    config: str | None = None
    """A CNI network configuration as JSON."""


class Nad(Model, frozen=True, kw_only=True):
    """A NetworkAttachmentDefinition."""

    resource: ClassVar[Resource] = Resource(
        KIND, "network-attachment-definitions", GROUP, "v1", True, ("net-attach-def", "nad")
    )

    metadata: ObjectMeta
    spec: NadSpec | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.metadata.namespace, self.metadata.name

    @property
    def subject(self) -> str:
        """How messages name it."""
        return f"{KIND} {self.metadata.namespace}/{self.metadata.name}"


def nad(item: dict[str, Any], namespace: str = "") -> Nad:
    """The NAD in ``item``, as JSON or YAML has it; ``namespace`` is for one that does not say its own.

    Raises InvalidError when its shape is wrong.
    """
    meta = item.get("metadata")
    meta = without_nulls(meta) if isinstance(meta, dict) else {}
    meta = {**meta, "namespace": meta.get("namespace") or namespace}
    subject = f"{KIND} {meta.get('namespace')}/{meta.get('name')}"
    try:
        made = msgspec.convert({"metadata": meta, "spec": item.get("spec")}, Nad)
    except msgspec.ValidationError as error:
        raise InvalidError(subject, [Fault("", FaultType.INVALID, str(error))]) from error
    faults = [
        Fault(f"metadata.{key}", FaultType.INVALID, "must be a DNS name (RFC 1123)", name)
        for key, name, pattern in (("name", made.metadata.name, _NAME), ("namespace", made.metadata.namespace, _SPACE))
        if name and not pattern.fullmatch(name)
    ]
    if faults:
        raise InvalidError(subject, faults)
    return made


def told(nad: Nad, attach_with: str) -> Nad:
    """``nad``, which says by its annotation how it is attached: as it did, else ``attach_with``."""
    if names.ATTACH_WITH in nad.metadata.annotations:
        return nad
    annotations = {**nad.metadata.annotations, names.ATTACH_WITH: attach_with}
    return structs.replace(nad, metadata=structs.replace(nad.metadata, annotations=annotations))


def without_nulls(value: Any) -> Any:
    """``value`` without the keys whose value is null: in Kubernetes' YAML they mean absence. Keys are strings, as in
    the JSON that kubectl makes of YAML, where ``5: x`` is another type."""
    if isinstance(value, dict):
        return {_key(key): without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def _key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def key_of(source: str) -> tuple[str, str] | None:
    """Namespace and name of the NAD that a source annotation names."""
    kind, _, key = source.partition(" ")
    namespace, slash, name = key.partition("/")
    return (namespace, name) if kind == KIND and slash else None
