"""Which network a NetworkAttachmentDefinition of OVN-Kubernetes is. Pure.

Secondary networks are not namespaced: the JSON name of the configuration is the network, and several NADs may have it.
OVN-Kubernetes writes ``<namespace>_<name>`` for a UserDefinedNetwork and ``cluster_udn_<name>`` for a
ClusterUserDefinedNetwork, with dots in older versions.

Its plugin finds a Pod's addresses by the NAD that the Pod's annotation names, and the configuration carries that name
(netAttachDefName). So the first NAD of a network, by namespace and name, is PodNetwork ``<network>``, and each further
one a handle of its own on the same network, ``<network>-<namespace>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podnet_api import names as api_names

from podnet_compat import legacy
from podnet_compat.reader import Notes
from podnet_compat.systems import base, npwg
from podnet_compat.systems.base import Objects, Source

GROUP = "k8s.ovn.org"
PLUGIN = "ovn-k8s-cni-overlay"
PRIMARY_LABEL = "k8s.ovn.org/primary-user-defined-network"
_CLUSTER = ("cluster_udn_", "cluster.udn.")


def is_ours(nad: Source) -> bool:
    """Whether ``nad`` is of OVN-Kubernetes."""
    return npwg.plugin(nad) == PLUGIN


def json_name(nad: Source) -> str:
    """The name of the configuration, which is the network; the NAD's where it has none."""
    found = npwg.config(nad).get("name")
    return found if isinstance(found, str) and found else nad.name


def is_primary(nad: Source) -> bool:
    """Whether every Pod of the namespace has the network, as its primary one."""
    return npwg.config(nad).get("role") == "primary"


def network_of(nad: Source, objects: Objects, notes: Notes, path: str) -> str:
    """The PodNetwork for ``nad``; "" with a fault at ``path``."""
    network = json_name(nad)
    same = [one for one in objects.all(legacy.GROUP, legacy.KIND) if is_ours(one) and json_name(one) == network]
    return handle(nad, [(one.namespace, one.name) for one in same], notes, path)


def handle(nad: Source, same: list[tuple[str, str]], notes: Notes, path: str) -> str:
    """The PodNetwork for ``nad`` among the NADs ``same`` of its network, by namespace and name."""
    short, namespace = _parts(nad)
    made = base.network_name("ovn-kubernetes", path, short, namespace, notes)
    first = min([*same, (nad.namespace, nad.name)])
    if not made or first == (nad.namespace, nad.name):
        return made
    tail = nad.namespace if nad.namespace != first[0] else f"{nad.namespace}.{nad.name}"
    return api_names.hashed_name(f"{made}-{tail}", 253)


def _parts(nad: Source) -> tuple[str, str]:
    """Name and namespace of the object that made the network; a namespace of "" for the whole cluster."""
    network = json_name(nad)
    if network in {f"{nad.namespace}_{nad.name}", f"{nad.namespace}.{nad.name}"}:
        return nad.name, nad.namespace
    for prefix in _CLUSTER:
        if network.startswith(prefix):
            return network.removeprefix(prefix), ""
    return network, ""


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector (metav1) selects ``labels``; a broken part selects nothing."""
    wanted, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    if not isinstance(wanted, Mapping) or not isinstance(expressions, list):
        return False
    held = all(labels.get(key) == value for key, value in wanted.items())
    return held and all(_holds(one, labels) for one in expressions)


def _holds(one: Any, labels: Mapping[str, str]) -> bool:
    key, values = (one.get("key"), one.get("values") or []) if isinstance(one, Mapping) else (None, [])
    if not isinstance(key, str) or not isinstance(values, list):
        return False
    tests = {
        "In": key in labels and labels[key] in values,
        "NotIn": key not in labels or labels[key] not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }
    return tests.get(str(one.get("operator")), False)
