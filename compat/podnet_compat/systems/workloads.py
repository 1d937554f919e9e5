"""Where the Pod is in an object: a Pod itself, or the template of a workload. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podnet_api import names as api_names
from podnet_api.proxy.carriers import CARRIERS

from podnet_compat.systems import base
from podnet_compat.systems.base import Source

PODS = {(carrier.group, carrier.kind): carrier.template for carrier in CARRIERS.values()}
"""Keys that lead to the Pod in an object of Kubernetes, by group and kind."""
TEMPLATES = PODS | {
    ("kubevirt.io", "VirtualMachine"): ("spec", "template"),
    ("kubevirt.io", "VirtualMachineInstance"): (),
    ("kubevirt.io", "VirtualMachineInstanceReplicaSet"): ("spec", "template"),
    ("pool.kubevirt.io", "VirtualMachinePool"): ("spec", "virtualMachineTemplate", "spec", "template"),
}
"""The same with KubeVirt, which hands a machine's annotations to the Pod it runs in."""


def pod(item: Mapping[str, Any], namespace: str) -> Source | None:
    """The Pod in ``item``, called like its workload; None where there is none. Raises InvalidError for a workload
    whose metadata are broken."""
    keys = TEMPLATES.get(_kind(item))
    if keys is None:
        return None
    whole = base.source(item, namespace)
    template: Any = whole.body
    for key in keys:
        template = template.get(key, {}) if isinstance(template, dict) else {}
    if not isinstance(template, dict):
        return None
    meta = template.get("metadata", {})
    named = {**meta, "name": whole.name, "namespace": whole.namespace} if isinstance(meta, dict) else meta
    inner = base.source({**template, "apiVersion": "v1", "kind": "Pod", "metadata": named}, namespace)
    return Source("", whole.kind, whole.namespace, whole.name, inner.body, inner.labels, inner.annotations)


def has_list(item: Mapping[str, Any], found: Source) -> bool:
    """Whether the Pod ``found`` in ``item`` has its list already; ``spec.networks`` of a machine is KubeVirt's."""
    spec = found.body.get("spec")
    native = isinstance(spec, Mapping) and isinstance(spec.get("networks"), list)
    return api_names.NETWORKS_ANNOTATION in found.annotations or (native and not _kind(item)[0].endswith("kubevirt.io"))


def annotated(item: Mapping[str, Any], added: Mapping[str, str]) -> dict[str, Any]:
    """``item`` with the annotations ``added`` on the Pod in it."""
    return _put(item, (*TEMPLATES[_kind(item)], "metadata", "annotations"), added)


def _kind(item: Mapping[str, Any]) -> tuple[str, str]:
    return str(item.get("apiVersion", "")).rpartition("/")[0], str(item.get("kind"))


def _put(item: Any, keys: tuple[str, ...], added: Mapping[str, str]) -> dict[str, Any]:
    """A copy of ``item`` in which the object at ``keys`` has ``added``."""
    held = dict(item or {})
    return {**held, keys[0]: _put(held.get(keys[0]), keys[1:], added)} if keys else {**held, **added}
