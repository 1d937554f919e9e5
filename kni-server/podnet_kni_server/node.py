"""The node: what its networks need is made and kept, and what it has is published, within the second.

Driven by events (objects, links of the node, leases), never by polling. ``run`` is one supervised task:
something changed -> make the node right -> write NodeNetwork, labels and taint where they differ.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
import logging
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from podnet_api import core, kni, multinetwork, names, pools, reasons
from podnet_api.errors import AlreadyExistsError, KubeError, NotFoundError
from podnet_api.kube import Client
from podnet_api.meta import ObjectMeta, OwnerReference

from podnet_kni_server import kinds, node_resources, node_status, numa
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.interface import Datapath
from podnet_kni_server.datapath.model import NodeLink, NodeLinkState
from podnet_kni_server.kinds.kind import Kind
from podnet_kni_server.objects import Objects

log = logging.getLogger(__name__)

MANAGER = names.FIELD_MANAGER_PREFIX + "kni-node"
_SETTLE = 0.05
"""Seconds to wait for more events before acting: they come in bursts."""
_PAUSES = (0.5, 15.0)


class NodeAgent:
    """Keeps this node's networks. ``used`` and ``free`` count attachments and addresses, ``in_use`` names
    the PodNetworks that Pods of this node are attached to."""

    def __init__(
        self,
        client: Client,
        objects: Objects,
        datapath: Datapath,
        *,
        used: node_status.Used,
        free: node_status.Free,
        in_use: Callable[[], set[str]],
    ) -> None:
        self._client = client
        self._objects = objects
        self._datapath = datapath
        self._used = used
        self._free = free
        self._in_use = in_use
        self._states: dict[str, NodeLinkState] = {}
        self._links: dict[str, tuple[bool, bool]] = {}
        self._watched: set[str] = set()
        self._watches_all = False
        """Devices come back under any name, and virtual functions appear under names of their own."""
        self._published: list[kni.NodeNetworkEntry] | None = None
        self._dirty = asyncio.Event()
        self._stale = True
        """Whether the kernel must be looked at, too, and not only what is counted."""
        self.entries: list[kni.NodeNetworkEntry] = []
        """The networks of this node as last worked out."""
        self.hook_lost = ""
        """Why the runtime does not call us; empty while it does."""
        self._resources = node_resources.Writer(client, objects.network_config)
        objects.on_network_change(self.touch)
        objects.on_asked_change(self.recount)

    def touch(self) -> None:
        """Something changed: look again soon."""
        self._stale = True
        self._dirty.set()

    def recount(self) -> None:
        """Pods or blocks came or went. The kernel is left alone: looking at it costs the more the more Pods there
        are, in the thread that attaches them; CHECK does it now and then."""
        self._dirty.set()

    def state(self, config: kni.NetworkConfig) -> NodeLinkState | None:
        """attach.NodeView."""
        return self._states.get(config.metadata.name)

    async def set_up(self) -> None:
        """Make what the networks of this node need in the kernel."""
        wanted: dict[str, NodeLink] = {}
        of: dict[str, str] = {}
        for config, kind in self._configs():
            link = kind.node(config, self._address(self._objects.node, config), self._peers(config))
            if kind.needs:
                link = dataclasses.replace(link, needs=kind.needs)
            wanted.setdefault(link.key, link)
            of[config.metadata.name] = link.key
        self._watches_all = any(link.kind in ("device", "functions") for link in wanted.values())
        self._watched = {name for link in wanted.values() for name in link.names}
        states = await self._datapath.ensure_node(list(wanted.values()))
        self._states = {config: states[link] for config, link in of.items()}
        self._count()

    def _count(self) -> None:
        self.entries = [self._entry(network, config) for network, config in self._mine()]

    def _entry(self, network: multinetwork.PodNetwork, config: kni.NetworkConfig) -> kni.NodeNetworkEntry:
        made = node_status.entry(network, config, self.state(config), self._used, self._free, numa.of_interface)
        if self.hook_lost and made.ready:
            return msgspec.structs.replace(
                made, ready=False, reason=reasons.RUNTIME_HOOK_LOST, message=self.hook_lost[:1024]
            )
        return made

    def _mine(self) -> Iterator[tuple[multinetwork.PodNetwork, kni.NetworkConfig]]:
        """PodNetworks of our provider that select this node, by name."""
        node = self._objects.nodes.get(self._objects.node)
        labels = node.metadata.labels if node else {}
        for network in sorted(self._objects.networks, key=lambda n: n.metadata.name):
            config = self._objects.network_config(kni.config_name(network))
            ours = network.spec.provider == names.PROVIDER
            if ours and config is not None and node_status.selects(config, labels):
                yield network, config

    def _configs(self) -> list[tuple[kni.NetworkConfig, Kind]]:
        found = {config.metadata.name: config for _, config in self._mine()}
        return [(config, kind) for config in found.values() if (kind := kinds.of_config(config)) is not None]

    def _peers(self, config: kni.NetworkConfig) -> list[pools.Address]:
        """The other nodes of an overlay: head-end replication goes to each."""
        others = [n for n in self._objects.nodes if n.metadata.name != self._objects.node]
        carrying = [n for n in others if node_status.selects(config, n.metadata.labels)]
        found = [self._address(n.metadata.name, config) for n in carrying]
        return [address for address in found if address is not None]

    def _address(self, node: str, config: kni.NetworkConfig) -> pools.Address | None:
        if config.spec.vxlan is None:
            return None
        found = self._objects.nodes.get(node)
        return next((ipaddress.ip_address(ip) for ip in found.internal_ips), None) if found else None

    async def run(self) -> None:
        """Act on changes until cancelled."""
        pause = _PAUSES[0]
        while True:
            await self._dirty.wait()
            await asyncio.sleep(_SETTLE)
            self._dirty.clear()
            try:
                await self._look()
                await self.publish()
                pause = _PAUSES[0]
            except (KubeError, DatapathError) as error:
                log.warning("%s; trying again in %.1f s", error, pause)
                await self._pause(pause)
                pause = min(pause * 2, _PAUSES[1])

    async def _look(self) -> None:
        if not self._stale and not self._watches_all:  # only the kernel knows which devices are free
            self._count()
            return
        self._stale = False  # before the look: a touch while it goes on asks for another one
        try:
            await self.set_up()
        except BaseException:  # also cancellation: what was set up in part is set up again
            self._stale = True
            raise

    async def _pause(self, seconds: float) -> None:
        """Wait before trying again, but no longer than until something else changes."""
        await asyncio.sleep(_PAUSES[0])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds - _PAUSES[0]):
                await self._dirty.wait()
        self._dirty.set()

    async def watch_links(self) -> None:
        """Look again when a link that a network uses changes."""
        async for event in self._datapath.watch_links():
            now = (event.present, event.up)
            if (self._watches_all or event.name in self._watched) and self._links.get(event.name) != now:
                log.info("link %s: present %s, up %s", event.name, event.present, event.up)
                self.touch()
            self._links[event.name] = now
            if not event.present:
                self._links.pop(event.name, None)

    async def publish(self) -> None:
        """Write NodeNetwork, labels and resources where they differ from what is there."""
        await self._write_labels()
        if self._published != self.entries:
            await self._write_status()
            self._published = list(self.entries)
        own = self._objects.nodes.get(self._objects.node)
        await self._resources.write(own, self.entries, self._objects.pods)

    async def _write_status(self) -> None:
        body = {
            "metadata": {"name": self._objects.node},
            "status": msgspec.to_builtins(node_status.status(self.entries)),
        }
        try:
            await self._client.apply(kni.NodeNetwork.resource, body, subresource="status", manager=MANAGER)
        except NotFoundError:  # the first time, or somebody deleted it
            await self._create()
            await self._client.apply(kni.NodeNetwork.resource, body, subresource="status", manager=MANAGER)

    async def _create(self) -> None:
        """The Node owns it, so that it goes with the Node."""
        node = self._objects.nodes.get(self._objects.node)
        owners = (
            [OwnerReference(api_version="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid)]
            if node
            else []
        )
        try:
            await self._client.create(
                kni.NodeNetwork(metadata=ObjectMeta(name=self._objects.node, owner_references=owners))
            )
        except AlreadyExistsError:
            log.debug("NodeNetwork %s is there already", self._objects.node)

    async def _write_labels(self) -> None:
        node = self._objects.nodes.get(self._objects.node)
        if node is None:
            return
        changes = node_status.label_changes(node.metadata.labels, self.entries, self._in_use())
        if changes:
            await self._client.merge(core.Node.resource, self._objects.node, {"metadata": {"labels": changes}})

    async def taint(self, present: bool) -> None:
        """Put the not-ready taint on the node, or take it away."""
        node = await self._client.get(core.Node, self._objects.node)
        taints: list[Any] = [msgspec.to_builtins(taint) for taint in node_status.without_taint(node)]
        if present:
            taints.append({"key": names.NOT_READY_TAINT, "value": "true", "effect": "NoSchedule"})
        if len(taints) == len(node.spec.taints):
            return
        patch: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": node.metadata.resource_version},
            {"op": "add", "path": "/spec/taints", "value": taints},
        ]
        await self._client.json_patch(core.Node.resource, self._objects.node, patch)
