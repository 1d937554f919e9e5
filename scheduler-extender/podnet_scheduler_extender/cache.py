"""State: the Snapshot, kept current by watch events, and the Pods that have networks.

``main`` connects each method that takes (old, new) to the kube Cache of that kind; tests call them
directly. Each costs constant time, but for a changed object that many Pods name. ``changed`` is called
whenever a waiting Pod might have another verdict now.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from podnet_api import core, kni, multinetwork, names, pools
from podnet_api.meta import ObjectMeta, condition

from podnet_scheduler_extender import demand
from podnet_scheduler_extender.demand import Config, Demand, Owned, Ref, Resolution
from podnet_scheduler_extender.lanes import Index
from podnet_scheduler_extender.snapshot import Place, Snapshot
from podnet_scheduler_extender.stock import Stock

_RESOLVED = 10_000
"""So many different lists are remembered at most."""
_Key = TypeVar("_Key")
_Item = TypeVar("_Item")


@dataclass(slots=True)
class Tracked:
    """A Pod with networks: as the watch showed it, what it asks for, and what is on the books for it."""

    pod: core.Pod
    resolution: Resolution
    booked: Demand | None = None
    node: str = ""


class State:
    """Everything known. ``settled`` is called with the uid when the watch shows where a Pod went: bound to a
    node, finished or deleted."""

    def __init__(self, settled: Callable[[str], None], changed: Callable[[], None] = lambda: None) -> None:
        self._settled = settled
        self._changed = changed
        self._networks: dict[str, multinetwork.PodNetwork] = {}
        self._attachments: dict[tuple[str, str], multinetwork.PodNetworkAttachment] = {}
        self._attachment_configs: dict[tuple[str, str], kni.AttachmentConfig] = {}
        self._configs: dict[str, Config] = {}
        self._index = Index()
        self._places: defaultdict[str, Place] = defaultdict(lambda: Place(self._index))
        self._nodes: dict[str, kni.NodeNetwork] = {}
        self._stocks: defaultdict[str, Stock] = defaultdict(lambda: Stock(self._index))
        self._pods: dict[str, Tracked] = {}
        self._waiting: dict[str, None] = {}
        self._resolved: dict[tuple[str, str, bool], Resolution] = {}
        self._by_ref: defaultdict[Ref, set[str]] = defaultdict(set)
        self._kept: defaultdict[tuple[str, kni.Member], Counter[int]] = defaultdict(Counter)
        self.snapshot = Snapshot(self, self._places, self._stocks, self._nodes, self._index, self._name_of)

    def pod_network(self, name: str) -> multinetwork.PodNetwork | None:
        """demand.Objects."""
        return self._networks.get(name)

    def attachment(self, namespace: str, name: str) -> multinetwork.PodNetworkAttachment | None:
        """demand.Objects."""
        return self._attachments.get((namespace, name))

    def attachment_config(self, namespace: str, name: str) -> kni.AttachmentConfig | None:
        """demand.Objects."""
        return self._attachment_configs.get((namespace, name))

    def config(self, name: str) -> Config | None:
        """demand.Objects."""
        return self._configs.get(name)

    def kept(self, config: str, member: kni.Member) -> list[int]:
        """demand.Objects."""
        return [version for version, count in self._kept.get((config, member), {}).items() if count]

    def tracked(self, uid: str) -> Tracked | None:
        """A Pod with networks, by uid."""
        return self._pods.get(uid)

    def booked(self, uid: str) -> tuple[str, Demand] | None:
        """Node and demand of a bound Pod (preempt.Booked)."""
        found = self._pods.get(uid)
        return (found.node, found.booked) if found is not None and found.booked is not None else None

    def find(self, namespace: str, name: str) -> Tracked | None:
        """A Pod with networks, by name."""
        wanted = (namespace, name)
        return next((t for t in self._pods.values() if _key(t.pod.metadata) == wanted), None)

    def resolve(
        self, namespace: str, text: str, *, host_network: bool = False, owned: Owned | None = None
    ) -> Resolution:
        """What the list ``text`` asks for now. Replicas share one answer, until some object changes, but for
        Pods of StatefulSets (``owned``) that have addresses of their own."""
        found = self._shared(namespace, text, host_network)
        if owned is None or not found.sticky:
            return found
        return demand.resolve(namespace, text, self, host_network=host_network, owned=owned)

    def _shared(self, namespace: str, text: str, host_network: bool) -> Resolution:
        key = (namespace, text, host_network)
        found = self._resolved.get(key)
        if found is None:
            if len(self._resolved) >= _RESOLVED:
                self._resolved.clear()
            found = self._resolved[key] = demand.resolve(namespace, text, self, host_network=host_network)
        return found

    def waiting(self) -> Iterator[Tracked]:
        """The Pods that kube-scheduler has called unschedulable, in the order in which that was seen. What changes
        meanwhile is heeded, but for new ones."""
        return (self._pods[uid] for uid in list(self._waiting) if uid in self._waiting)

    def on_pod_network(self, old: multinetwork.PodNetwork | None, new: multinetwork.PodNetwork | None) -> None:
        """A PodNetwork came, changed or went."""
        name = _meta(old, new).name
        _put(self._networks, name, new)
        if old is None or new is None or (old.spec, old.status) != (new.spec, new.status):
            self._touch(("PodNetwork", "", name))

    def on_attachment(
        self, old: multinetwork.PodNetworkAttachment | None, new: multinetwork.PodNetworkAttachment | None
    ) -> None:
        """A PodNetworkAttachment came, changed or went."""
        key = _key(_meta(old, new))
        _put(self._attachments, key, new)
        if old is None or new is None or (old.spec, old.status) != (new.spec, new.status):
            self._touch(("PodNetworkAttachment", *key))

    def on_attachment_config(self, old: kni.AttachmentConfig | None, new: kni.AttachmentConfig | None) -> None:
        """An AttachmentConfig came, changed or went."""
        key = _key(_meta(old, new))
        _put(self._attachment_configs, key, new)
        self._touch(("AttachmentConfig", *key))

    def on_config(self, old: kni.NetworkConfig | None, new: kni.NetworkConfig | None) -> None:
        """A NetworkConfig came, changed or went."""
        name = _meta(old, new).name
        config = _config(new) if new is not None else None
        if config == self._configs.get(name):
            return
        _put(self._configs, name, config)
        self._stocks[name].set_pool(config.pool if config else None)
        self._touch(("NetworkConfig", "", name))

    def on_block(self, old: kni.IPBlock | None, new: kni.IPBlock | None) -> None:
        """An IPBlock was claimed or given back."""
        for block in (old, new):
            cidr = _network(block.spec.cidr) if block is not None else None
            if block is None or cidr is None:
                continue
            if block is new:
                stock = self._stocks[block.spec.network_config]
                stock.add_block(cidr, block.spec.node_name, kept=block.spec.holder is not None)
            else:
                self._stocks[block.spec.network_config].remove_block(cidr)
            self._keep(block.spec, cidr, 1 if block is new else -1)
        self._changed()

    def _keep(self, spec: kni.IPBlockSpec, cidr: pools.Network, sign: int) -> None:
        """An address is kept for a Pod, or no more: that Pod asks for another thing now."""
        if spec.holder is None:
            return
        key = (spec.network_config, spec.holder)
        self._kept[key][cidr.version] += sign
        if not any(self._kept[key].values()):
            del self._kept[key]
        self._touch(("Pod", spec.holder.namespace, spec.holder.pod))

    def on_node(self, old: kni.NodeNetwork | None, new: kni.NodeNetwork | None) -> None:
        """A NodeNetwork came, changed or went. What is in use we know from the Pods, and sooner; the node's own
        counts say what is left of Pods that are gone (see ``Stock.says``)."""
        node = _meta(old, new).name
        before = [entry.name for entry in old.status.networks] if old else []
        after = {entry.name: entry for entry in new.status.networks} if new else {}
        self._lane(node, new)
        for name in before:
            if name not in after:
                self._withdraw(name, node)
        for name, entry in after.items():
            self._places[name].put(node, entry)
        less = self._count(node, _in_use(old), _in_use(new))
        if new is None:
            self._index.remove(node)
        if less or _matter(old.status if old else None) != _matter(new.status if new else None):
            self._changed()

    def _count(self, node: str, before: dict[str, int], after: dict[str, int]) -> bool:
        """Take over what the node says is attached; whether that is less of anything."""
        for config in before.keys() | after.keys():
            if before.get(config) != after.get(config):
                self._stocks[config].says(node, after.get(config, 0))
        return any(after.get(config, 0) < count for config, count in before.items())

    def _lane(self, node: str, new: kni.NodeNetwork | None) -> None:
        """A new node gets a lane in everything that is counted by node."""
        known = node in self._nodes
        _put(self._nodes, node, new)
        if new is not None and not known:
            self._index.add(node)
            for stock in self._stocks.values():
                stock.show(node)

    def _withdraw(self, network: str, node: str) -> None:
        self._places[network].remove(node)
        if not self._places[network].entries:
            del self._places[network]

    def on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        """A Pod came, changed or went. Those without networks are dropped here."""
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self._forget(old.metadata.uid)
        if new is None:
            return
        if names.NETWORKS_ANNOTATION not in new.metadata.annotations:
            self._forget(new.metadata.uid)
            return
        tracked = self._pods.get(new.metadata.uid)
        if tracked is None or _asked(tracked.pod) != _asked(new):
            self._take(new, self._asks(new))
        else:
            tracked.pod = new
        self._wait(new)
        self._book(new.metadata.uid)

    def _wait(self, pod: core.Pod) -> None:
        if _waits(pod):
            self._waiting[pod.metadata.uid] = None
        else:
            self._waiting.pop(pod.metadata.uid, None)

    def _asks(self, pod: core.Pod) -> Resolution:
        meta, host = pod.metadata, pod.spec.host_network
        return self.resolve(meta.namespace, _asked(pod), host_network=host, owned=owned_by(meta))

    def _take(self, pod: core.Pod, found: Resolution) -> None:
        uid = pod.metadata.uid
        known = self._pods.get(uid)
        self._unlink(uid)
        if known is None:
            self._pods[uid] = Tracked(pod, found)
        else:
            known.pod, known.resolution = pod, found
        for ref in found.refs:
            self._by_ref[ref].add(uid)

    def _book(self, uid: str) -> None:
        """Bring the books up to what the watch shows of the Pod."""
        tracked = self._pods[uid]
        node = "" if tracked.pod.finished else tracked.pod.spec.node_name
        wanted = _held(tracked) if node else None
        if node or tracked.pod.finished:
            self._settled(uid)
        if (tracked.node, tracked.booked) != (node, wanted):
            self._unbook(uid, tracked)
            tracked.node, tracked.booked = node, wanted
            for need in wanted.needs if wanted else ():
                self._stocks[need.config].add(uid, node, need)
        self._changed()

    def _name_of(self, uid: str) -> str:
        meta = self._pods[uid].pod.metadata
        return f"{meta.namespace}/{meta.name}"

    def _unbook(self, uid: str, tracked: Tracked) -> None:
        for need in tracked.booked.needs if tracked.booked else ():
            self._stocks[need.config].remove(uid, tracked.node, need)

    def _forget(self, uid: str) -> None:
        self._settled(uid)
        self._waiting.pop(uid, None)
        tracked = self._pods.get(uid)
        if tracked is not None:
            self._unbook(uid, tracked)
            self._unlink(uid)
            del self._pods[uid]
            self._changed()

    def _unlink(self, uid: str) -> None:
        known = self._pods.get(uid)
        for ref in known.resolution.refs if known else ():
            self._by_ref[ref].discard(uid)
            if not self._by_ref[ref]:
                del self._by_ref[ref]

    def _touch(self, ref: Ref) -> None:
        """An object changed: what the Pods ask for that name it may be another thing now. Mostly it is not, but for
        its faults, and tens of thousands may name it."""
        self._resolved.clear()
        for uid in list(self._by_ref.get(ref, ())):
            tracked = self._pods[uid]
            found = self._asks(tracked.pod)
            same = (found.demand, found.refs) == (tracked.resolution.demand, tracked.resolution.refs)
            if same and tracked.booked in (None, found.demand):
                tracked.resolution = found
                continue
            self._take(tracked.pod, found)
            self._book(uid)
        self._changed()


def owned_by(meta: ObjectMeta) -> Owned | None:
    """Which Pod of a StatefulSet this is."""
    for owner in meta.owner_references:
        if owner.controller and owner.kind == "StatefulSet":
            return Owned(owner.name, meta.name)
    return None


def _held(tracked: Tracked) -> Demand:
    """What a bound Pod holds: what it asks for, or, when an object behind that is gone, what it held before."""
    asked, held = tracked.resolution.demand, tracked.booked
    if held is None or not tracked.resolution.faults:
        return asked
    return held if _size(asked) < _size(held) else asked


def _size(demand: Demand) -> int:
    return sum(need.attachments + sum(count for _, count in need.uses) for need in demand.needs)


def _waits(pod: core.Pod) -> bool:
    if pod.spec.node_name or pod.finished or pod.metadata.deletion_timestamp:
        return False
    scheduled = condition(pod.status.conditions, "PodScheduled")
    return scheduled is not None and (scheduled.status, scheduled.reason) == ("False", "Unschedulable")


def _asked(pod: core.Pod) -> str:
    return pod.metadata.annotations.get(names.NETWORKS_ANNOTATION, "")


def _config(config: kni.NetworkConfig) -> Config:
    try:
        return Config(pools.pool_of(config))
    except ValueError as error:
        return Config(None, str(error))


def _network(text: str) -> pools.Network | None:
    """An IPBlock that cannot be read holds nothing: the API server refuses it, but not every one is its own."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def _in_use(node: kni.NodeNetwork | None) -> dict[str, int]:
    """Attachments by NetworkConfig, as the node says."""
    return {e.config: e.attachments.used for e in node.status.networks if e.config} if node else {}


def _matter(status: kni.NodeNetworkStatus | None) -> dict[str, tuple[object, ...]]:
    """Entries without their counts of use, which change with every Pod."""
    entries = status.networks if status else []
    return {e.name: (e.config, e.ready, e.reason, e.message, e.attachments.capacity) for e in entries}


class _Object(Protocol):
    @property
    def metadata(self) -> ObjectMeta: ...


def _meta(old: _Object | None, new: _Object | None) -> ObjectMeta:
    found = new if new is not None else old
    return found.metadata if found is not None else ObjectMeta()


def _key(meta: ObjectMeta) -> tuple[str, str]:
    return meta.namespace, meta.name


def _put(objects: dict[_Key, _Item], key: _Key, item: _Item | None) -> None:
    if item is None:
        objects.pop(key, None)
    else:
        objects[key] = item
