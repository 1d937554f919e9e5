"""Groups, keys, labels and names: every string that two programs must agree on stands here, once.

Pure. design.md of the project, "Objects" and "Carriage and status on the Pod".
"""

from __future__ import annotations

import hashlib
import re

GROUP = "multinetwork.x-k8s.io"
KNI_GROUP = "kni.multinetwork.x-k8s.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KNI_API_VERSION = f"{KNI_GROUP}/{VERSION}"

PROVIDER = f"{GROUP}/kni"
"""``spec.provider`` of the PodNetworks that the KNI server serves."""
CLUSTER_PROVIDER = f"{GROUP}/cluster"
"""``spec.provider`` of the PodNetwork ``default``: the cluster's own CNI serves it."""
DEFAULT_NETWORK = "default"
DEFAULT_INTERFACE = "eth0"

NETWORKS_ANNOTATION = f"{GROUP}/networks"
"""The KEP's ``spec.networks`` list as JSON, on Pods and on pod templates."""
NAMESPACE_NETWORKS = f"{GROUP}/default-networks"
"""Label of a Namespace: the networks of Pods that have no list, joined by ``_`` (which no name has). An
annotation of the same key, a list like a Pod's own, takes the place of the value. On a Pod, the label with
the value ``none`` lets the Pod out."""
STATUS_ANNOTATION = f"{GROUP}/network-status"
NPWG_STATUS_ANNOTATION = "k8s.v1.cni.cncf.io/network-status"
NETWORKS_READY = f"{GROUP}/NetworksReady"
"""Type of the Pod condition; usable as a readiness gate."""
WAKE_ANNOTATION = f"{GROUP}/wake"
"""Touched by the extender on a waiting Pod so that kube-scheduler looks at it again."""

RESOURCE = f"{GROUP}/networks"
"""Extended resource (managedResources, ignoredByScheduler): only Pods that ask for it cost an extender call."""
ATTACHMENTS_PREFIX = "attachments.multinetwork.x-kubernetes.io/"
"""Resources of a node: how many attachments of a NetworkConfig it carries (see ``capacity``). Of a name with
``kubernetes.io/`` in it kube-scheduler counts what it counts of every extended resource, but does not ask for each node
whether it is one by regular expressions, which costs a third of its pace (Kubernetes 1.36). DESIGN.md has the rest."""
NODE_LABEL_PREFIX = f"podnetwork.{GROUP}/"
NODE_LABEL_VALUE = "ready"
NODE_LABEL_NOT_READY = "not-ready"
"""The label's key says that the node carries the network, its value whether Pods can attach now. Affinity
asks for the key alone: the kubelet checks it again when it starts, and ends running Pods whose node lost it."""
NOT_READY_TAINT = f"{GROUP}/kni-not-ready"
REQUIRED_PLUGINS_ANNOTATION = "required-plugins.noderesource.dev"
NRI_PLUGIN_NAME = "kni"
NRI_PLUGIN_INDEX = "10"

IN_USE_FINALIZER = f"{GROUP}/in-use"
FIELD_MANAGER_PREFIX = "podnet-"

LEGACY_NETWORKS_ANNOTATION = "k8s.v1.cni.cncf.io/networks"
GENERATED_BY_LABEL = f"{GROUP}/generated-by"
SOURCE_ANNOTATION = f"{GROUP}/source"
"""On an object made from a legacy one: ``Kind namespace/name`` of its source."""

_INTERFACE = re.compile(r"[^/:\s]{1,15}")
_LABEL_NAME_LIMIT = 63
_HASH_LENGTH = 10


def node_label(network: str) -> str:
    """Key of the node label that says: this node carries PodNetwork ``network``.

    The part behind the slash of a label key holds at most 63 characters, a PodNetwork name up to 253:
    a longer name is cut and ends in a hash of the whole.
    """
    return NODE_LABEL_PREFIX + hashed_name(network, _LABEL_NAME_LIMIT)


def attachments_resource(config: str) -> str:
    """The resource of a node that counts attachments to NetworkConfig ``config``; long names as in ``node_label``."""
    return ATTACHMENTS_PREFIX + hashed_name(config, _LABEL_NAME_LIMIT)


def hashed_name(name: str, limit: int) -> str:
    """``name`` itself, or, when longer than ``limit`` characters, a cut of it with a hash of the whole."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    return name[: limit - _HASH_LENGTH - 1].rstrip("-.") + "-" + digest


def interface_name_problem(name: str) -> str:
    """Why the Linux kernel refuses ``name`` for an interface, or ``""`` (dev_valid_name in net/core/dev.c)."""
    if len(name.encode(errors="surrogatepass")) > 15:
        return "must be no longer than 15 bytes"
    if name in {"", ".", ".."}:
        return "must not be empty, '.' or '..'"
    if not _INTERFACE.fullmatch(name):
        return "must not contain '/', ':' or white space"
    if not name.isprintable():
        return "must be printable"
    if name in {"lo", "all"}:
        return "is reserved by the kernel"
    if "%" in name:
        return "must not contain '%', which the kernel reads as a pattern"
    return ""
