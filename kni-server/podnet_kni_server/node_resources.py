"""How many attachments of each network this node has, as resources in its status. Pure, but for ``Writer``.

Only of networks that nodes count alone (``podnet_api.capacity``). The kubelet checks running Pods again when it starts,
so a number never falls below what the Pods of the node ask for: where a network is not ready, or is no longer counted
like this, just so many are left and kube-scheduler finds no room for another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from podnet_api import capacity, core, kni, names
from podnet_api.kube import Client

from podnet_kni_server import hostports

Config = Callable[[str], kni.NetworkConfig | None]
_DIGITS = 18
"""Of a quantity below 2**63."""


def asked(pods: Iterable[hostports.Pod]) -> Counter[str]:
    """How much the Pods of this node ask for of each such resource, as kube-scheduler and kubelet add it up."""
    found: Counter[str] = Counter()
    for pod in pods:
        found.update(of_pod(pod))
    return found


def of_pod(pod: hostports.Pod | None) -> Counter[str]:
    """What one Pod asks for, in all its containers. The webhook writes whole numbers."""
    found: Counter[str] = Counter()
    for container in () if pod is None or pod.finished else pod.spec.containers:
        for key, count in container.resources.requests.items():
            if key.startswith(names.ATTACHMENTS_PREFIX) and _whole(count):
                found[key] += int(count)
    return found


def _whole(count: str | int) -> bool:
    return isinstance(count, int) or (count.isdecimal() and len(count) <= _DIGITS)


def wanted(
    entries: Iterable[kni.NodeNetworkEntry], config_of: Config, asked: Mapping[str, int] | None = None
) -> dict[str, str]:
    """Resources and quantities. PodNetworks on one NetworkConfig share its attachments."""
    found = dict(asked or {})
    for entry in entries:
        config = config_of(entry.config)
        if entry.ready and config is not None and capacity.by_node(config):
            count = max(capacity.on_node(config, entry.attachments.capacity), entry.attachments.used)
            found[names.attachments_resource(entry.config)] = count
    return {name: capacity.quantity(count) for name, count in found.items()}


def changes(allocatable: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str | None]:
    """The merge patch of both capacity and allocatable: the kubelet makes the second from the first, but slowly."""
    stale = [key for key in allocatable if key.startswith(names.ATTACHMENTS_PREFIX) and key not in wanted]
    changed: dict[str, str | None] = {key: count for key, count in wanted.items() if allocatable.get(key) != count}
    return changed | dict.fromkeys(stale)


def ours(node: core.Node) -> dict[str, str]:
    """What stands in the node's status now."""
    found = node.status.allocatable.items()
    return {key: count for key, count in found if key.startswith(names.ATTACHMENTS_PREFIX)}


class Writer:
    """Writes what differs. RBAC: patch of nodes/status."""

    def __init__(self, client: Client, config_of: Config) -> None:
        self._client = client
        self._config_of = config_of

    async def write(
        self, node: core.Node | None, entries: Iterable[kni.NodeNetworkEntry], pods: Iterable[hostports.Pod]
    ) -> None:
        """Bring ``node`` up to ``entries`` and to what its ``pods`` ask for. Raises KubeError."""
        patch = changes(node.status.allocatable, wanted(entries, self._config_of, asked(pods))) if node else {}
        if node is not None and patch:
            body = {"status": {"capacity": patch, "allocatable": patch}}
            await self._client.merge(core.Node.resource, node.metadata.name, body, subresource="status")
