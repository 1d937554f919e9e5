"""Placement: which resources a Pod with networks asks for, and so who decides where it goes. Pure.

Without ``--hybrid`` each such Pod asks for ``names.RESOURCE``, and kube-scheduler calls the extender for it. With
it a Pod asks for the attachments that its networks take on a node, wherever nodes can count them (see
``podnet_api.capacity``), and for the extender only where that does not say all: addresses are given out
cluster-wide, or are asked for by number, or something is not known yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from podnet_api import capacity, kni, multinetwork, names, networks

_ASK = "0"
"""How much of ``names.RESOURCE`` a Pod asks for. kube-scheduler calls the extender by the name alone. More than
nothing would let Pods lie that wait for processors: when a node grows or comes, NodeResourcesFit hints whether the Pod
fits there, and does so without ``ignoredByScheduler`` (Kubernetes 1.36). A cluster autoscaler knows nothing of it."""


@dataclass(frozen=True)
class Placement:
    """``extender``: kube-scheduler must ask it. ``attachments``: how much of each resource of nodes besides.
    ``known``: whether all that the Pod names is."""

    extender: bool = True
    attachments: Mapping[str, str] = field(default_factory=dict)
    known: bool = True

    @property
    def resources(self) -> dict[str, str]:
        """What the Pod asks for."""
        return ({names.RESOURCE: _ASK} if self.extender else {}) | dict(self.attachments)


Decide = Callable[[Iterable[networks.Network]], Placement]


def by_extender(_: Iterable[networks.Network]) -> Placement:
    """The extender decides on every Pod."""
    return Placement()


class Objects(Protocol):
    """What a list of networks leads to; None: not known."""

    def pod_network(self, name: str) -> multinetwork.PodNetwork | None: ...
    def sharing(self, config: str) -> int:
        """How many PodNetworks have this NetworkConfig."""

    def config(self, name: str) -> kni.NetworkConfig | None: ...
    def attachment(self, namespace: str, name: str) -> multinetwork.PodNetworkAttachment | None: ...
    def attachment_config(self, namespace: str, name: str) -> kni.AttachmentConfig | None: ...


def hybrid(namespace: str, objects: Objects) -> Decide:
    """What nodes can count is left to them, for Pods in ``namespace``."""
    return lambda listed: _hybrid(namespace, [one for one in listed if not one.is_default_network], objects)


def _hybrid(namespace: str, listed: list[networks.Network], objects: Objects) -> Placement:
    counted: Counter[str] = Counter()
    extender, known = False, True
    for entry in listed:
        name, plain = _network(namespace, entry, objects)
        config = _config(name, objects)
        known = known and config is not None
        if config is None or not capacity.by_node(config):
            extender = True
            continue
        counted[names.attachments_resource(config.metadata.name)] += 1
        # Of two networks on one NetworkConfig one may be disabled: the nodes' numbers are those of both.
        extender = extender or not plain or objects.sharing(config.metadata.name) != 1
    return Placement(extender, {key: str(count) for key, count in counted.items()}, known)


def _network(namespace: str, entry: networks.Network, objects: Objects) -> tuple[str, bool]:
    """The PodNetwork of an entry, and whether it asks for nothing but an attachment."""
    if entry.pod_network_name:
        return entry.pod_network_name, True
    found = objects.attachment(namespace, entry.pod_network_attachment_name)
    if found is None:
        return "", False
    own = [objects.attachment_config(namespace, ref.name) for ref in found.spec.parameters_refs]
    return found.spec.pod_network_name, all(one is not None and not one.spec.addresses for one in own)


def _config(network: str, objects: Objects) -> kni.NetworkConfig | None:
    found = objects.pod_network(network)
    if found is None or found.spec.provider != names.PROVIDER:
        return None
    return objects.config(kni.config_name(found))


def kept(container: dict[str, Any], decide: Decide) -> Decide:
    """``decide`` for a Pod that has been admitted once. Asking the extender is right for every Pod; and whoever
    looked before may have known what is not known here yet."""
    asked = (container.get("resources") or {}).get("requests") or {}
    counted = {key: str(count) for key, count in asked.items() if key.startswith(names.ATTACHMENTS_PREFIX)}

    def again(listed: Iterable[networks.Network]) -> Placement:
        now = decide(listed)
        before = Placement(names.RESOURCE in asked, counted)
        return before if before.extender or (counted and not now.known) else now

    return again
