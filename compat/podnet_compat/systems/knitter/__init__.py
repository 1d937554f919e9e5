"""Knitter (ZTE/Knitter): the annotation ``networks`` with ports, and the networks of its REST interface.

Pure. It takes the place of the cluster's default network.
"""

from podnet_compat import bare
from podnet_compat.systems.knitter import networks, pods
from podnet_compat.systems.registry import Kind, System

SYSTEM = System(
    networks.NAME,
    adds=False,
    keys=(bare.KEY,),
    kinds=(
        Kind(networks.GROUP, networks.OWN, networks.translate),
        Kind(networks.GROUP, networks.PUBLIC, networks.translate, namespaced=False),
    ),
    pods=pods.translate,
    claims=pods.is_knitters,
    adopt=networks.adopt,
)
