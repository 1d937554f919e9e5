"""The kinds of Multus and whereabouts as CustomResourceDefinitions, for an API server that has no such programs."""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definition(group: str, version: str, kind: str, plural: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A namespaced kind whose objects have ``spec``."""
    schema = {"type": "object", "properties": {"spec": spec, "status": OPEN}}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [served]},
    }


_WHEREABOUTS = ("whereabouts.cni.cncf.io", "v1alpha1")
NAD = definition(
    "k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition", "network-attachment-definitions",
    {"type": "object", "properties": {"config": _TEXT}},
)  # fmt: skip
"""NetworkAttachmentDefinition (NPWG specification 1.3, section 3)."""
WHEREABOUTS = [
    definition(*_WHEREABOUTS, "IPPool", "ippools", OPEN),
    definition(*_WHEREABOUTS, "OverlappingRangeIPReservation", "overlappingrangeipreservations", OPEN),
    definition(*_WHEREABOUTS, "NodeSlicePool", "nodeslicepools", OPEN),
]
"""What whereabouts 0.9 keeps its addresses in."""
