"""Capacity: which networks each node can count by itself, so that their Pods need no call of the extender. Pure.

The KNI server publishes how many attachments of such a NetworkConfig its node carries as a resource of the node
(``names.attachments_resource``); the webhook makes Pods ask for it; NodeResourcesFit of kube-scheduler counts,
and the kubelet counts again.
"""

from __future__ import annotations

from podnet_api import kni, pools

_NODES = 16_384
"""More nodes than a cluster has: Kubernetes is tested with 5,000."""
_ATTACHMENTS = 4096
"""The most that a node carries of a network whose configuration says nothing."""


def by_node(config: kni.NetworkConfig) -> bool:
    """Whether a node with an attachment left can take another Pod, whatever the other nodes do: there are no
    addresses, or each node has its own, or there are so many that attachments run out first on every node.

    What is sticky is the extender's to decide, and so are devices, which several networks may draw upon. Of a
    pool that cannot be read nothing can be said.
    """
    if config.spec.sriov is not None or config.spec.host_device is not None:
        return False
    try:
        pool = pools.pool_of(config)
    except ValueError:
        return False
    if pool is None or pool.per_node:
        return True
    return not pool.sticky and all(_plenty(config, pool, version) for version in pool.versions)


def _plenty(config: kni.NetworkConfig, pool: pools.Pool, version: int) -> bool:
    """At worst each attachment of each node lies in a block of its own."""
    limit = config.spec.capacity.attachments if config.spec.capacity else None
    ranges = pool.of(version)
    block = max(1 << (one.network.max_prefixlen - one.block) for one in ranges)
    most = _NODES * (_ATTACHMENTS if limit is None else limit) * block
    return sum(one.usable(one.network) for one in ranges) >= most


def on_node(config: kni.NetworkConfig, attachments: int) -> int:
    """How many Pods a node can attach that carries ``attachments``: where each node has its own addresses, they
    may run out first."""
    pool = pools.pool_of(config)
    totals = [pool.total(version) for version in pool.versions] if pool and pool.per_node else []
    return min([attachments, *totals])


def quantity(number: int) -> str:
    """``number`` as the API server writes it (resource.Quantity, DecimalSI): 2000 is ``2k``."""
    for suffix in ("", "k", "M"):
        if number % 1000 or not number:
            return f"{number}{suffix}"
        number //= 1000
    return f"{number}G"
