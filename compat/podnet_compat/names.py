"""Names and keys of compat: of the legacy forms that it reads, and of the native objects that it makes.

Pure. A NAD ``ns/name`` becomes the PodNetwork and the NetworkConfig ``ns.name``; a namespace holds no dot,
so the first dot parts them again.
"""

from __future__ import annotations

import hashlib

from podnet_api import names

COMPAT = "compat"
"""Value of the label ``generated-by`` on every object that compat makes."""
LABELS = {names.GENERATED_BY_LABEL: COMPAT}
SELECTOR = f"{names.GENERATED_BY_LABEL}={COMPAT}"

NETWORKS = names.LEGACY_NETWORKS_ANNOTATION
DEFAULT_NETWORK = "v1.multus-cni.io/default-network"
DEFAULT_NAMESPACE = "kube-system"
"""Where a default network is looked for that names no namespace."""
HISTORIC = {
    "kubernetes.v1.cni.cncf.io/networks": NETWORKS,
    "networks": NETWORKS,
    "k8s.v1.cni.cncf.io/networks-default": DEFAULT_NETWORK,
    "k8s.v1.cni.cncf.io/default-network": DEFAULT_NETWORK,
}
"""Annotations that no released Multus reads, and the key that their writer meant."""
RESOURCE_NAME = "k8s.v1.cni.cncf.io/resourceName"
NODE_SELECTOR = "k8s.v1.cni.cncf.io/nodeSelector"
MIRROR_POD = "kubernetes.io/config.mirror"

TRANSLATION = f"{names.GROUP}/translation"
"""On a NAD: ``ok``, or why it has no native objects."""
NOTES = f"{names.GROUP}/translation-notes"
"""On a NetworkConfig made from a NAD: what was translated otherwise than the letter says, one per line."""
TRANSLATED = f"{names.GROUP}/translated"
"""On a Pod: the digest of the native list that compat wrote; another list there is the user's own."""
HELD_FOR = f"{names.GROUP}/held-for"
"""On an IPBlock made by compat: the Pods (namespace/name) that have its addresses from whereabouts."""
LAST_USED = f"{names.GROUP}/last-used"
"""On a generated attachment: when a Pod last asked for it (RFC 3339)."""

ATTACHED_BY = f"{names.GROUP}/attached-by"
"""Label of a Namespace beside a running Multus: with the value ``podnet``, podnet attaches its new Pods."""
PODNET, MULTUS = "podnet", "multus"
MOVED = {NETWORKS: f"{names.GROUP}/legacy-networks", DEFAULT_NETWORK: f"{names.GROUP}/legacy-default-network"}
"""Where a Pod that podnet took over from Multus keeps what it said to Multus, which reads it no more."""
ATTACH_WITH = f"{names.GROUP}/attach-with"
"""On a NAD: ``plugins``: the CNI plugins of the nodes attach it, although something native could; ``native``: what can
be native is. Without it the flag ``--attach-with`` counts."""
PLUGINS, NATIVE = "plugins", "native"
STICKY = f"{names.GROUP}/sticky"
"""On a NAD: ``true``: members of StatefulSets keep the addresses that they get from it."""
IN_USE = f"{names.GROUP}/in-use"
"""On a NAD whose addresses each node gives by itself: those of Pods that podnet did not attach, as subnets with commas
between. They are not given."""

_NAME_LIMIT = 253
_HASH = 10


def network(namespace: str, name: str) -> str:
    """The PodNetwork, and the NetworkConfig, of NAD ``namespace/name``."""
    return names.hashed_name(f"{namespace}.{name}", _NAME_LIMIT)


def further(namespace: str, name: str, number: int, *, taken: bool = False) -> str:
    """The PodNetwork for use ``number`` (2, 3, ...) of one NAD in one Pod.

    ``taken``: another NAD is called like that; then a hash keeps the two apart.
    """
    base = names.hashed_name(f"{namespace}.{name}", _NAME_LIMIT - 24)
    return f"{base}-{number}" + (f"-{digest(f'{namespace}/{name}')}" if taken else "")


def attachment(nad: str, content: str) -> str:
    """The attachment with parameters ``content``: equal content, equal name, so that replicas share it."""
    return names.hashed_name(nad, _NAME_LIMIT - _HASH - 1) + "-" + digest(content)


def variant(namespace: str, name: str, content: str) -> str:
    """The NetworkConfig of a NAD whose plain name is held by a NetworkConfig of other content."""
    return names.hashed_name(f"{namespace}.{name}", _NAME_LIMIT - _HASH - 1) + "-" + digest(content)


def source(namespace: str, name: str) -> str:
    """How the source annotation names a NAD."""
    return f"NetworkAttachmentDefinition {namespace}/{name}"


def digest(text: str) -> str:
    """Ten hexadecimal digits that stand for ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH]
