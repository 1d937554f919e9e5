"""CNI-Genie (cni-genie/CNI-Genie): the annotations ``cni`` and ``networks``, Logicalnetwork and Physicalnetwork, and
its status ``multi-ip-preferences``.

Pure. It takes the place of the cluster's default network.
"""

from podnet_compat import bare
from podnet_compat.systems.genie import networks, pods
from podnet_compat.systems.registry import Kind, System

SYSTEM = System(
    networks.NAME,
    adds=False,
    keys=(bare.CNI, bare.KEY),
    kinds=tuple(
        Kind(networks.GROUP, kind, networks.translate, plural="logicalnetworks")
        if kind.lower() == networks.LOGICAL.lower()
        else Kind(networks.GROUP, kind, networks.translate_physical, plural="physicalnetworks")
        for kind in networks.KINDS
    ),
    pods=pods.translate,
    claims=pods.is_genies,
)
