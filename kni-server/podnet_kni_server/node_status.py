"""Which networks this node has, and how they stand: the entries of its NodeNetwork and its labels.

Pure. ``node`` feeds it from caches and the kernel, and writes what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from podnet_api import core, kni, multinetwork, names, pools, reasons
from podnet_api.meta import condition, is_true

from podnet_kni_server import kinds
from podnet_kni_server.datapath.model import NodeLinkState

Free = Callable[[pools.Pool, int], int]
Used = Callable[[str], int]
Numa = Callable[[str], list[int]]
"""Interface -> NUMA nodes of its device."""


def selects(config: kni.NetworkConfig, labels: Mapping[str, str]) -> bool:
    """Whether a node with ``labels`` carries the network of ``config``."""
    selector = config.spec.node_selector
    if selector is None:
        return True
    exact = all(labels.get(key) == value for key, value in selector.match_labels.items())
    return exact and all(_holds(requirement, labels) for requirement in selector.match_expressions)


def _holds(requirement: kni.NodeRequirement, labels: Mapping[str, str]) -> bool:
    """Semantics of metav1.LabelSelectorRequirement: NotIn holds where the label is absent."""
    present = requirement.key in labels
    match requirement.operator:
        case "In":
            return labels.get(requirement.key) in requirement.values if present else False
        case "NotIn":
            return labels.get(requirement.key) not in requirement.values
        case "Exists":
            return present
        case _:
            return not present


def entry(
    network: multinetwork.PodNetwork,
    config: kni.NetworkConfig,
    state: NodeLinkState | None,
    used: Used,
    free: Free,
    numa: Numa = lambda _: [],
) -> kni.NodeNetworkEntry:
    """How ``network`` stands on this node."""
    reason, message = _readiness(network, config, state)
    pool = _pool(config)
    name = config.metadata.name
    uplink = config.spec.uplink.interface if config.spec.uplink else ""
    return kni.NodeNetworkEntry(
        name=network.metadata.name,
        config=name,
        ready=reason == reasons.READY,
        reason=reason,
        message=message[:1024],
        uplink=uplink,
        attachments=_attachments(config, state, used(name)),
        addresses=kni.AddressCount(free4=free(pool, 4) if pool else 0, free6=free(pool, 6) if pool else 0),
        numa_nodes=numa(uplink),
    )


def _readiness(
    network: multinetwork.PodNetwork, config: kni.NetworkConfig, state: NodeLinkState | None
) -> tuple[str, str]:
    """The first thing that stands in the way, as (reason, message)."""
    if not network.spec.enabled:
        return reasons.NETWORK_DISABLED, f"PodNetwork {network.metadata.name} is disabled"
    if kinds.of_config(config) is None:
        text = f"this KNI server has no datapath {kinds.datapath_of(config)}"
        return reasons.DATAPATH_UNSUPPORTED, text
    if state is not None and not state.ready:
        return state.reason, state.message
    if state is None:
        return reasons.SETUP_FAILED, "the network is not set up on this node yet"
    if not is_true(network.status.conditions, multinetwork.READY):
        found = condition(network.status.conditions, multinetwork.READY)
        text = found.message if found else f"PodNetwork {network.metadata.name} has no condition Ready yet"
        return reasons.NETWORK_NOT_READY, text
    return reasons.READY, ""


def _pool(config: kni.NetworkConfig) -> pools.Pool | None:
    try:
        return pools.pool_of(config)
    except ValueError:
        return None  # the controller says so in ParamsReady


def capacity(config: kni.NetworkConfig) -> int:
    """Most attachments on one node."""
    limit = config.spec.capacity.attachments if config.spec.capacity else None
    kind = kinds.of_config(config)
    most = kind.capacity(config) if kind else 0
    return most if limit is None else min(limit, most)


def _attachments(config: kni.NetworkConfig, state: NodeLinkState | None, used: int) -> kni.AttachmentCount:
    """What the node has only so many of (devices, virtual functions), other networks may take away."""
    free = state.free if state else None
    most = capacity(config)
    return kni.AttachmentCount(capacity=most if free is None else min(most, used + free), used=used)


def status(entries: Sequence[kni.NodeNetworkEntry]) -> kni.NodeNetworkStatus:
    """The status of the NodeNetwork; its summary is what ``kubectl get`` shows."""
    ready = sum(1 for one in entries if one.ready)
    return kni.NodeNetworkStatus(networks=list(entries), summary=f"{ready} of {len(entries)} ready")


def label_changes(
    labels: Mapping[str, str], entries: Iterable[kni.NodeNetworkEntry], in_use: Iterable[str]
) -> dict[str, str | None]:
    """The merge patch that makes the node's labels say which networks it carries and which of them are ready;
    None takes a label away. ``in_use`` are networks that Pods of this node are attached to: their label stays,
    because the kubelet ends Pods whose node affinity no longer holds when it restarts."""
    wanted = {names.node_label(network): names.NODE_LABEL_NOT_READY for network in in_use}
    for one in entries:
        wanted[names.node_label(one.name)] = names.NODE_LABEL_VALUE if one.ready else names.NODE_LABEL_NOT_READY
    stale = [k for k in labels if k.startswith(names.NODE_LABEL_PREFIX) and k not in wanted]
    changes: dict[str, str | None] = {k: v for k, v in wanted.items() if labels.get(k) != v}
    return changes | dict.fromkeys(stale)


def without_taint(node: core.Node) -> list[core.Taint]:
    """The node's taints but for ours."""
    return [taint for taint in node.spec.taints if taint.key != names.NOT_READY_TAINT]
