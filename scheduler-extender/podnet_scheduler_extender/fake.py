"""A cluster in memory that feeds an Extender: what the watches would tell, told by a test or a benchmark.

Each method makes or changes one object and tells it to the State at once; ``request`` makes what
kube-scheduler would post.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from podnet_api import core, kni, multinetwork, names, pools
from podnet_api.meta import ObjectMeta, OwnerReference

from podnet_scheduler_extender import wire
from podnet_scheduler_extender.extender import Extender
from podnet_scheduler_extender.ledger import Ledger
from podnet_scheduler_extender.waiting import Action

NAMESPACE = "team"
_READY = {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Cluster:
    """The objects, and the Extender that knows of them."""

    def __init__(self, ttl: float = 30.0) -> None:
        self.clock = Clock()
        self.extender = Extender(self.clock, Ledger(ttl))
        self.state = self.extender.state
        self.pods: dict[str, core.Pod] = {}
        self._networks: dict[str, multinetwork.PodNetwork] = {}
        self._nodes: dict[str, kni.NodeNetwork] = {}
        self._blocks: dict[str, kni.IPBlock] = {}
        self._versions = itertools.count(1)

    def config(self, name: str, *ranges: dict[str, Any], **ipam: Any) -> None:
        """A NetworkConfig, with a pool when ranges are given."""
        spec: dict[str, Any] = {"bridge": {}}
        if ranges:
            spec["ipam"] = {"ranges": list(ranges), **ipam}
        made = kni.NetworkConfig(metadata=self._meta(name), spec=msgspec.convert(spec, kni.NetworkConfigSpec))
        self.state.on_config(None, made)

    def network(
        self,
        name: str,
        config: str = "",
        *,
        enabled: bool = True,
        ready: bool = True,
        provider: str = names.PROVIDER,
    ) -> None:
        """A PodNetwork of the NetworkConfig ``config``, or of the one of its own name."""
        ref = {"group": names.KNI_GROUP, "kind": "NetworkConfig", "name": config or name}
        spec = {"enabled": enabled, "provider": provider, "parametersRefs": [ref]}
        made = multinetwork.PodNetwork(
            metadata=self._meta(name),
            spec=msgspec.convert(spec, multinetwork.PodNetworkSpec),
            status=msgspec.convert(_READY if ready else {}, multinetwork.PodNetworkStatus),
        )
        self.state.on_pod_network(self._networks.get(name), made)
        self._networks[name] = made

    def remove_network(self, name: str) -> None:
        """The PodNetwork is deleted."""
        self.state.on_pod_network(self._networks.pop(name), None)

    def attachment(self, name: str, network: str, **parameters: Any) -> None:
        """A PodNetworkAttachment; ``parameters`` are those of its AttachmentConfig of the same name."""
        refs = [{"group": names.KNI_GROUP, "kind": "AttachmentConfig", "name": name}] if parameters else []
        spec = msgspec.convert(
            {"podNetworkName": network, "parametersRefs": refs}, multinetwork.PodNetworkAttachmentSpec
        )
        if parameters:
            own = msgspec.convert(parameters, kni.AttachmentConfigSpec)
            made = kni.AttachmentConfig(metadata=self._meta(name, NAMESPACE), spec=own)
            self.state.on_attachment_config(None, made)
        self.state.on_attachment(
            None, multinetwork.PodNetworkAttachment(metadata=self._meta(name, NAMESPACE), spec=spec)
        )

    def node(self, name: str, *entries: str | dict[str, Any], capacity: int = 100, used: int = 0) -> None:
        """A NodeNetwork; an entry is a PodNetwork's name, or the whole entry. ``used``: so many are attached to
        each."""
        status = kni.NodeNetworkStatus(networks=[self._entry(entry, capacity, used) for entry in entries])
        made = kni.NodeNetwork(metadata=self._meta(name), status=status)
        self.state.on_node(self._nodes.get(name), made)
        self._nodes[name] = made

    def _entry(self, entry: str | dict[str, Any], capacity: int, used: int) -> kni.NodeNetworkEntry:
        if isinstance(entry, dict):
            return msgspec.convert(entry, kni.NodeNetworkEntry)
        known = self._networks.get(entry)
        config = known.spec.parameters_refs[0].name if known else entry
        count = kni.AttachmentCount(capacity=capacity, used=used)
        return kni.NodeNetworkEntry(name=entry, config=config, ready=True, reason="Ready", attachments=count)

    def remove_node(self, name: str) -> None:
        """The NodeNetwork is deleted."""
        self.state.on_node(self._nodes.pop(name), None)

    def block(self, config: str, cidr: str, node: str, holder: kni.Member | None = None) -> None:
        """``node`` claims an IPBlock, or one that is kept for ``holder`` moves there."""
        spec = kni.IPBlockSpec(network_config=config, cidr=cidr, node_name=node, holder=holder)
        name = pools.block_name(config, ipaddress.ip_network(cidr))
        made = kni.IPBlock(metadata=self._meta(name), spec=spec)
        self.state.on_block(self._blocks.get(name), made)
        self._blocks[name] = made

    def free_block(self, config: str, cidr: str) -> None:
        """The IPBlock is given back."""
        name = pools.block_name(config, ipaddress.ip_network(cidr))
        self.state.on_block(self._blocks.pop(name), None)

    def pod(
        self,
        name: str,
        networks: Sequence[str | dict[str, Any]] = (),
        *,
        node: str = "",
        phase: str = "Pending",
        conditions: Iterable[dict[str, Any]] = (),
        text: str | None = None,
        stateful_set: str = "",
    ) -> core.Pod:
        """A Pod as the watch shows it now; called again: as it has become. The uid is its name."""
        annotations = {names.NETWORKS_ANNOTATION: text if text is not None else listed(networks)}
        meta = self._meta(name, NAMESPACE, annotations)
        if stateful_set:
            owner = OwnerReference(
                api_version="apps/v1", kind="StatefulSet", name=stateful_set, uid="s", controller=True
            )
            meta = msgspec.structs.replace(meta, owner_references=[owner])
        made = core.Pod(
            metadata=meta,
            spec=core.PodSpec(node_name=node),
            status=core.PodStatus(phase=phase, conditions=msgspec.convert(list(conditions), list[core.PodCondition])),
        )
        self.state.on_pod(self.pods.get(name), made)
        self.pods[name] = made
        return made

    def unschedulable(self, name: str, networks: Sequence[str | dict[str, Any]] = (), **more: Any) -> core.Pod:
        """A Pod that kube-scheduler has found no node for."""
        no = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        return self.pod(name, networks, conditions=[no, *more.pop("conditions", [])], **more)

    def remove_pod(self, name: str) -> None:
        """The Pod is deleted."""
        self.state.on_pod(self.pods.pop(name), None)

    def filter(
        self, pod: str, networks: Sequence[str | dict[str, Any]], nodes: Iterable[str], stateful_set: str = ""
    ) -> Told:
        """/filter, as kube-scheduler would ask."""
        answer = wire.encode(self.extender.filter(request(pod, networks, nodes, stateful_set)))
        return msgspec.json.decode(answer, type=Told)

    def fitting(self, pod: str, networks: Sequence[str | dict[str, Any]], nodes: Iterable[str]) -> list[str]:
        """The nodes that /filter leaves."""
        return self.filter(pod, networks, nodes).node_names or []

    def sweep(self, most: int = 20) -> list[Action]:
        """What is to be done about waiting Pods, while nothing else happens."""
        *_, actions = self.extender.sweep(most)
        return actions

    def _meta(self, name: str, namespace: str = "", annotations: dict[str, str] | None = None) -> ObjectMeta:
        version = str(next(self._versions))
        return ObjectMeta(
            name=name, namespace=namespace, uid=name, resource_version=version, annotations=annotations or {}
        )


class Told(msgspec.Struct, frozen=True, rename="pascal"):
    """ExtenderFilterResult, as kube-scheduler reads it."""

    node_names: list[str] | None
    nodes: msgspec.Raw
    failed_nodes: dict[str, str]
    failed_and_unresolvable_nodes: dict[str, str]


def listed(networks: Iterable[str | dict[str, Any]]) -> str:
    """The annotation: an entry is a PodNetwork's name, or the whole entry."""
    entries = [{"podNetworkName": entry} if isinstance(entry, str) else entry for entry in networks]
    return msgspec.json.encode(entries).decode()


def wire_pod(name: str, networks: Iterable[str | dict[str, Any]], stateful_set: str = "") -> wire.Pod:
    """The Pod of a request."""
    annotations = {names.NETWORKS_ANNOTATION: listed(networks)}
    owners = [wire.Owner("StatefulSet", stateful_set, True)] if stateful_set else []
    return wire.Pod(wire.PodMeta(name, NAMESPACE, name, annotations, owners))


def request(
    pod: str, networks: Iterable[str | dict[str, Any]], nodes: Iterable[str], stateful_set: str = ""
) -> wire.Args:
    """What kube-scheduler posts to /filter and /prioritize."""
    return wire.Args(wire_pod(pod, networks, stateful_set), None, msgspec.Raw(msgspec.json.encode(list(nodes))))
