"""MAC addresses that two Pods of one network have on different nodes.

A node refuses a second one of its own; what other nodes have it cannot see. The statuses of all Pods show it,
after the fact. It is said and not undone: a virtual machine that migrates has its address twice for a moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import msgspec

from podnet_api import core, kni, multinetwork, names
from podnet_api.controller.store import Store
from podnet_api.errors import KubeError
from podnet_api.kube import Cache, Client
from podnet_api.meta import Model

log = logging.getLogger(__name__)

COMPONENT = "podnet-controller"
REASON = "DuplicateMAC"
EVERY = 30.0
"""Seconds between two looks."""


class _Interface(Model, frozen=True, kw_only=True):
    network: str = ""
    mac: str = ""


async def watch(client: Client, pods: Cache[core.Pod], store: Store) -> None:
    """Tell both Pods, once, by an Event; until cancelled."""
    told: set[tuple[str, str]] = set()
    while True:
        await asyncio.sleep(EVERY)
        found = {(pod.metadata.uid, text): pod for pod, text in of(pods, lambda name: _leaves_node(store, name))}
        for key in found.keys() - told:
            try:
                await client.event(found[key], "Warning", REASON, key[1], COMPONENT)
            except KubeError as error:
                log.warning("%s", error)
                del found[key]
        told = set(found)


def _leaves_node(store: Store, name: str) -> bool:
    """Whether a network joins Pods of several nodes."""
    network = store.get(multinetwork.PodNetwork, name)
    config = store.get(kni.NetworkConfig, kni.config_name(network)) if network else None
    if config is None or (config.spec.ipam and config.spec.ipam.scope == "node"):
        return False
    return config.spec.bridge is None or config.spec.uplink is not None


def of(pods: Iterable[core.Pod], joins: Callable[[str], bool]) -> Iterator[tuple[core.Pod, str]]:
    """Each Pod that shares a MAC address with one of another node, and a sentence that says with whom.
    ``joins``: whether a PodNetwork joins Pods of several nodes."""
    held: defaultdict[tuple[str, str], list[core.Pod]] = defaultdict(list)
    for pod in pods:
        for interface in _interfaces(pod):
            held[interface.network, interface.mac.lower()].append(pod)
    for (network, mac), sharing in held.items():
        if len({pod.spec.node_name for pod in sharing}) > 1 and joins(network):
            for pod in sharing:
                yield pod, f"{mac} on PodNetwork {network} is also that of {_others(pod, sharing)}"


def _interfaces(pod: core.Pod) -> list[_Interface]:
    """What the status says; nothing of a Pod that is finished or whose status cannot be read."""
    text = pod.metadata.annotations.get(names.STATUS_ANNOTATION, "")
    if not text or pod.finished or pod.metadata.deletion_timestamp is not None:
        return []
    try:
        found = msgspec.json.decode(text, type=list[_Interface])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return []
    return [interface for interface in found if interface.network and interface.mac]


def _others(pod: core.Pod, sharing: Iterable[core.Pod]) -> str:
    others = [other for other in sharing if other.metadata.uid != pod.metadata.uid]
    return ", ".join(f"Pod {o.metadata.namespace}/{o.metadata.name} on node {o.spec.node_name}" for o in others[:3])
