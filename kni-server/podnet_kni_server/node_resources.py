"""How many attachments of each network this node has, as extended resources in its status. Pure, but for ``Writer``.

Only of networks that nodes count alone (``podnet_api.capacity``). A network that is not ready has no resource: then
kube-scheduler finds none here, while the kubelet, which checks running Pods again when it starts, passes over
resources that a node does not have. For the same reason a number never falls below what is in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from podnet_api import capacity, core, kni, names
from podnet_api.kube import Client

Config = Callable[[str], kni.NetworkConfig | None]


def wanted(entries: Iterable[kni.NodeNetworkEntry], config_of: Config) -> dict[str, str]:
    """Resources and quantities. PodNetworks on one NetworkConfig share its attachments."""
    found: dict[str, str] = {}
    for entry in entries:
        config = config_of(entry.config)
        if entry.ready and config is not None and capacity.by_node(config):
            count = max(capacity.on_node(config, entry.attachments.capacity), entry.attachments.used)
            found[names.attachments_resource(entry.config)] = capacity.quantity(count)
    return found


def changes(allocatable: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str | None]:
    """The merge patch of both capacity and allocatable: the kubelet makes the second from the first, but slowly."""
    stale = [key for key in allocatable if key.startswith(names.ATTACHMENTS_PREFIX) and key not in wanted]
    changed: dict[str, str | None] = {key: count for key, count in wanted.items() if allocatable.get(key) != count}
    return changed | dict.fromkeys(stale)


def ours(node: core.Node) -> dict[str, str]:
    """What stands in the node's status now; a kubelet that finds its node made anew sets such numbers to 0."""
    found = node.status.allocatable.items()
    return {key: count for key, count in found if key.startswith(names.ATTACHMENTS_PREFIX)}


class Writer:
    """Writes what differs. RBAC: patch of nodes/status."""

    def __init__(self, client: Client, config_of: Config) -> None:
        self._client = client
        self._config_of = config_of

    async def write(self, node: core.Node | None, entries: Iterable[kni.NodeNetworkEntry]) -> None:
        """Bring ``node`` up to ``entries``. Raises KubeError."""
        patch = changes(node.status.allocatable, wanted(entries, self._config_of)) if node else {}
        if node is not None and patch:
            body = {"status": {"capacity": patch, "allocatable": patch}}
            await self._client.merge(core.Node.resource, node.metadata.name, body, subresource="status")
