"""NetworkAttachmentDefinitions that another system attaches by itself, not by a plugin that a runtime calls. Pure.

To run their plugin would attach nothing, or everything once more. ``nad`` refuses them; what they become is the affair
of that system's translator (``systems``), which says what must be decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podnet_api.faults import Fault, FaultType

KURYR = "openstack.org/kuryr-config"
CONTRAIL = ("opencontrail.org/cidr", "opencontrail.org/network")
ANNOTATIONS = (KURYR, *CONTRAIL)


def of_annotations(annotations: Mapping[str, str]) -> Fault | None:
    """Whose the NAD is by its annotations; None for nobody's."""
    found = next((key for key in ANNOTATIONS if key in annotations), "")
    return _fault(f"metadata.annotations[{found}]", "kuryr" if found == KURYR else "Tungsten Fabric") if found else None


def of_config(value: Mapping[str, Any], path: str) -> Fault | None:
    """Whose the NAD is by its configuration ``value`` at ``path``; None for nobody's."""
    if value.get("type") == "contrail-k8s-cni":
        return _fault(f"{path}.type", "Tungsten Fabric")
    if value.get("type") == "antrea" and "networkType" in value:
        return _fault(f"{path}.networkType", "Antrea")
    return None


def _fault(path: str, name: str) -> Fault:
    message = f"{name} attaches this network by itself: podnet-compat translate says what becomes of it"
    return Fault(path, FaultType.NOT_SUPPORTED, message)
