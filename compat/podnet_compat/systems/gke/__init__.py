"""GKE multi-network, the nearest to KEP-3698: Network, NetworkInterface, GKENetworkParamSet and the Pod's keys. Pure.

Format: GoogleCloudPlatform/gke-networking-api, apis/network/v1. ``objects`` makes networks and attachments, ``pods``
lists.
"""

from podnet_compat.systems.gke import objects, pods
from podnet_compat.systems.gke.keys import GROUP, POD_KEYS
from podnet_compat.systems.registry import Kind, System

SYSTEM = System(
    "gke",
    adds=True,
    keys=POD_KEYS,
    kinds=(
        Kind(GROUP, "Network", objects.network, namespaced=False, plural="networks"),
        Kind(GROUP, "NetworkInterface", objects.interface, plural="networkinterfaces"),
        Kind(GROUP, "GKENetworkParamSet", objects.parameters, namespaced=False, plural="gkenetworkparamsets"),
    ),
    pods=pods.translate,
)

__all__ = ["SYSTEM"]
