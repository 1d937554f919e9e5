"""OVN-Kubernetes: UserDefinedNetworks, and NetworkAttachmentDefinitions of type ovn-k8s-cni-overlay. Pure.

Its logical switches are its own control plane's: no NetworkConfig says them. But it attaches secondary networks by a
CNI plugin that any runtime can call, as long as the Pod's NPWG annotation stays, from which it learns what to prepare.
So such a network becomes datapath ``cni`` with the configuration that OVN-Kubernetes renders. Primary networks are
attached by the cluster's own CNI together with the network ``default``: there is nothing to make for them.

``identity`` names networks, ``udn`` renders, ``pods`` lists.
"""

from podnet_compat.systems.ovnk import pods, udn
from podnet_compat.systems.ovnk.identity import GROUP, is_ours, network_of
from podnet_compat.systems.registry import NAMESPACES, Kind, System, nads

SYSTEM = System(
    "ovn-kubernetes",
    adds=True,
    kinds=(
        Kind(GROUP, "UserDefinedNetwork", udn.of_namespace, plural="userdefinednetworks", stays=True),
        Kind(
            GROUP,
            "ClusterUserDefinedNetwork",
            udn.of_cluster,
            namespaced=False,
            plural="clusteruserdefinednetworks",
            stays=True,
        ),
        nads(pods.nad, is_ours, stays=True),
        NAMESPACES,
    ),
    pods=pods.translate,
    claims=pods.claims,
    stays=True,
    reads=is_ours,
)

__all__ = ["SYSTEM", "is_ours", "network_of"]
