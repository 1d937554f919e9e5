"""A KNI server's world for unit tests: objects in dicts, a fake kernel, a fake block store, a real core."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from podnet_api import kni, multinetwork, names, pools, reasons
from podnet_api.meta import Condition, ObjectMeta, ParametersRef
from podnet_kni_server import attach
from podnet_kni_server.block_api import FakeBlockApi
from podnet_kni_server.blocks import Blocks
from podnet_kni_server.checkpoint import Store
from podnet_kni_server.datapath.fake import FakeDatapath
from podnet_kni_server.datapath.model import NodeLinkState
from podnet_kni_server.leases import Leases
from podnet_kni_server.records import Sandbox

READY = Condition(type="Ready", status="True", reason="Ready")


def network_config(name: str = "blue", **spec: Any) -> kni.NetworkConfig:
    """A NetworkConfig; a bridge with one IPv4 range unless told otherwise."""
    if not any(key in spec for key in kni.DATAPATHS):
        spec["bridge"] = {}
    spec.setdefault("ipam", {"ranges": [{"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}]})
    if spec["ipam"] is None:
        del spec["ipam"]
    return kni.NetworkConfig(metadata=ObjectMeta(name=name), spec=msgspec.convert(spec, kni.NetworkConfigSpec))


def pod_network(name: str = "blue", config: str = "", **spec: Any) -> multinetwork.PodNetwork:
    """A PodNetwork of our provider that is Ready."""
    ref = ParametersRef(group=names.KNI_GROUP, kind="NetworkConfig", name=config or name)
    made = multinetwork.PodNetworkSpec(**{"provider": names.PROVIDER, "parameters_refs": [ref], **spec})
    status = multinetwork.PodNetworkStatus(conditions=[READY])
    return multinetwork.PodNetwork(metadata=ObjectMeta(name=name), spec=made, status=status)


def sandbox(*entries: Any, id: str = "s1", name: str = "p", uid: str = "", **more: Any) -> Sandbox:
    """A sandbox whose Pod lists ``entries``: names of networks, or whole entries."""
    listed = [{"podNetworkName": entry} if isinstance(entry, str) else entry for entry in entries]
    annotations = {names.NETWORKS_ANNOTATION: msgspec.json.encode(listed).decode()} if listed else {}
    fields = {"netns": f"/run/netns/{id}", "annotations": annotations, **more}
    return Sandbox(id=id, uid=uid or f"uid-{name}", namespace="ns", name=name, **fields)


@dataclass
class World:
    """plan.View and attach.NodeView over dicts, and the parts of one node."""

    directory: Path
    node: str = "n1"
    api: FakeBlockApi = field(default_factory=FakeBlockApi)
    datapath: FakeDatapath = field(default_factory=FakeDatapath)
    networks: dict[str, multinetwork.PodNetwork] = field(default_factory=dict)
    configs: dict[str, kni.NetworkConfig] = field(default_factory=dict)
    attachments: dict[tuple[str, str], multinetwork.PodNetworkAttachment] = field(default_factory=dict)
    attachment_configs: dict[tuple[str, str], kni.AttachmentConfig] = field(default_factory=dict)
    states: dict[str, NodeLinkState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The server dies and comes back: only files, kernel and API remain."""
        self.leases = Leases()
        self.blocks = Blocks(self.node, self.leases, self.api)
        store = Store(self.directory)
        self.core = attach.Core(
            view=self, node=self, leases=self.leases, blocks=self.blocks, store=store, datapath=self.datapath
        )
        self.core.load()
        self.blocks.adopt()

    def add(self, config: kni.NetworkConfig, *networks: multinetwork.PodNetwork) -> None:
        """Add a NetworkConfig and its PodNetworks (one of the same name unless told otherwise)."""
        self.configs[config.metadata.name] = config
        pool = pools.pool_of(config)
        if pool is not None:
            self.api.pools[config.metadata.name] = pool
        for network in networks or (pod_network(config.metadata.name),):
            self.networks[network.metadata.name] = network

    def attachment_of(self, name: str, network: str, **spec: Any) -> None:
        """Add a PodNetworkAttachment of namespace ns with an AttachmentConfig of the same name."""
        ref = ParametersRef(group=names.KNI_GROUP, kind="AttachmentConfig", name=name)
        self.attachments["ns", name] = multinetwork.PodNetworkAttachment(
            metadata=ObjectMeta(name=name, namespace="ns"),
            spec=multinetwork.PodNetworkAttachmentSpec(pod_network_name=network, parameters_refs=[ref]),
        )
        self.attachment_configs["ns", name] = kni.AttachmentConfig(
            metadata=ObjectMeta(name=name, namespace="ns"), spec=msgspec.convert(spec, kni.AttachmentConfigSpec)
        )

    def pod_network(self, name: str) -> multinetwork.PodNetwork | None:
        return self.networks.get(name)

    def attachment(self, namespace: str, name: str) -> multinetwork.PodNetworkAttachment | None:
        return self.attachments.get((namespace, name))

    def network_config(self, name: str) -> kni.NetworkConfig | None:
        return self.configs.get(name)

    def attachment_config(self, namespace: str, name: str) -> kni.AttachmentConfig | None:
        return self.attachment_configs.get((namespace, name))

    def state(self, config: kni.NetworkConfig) -> NodeLinkState | None:
        return self.states.get(config.metadata.name, NodeLinkState(True, reasons.READY, "", 1450))

    def nothing_left(self) -> bool:
        """Whether no file, link, record or lease remains of any Pod."""
        links = any(self.datapath.namespaces.values()) or self.datapath.host_ends
        leases = any(self.leases.used(config) for config in self.configs)
        files = any(self.directory.iterdir())
        return not (links or leases or files or self.core.records())
