"""Which networks and attachments live Pods use: a fresh list of the Pods, read only before something is deleted.

``mirror`` and ``collector`` ask. There is no watch of Pods: they are many, and deletions are few.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from podnet_api import core, multinetwork, names, networks
from podnet_api.kube import Client


@dataclass(frozen=True)
class Usage:
    """PodNetworks by name and PodNetworkAttachments by namespace and name that Pods name in their lists."""

    networks: frozenset[str]
    attachments: frozenset[tuple[str, str]]


async def now(client: Client, attachments: Iterable[multinetwork.PodNetworkAttachment]) -> Usage:
    """What is used now; ``attachments`` tell which networks are used through them. Raises KubeError."""
    pods, _ = await client.list_all(core.Pod)
    return of(pods, attachments)


def of(pods: Iterable[core.Pod], attachments: Iterable[multinetwork.PodNetworkAttachment]) -> Usage:
    """What ``pods`` use."""
    used, through = set[str](), set[tuple[str, str]]()
    for pod in pods:
        for network in () if pod.finished else _listed(pod):
            used.add(network.pod_network_name)
            through.add((pod.metadata.namespace, network.pod_network_attachment_name))
    for item in attachments:
        if (item.metadata.namespace, item.metadata.name) in through:
            used.add(item.spec.pod_network_name)
    return Usage(frozenset(used - {""}), frozenset(key for key in through if key[1]))


def _listed(pod: core.Pod) -> tuple[networks.Network, ...]:
    """The list as far as it can be read: what it names counts even if something else in it is wrong."""
    text = pod.metadata.annotations.get(names.NETWORKS_ANNOTATION)
    return networks.check(text)[0] if text else ()
