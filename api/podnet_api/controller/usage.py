"""Who still needs an object: the sentences say who, an empty list that nobody does (KEP-3698, in use). Pure.

A PodNetwork is needed by PodNetworkAttachments and by Pods that name it, a PodNetworkAttachment by Pods of
its namespace, parameters by the objects that reference them. A Pod that Succeeded or Failed needs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from podnet_api import core, multinetwork, names, networks
from podnet_api.meta import ParametersRef


def of_network(
    name: str, attachments: Iterable[multinetwork.PodNetworkAttachment], pods: Iterable[core.Pod]
) -> Iterator[str]:
    """Users of a PodNetwork."""
    for attachment in attachments:
        if attachment.spec.pod_network_name == name:
            yield f"PodNetworkAttachment {attachment.metadata.namespace}/{attachment.metadata.name}"
    for pod in pods:
        if any(entry.pod_network_name == name for entry in _entries(pod)):
            yield f"Pod {pod.metadata.namespace}/{pod.metadata.name}"


def of_attachment(namespace: str, name: str, pods: Iterable[core.Pod]) -> Iterator[str]:
    """Users of a PodNetworkAttachment."""
    for pod in pods:
        same = pod.metadata.namespace == namespace
        if same and any(entry.pod_network_attachment_name == name for entry in _entries(pod)):
            yield f"Pod {namespace}/{pod.metadata.name}"


def _entries(pod: core.Pod) -> tuple[networks.Network, ...]:
    text = pod.metadata.annotations.get(names.NETWORKS_ANNOTATION)
    return () if text is None or pod.finished else networks.check(text)[0]


def of_network_config(name: str, found: Iterable[multinetwork.PodNetwork]) -> Iterator[str]:
    """Users of a NetworkConfig."""
    for network in found:
        if references(network.spec.parameters_refs, "NetworkConfig", name):
            yield f"PodNetwork {network.metadata.name}"


def of_attachment_config(
    namespace: str, name: str, found: Iterable[multinetwork.PodNetworkAttachment]
) -> Iterator[str]:
    """Users of an AttachmentConfig."""
    for attachment in found:
        same = attachment.metadata.namespace == namespace
        if same and references(attachment.spec.parameters_refs, "AttachmentConfig", name):
            yield f"PodNetworkAttachment {namespace}/{attachment.metadata.name}"


def references(refs: Iterable[ParametersRef], kind: str, name: str) -> bool:
    """Whether one of ``refs`` is our parameter object ``kind`` ``name``."""
    return any((ref.group, ref.kind, ref.name) == (names.KNI_GROUP, kind, name) for ref in refs)
