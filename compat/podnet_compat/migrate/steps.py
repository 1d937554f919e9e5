"""Which writes move a namespace to podnet, and which give it back. Pure; ``work`` does them in this order.

Every step follows from what is there, and what it does once it need not do again: a run that was killed is finished by
the next one. To podnet:

1. ``record``  the addresses of StatefulSets' Pods are noted
2. ``label``   from here on new Pods are podnet's
3. ``record``  again, for Pods that Multus made meanwhile
4. ``restart`` if asked for: workloads whose Pods are still Multus' make them anew
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podnet_api import core
from podnet_api.meta import Resource

from podnet_compat import names
from podnet_compat.legacy import Nad
from podnet_compat.migrate import addressing, kept, multus, planning
from podnet_compat.migrate.inventory import Carried, Inventory
from podnet_compat.migrate.report import Outcome

RESTARTED = "multinetwork.x-k8s.io/restarted-for"
"""On a Pod template: for whom its Pods were made anew last, podnet or multus."""
_APPS = {
    kind: Resource(kind, kind.lower() + "s", "apps", "v1", True) for kind in ("Deployment", "StatefulSet", "DaemonSet")
}
OTHER = {names.PODNET: names.MULTUS, names.MULTUS: names.PODNET}


@dataclass(frozen=True)
class Step:
    """One write: a merge patch, the creation of an object (``create``), or its deletion (``body`` None)."""

    said: str
    resource: Resource
    namespace: str
    name: str
    body: Mapping[str, Any] | None
    create: bool = False


def refusals(found: Inventory, namespace: str, *, decided: bool = False) -> list[str]:
    """Why ``namespace`` cannot be moved as it is; ``decided``: what the plan asks has been decided."""
    rows = [planning.carried(found, one) for one in planning.concerned(found) if one.namespace == namespace]
    worst = {Outcome.REFUSED} if decided else {Outcome.REFUSED, Outcome.DECIDE}
    bad = [row for row in rows if row.outcome in worst]
    # Pods that something makes are like what makes them.
    said = [f"{row.subject}: {text}" for row in bad if not row.owner for text in row.said]
    return said + multus.hindrances(found.multus, namespace)


def by_plugins(found: Inventory, namespace: str) -> list[Nad]:
    """The NADs of ``namespace`` that the CNI plugins of the nodes have to attach, because they keep its addresses."""
    return [nad for nad in planning.used(found, namespace) if addressing.shared(nad) and addressing.of(nad).dynamic]


def record(found: Inventory, namespace: str) -> list[Step]:
    """Steps 1 and 3."""
    before = found.records.get(namespace)
    members = [pod for pod in found.pods if pod.namespace == namespace and pod.owner.startswith("StatefulSet/")]
    served = {pod.name: kept.of_status(pod.annotations) for pod in members if pod.attached_by == names.MULTUS}
    had = {pod: kept.written(found) for pod, found in sorted(served.items()) if found}
    new = {pod: text for pod, text in had.items() if (before or {}).get(pod) != text}
    if not new:
        return []
    said = f"ConfigMap {namespace}/{kept.NAME}: the addresses of {', '.join(new)} are noted"
    return [Step(said, kept.Records.resource, namespace, kept.NAME, {"data": new}, create=before is None)]


def label(found: Inventory, namespace: str, by: str) -> list[Step]:
    """Step 2: ``by`` attaches the new Pods of ``namespace``."""
    if found.moved(namespace) == (by == names.PODNET):
        return []
    value = names.PODNET if by == names.PODNET else None
    said = f"Namespace {namespace}: {by} attaches its new Pods"
    return [Step(said, core.Namespace.resource, "", namespace, {"metadata": {"labels": {names.ATTACHED_BY: value}}})]


def restart(found: Inventory, namespace: str, by: str) -> list[Step]:
    """Step 4: workloads with Pods that the other side attached make them anew, in their own way."""
    body = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: by}}}}}
    waiting = [one for one in _workloads(found, namespace, by) if one.kind in _APPS]
    return [
        Step(f"{one.subject}: its Pods are made anew for {by}", _APPS[one.kind], namespace, one.name, body)
        for one in waiting
        if one.annotations.get(RESTARTED) != by
    ]


def waiting(found: Inventory, namespace: str, by: str) -> list[Carried]:
    """The Pods that the other side attached: they stay with it until they are made anew."""
    return [pod for pod in found.pods if pod.namespace == namespace and pod.attached_by == OTHER[by]]


def forget(found: Inventory, namespace: str) -> list[Step]:
    """For a namespace that goes back: the noted addresses go."""
    if namespace not in found.records:
        return []
    said = f"ConfigMap {namespace}/{kept.NAME}: the noted addresses are forgotten"
    return [Step(said, kept.Records.resource, namespace, kept.NAME, None)]


def _workloads(found: Inventory, namespace: str, by: str) -> list[Carried]:
    """The workloads whose Pods the other side attached. A Deployment owns them through a ReplicaSet."""
    owners = {pod.owner for pod in waiting(found, namespace, by)}
    here = [one for one in found.carried if one.namespace == namespace and one.kind != "Pod"]
    owners |= {one.owner for one in here if f"{one.kind}/{one.name}" in owners and one.owner}
    return [one for one in here if f"{one.kind}/{one.name}" in owners and not one.owner]
