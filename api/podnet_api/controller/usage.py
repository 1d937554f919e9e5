"""Who still needs an object (KEP-3698, in use). Pure.

A PodNetwork is needed by PodNetworkAttachments and by Pods that name it, a PodNetworkAttachment by Pods of its
namespace, parameters by the objects that reference them. A Pod that Succeeded or Failed needs nothing.

Both answers are kept ready, not searched for: the store knows who references whom, ``Uses`` which Pods name what.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from podnet_api import core, multinetwork, names, networks
from podnet_api.controller.store import Key, Store
from podnet_api.meta import ObjectMeta

_NONE: dict[str, None] = {}
_READ = (names.NETWORKS_ANNOTATION, names.STATUS_ANNOTATION)


class Uses:
    """Which Pods name which networks and attachments."""

    def __init__(self, pods: Iterable[core.Pod] = ()) -> None:
        self._pods: dict[Key, dict[str, None]] = {}
        for pod in pods:
            self.learn(None, pod)

    def learn(self, old: core.Pod | None, new: core.Pod | None) -> set[Key]:
        """A Pod came, changed or went: the keys of what began or ceased to be used by Pods."""
        before, after = named(old), named(new)
        turned: set[Key] = set()
        for key in before - after:
            users = self._pods.get(key, {})
            users.pop(_name(old), None)
            if not users and self._pods.pop(key, None) is not None:
                turned.add(key)
        for key in after - before:
            users = self._pods.setdefault(key, {})
            if not users:
                turned.add(key)
            users[_name(new)] = None
        return turned

    def of(self, key: Key) -> Iterator[str]:
        """Pods that name the object, e.g. ``Pod default/web``."""
        return (f"Pod {name}" for name in self._pods.get(key, _NONE))


def needed(pod: core.Pod) -> core.Pod:
    """What the controller reads of a Pod, and nothing else: there may be tens of thousands."""
    meta = pod.metadata
    notes = {key: meta.annotations[key] for key in _READ if key in meta.annotations}
    kept = ObjectMeta(
        name=meta.name,
        namespace=sys.intern(meta.namespace),
        uid=meta.uid,
        resource_version=meta.resource_version,
        annotations=notes,
        deletion_timestamp=meta.deletion_timestamp,
    )
    spec = core.PodSpec(node_name=sys.intern(pod.spec.node_name))
    return core.Pod(metadata=kept, spec=spec, status=core.PodStatus(phase=sys.intern(pod.status.phase)))


def named(pod: core.Pod | None) -> frozenset[Key]:
    """Keys of what a Pod needs."""
    text = None if pod is None or pod.finished else pod.metadata.annotations.get(names.NETWORKS_ANNOTATION)
    if pod is None or text is None:
        return frozenset()
    return frozenset(_key(pod.metadata.namespace, entry) for entry in networks.check(text)[0])


def _key(namespace: str, entry: networks.Network) -> Key:
    if entry.pod_network_name:
        return multinetwork.PodNetwork, "", entry.pod_network_name
    return multinetwork.PodNetworkAttachment, namespace, entry.pod_network_attachment_name


def _name(pod: core.Pod | None) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}" if pod else ""


def users(key: Key, store: Store, pods: Uses) -> Iterator[str]:
    """Everybody who needs the object, for people."""
    for kind, namespace, name in store.users(key):
        yield f"{kind.__name__} {namespace}/{name}" if namespace else f"{kind.__name__} {name}"
    yield from pods.of(key)
