"""Antrea's own secondary networks: NADs of type antrea, the IPPools that they name, Pods on them. Pure.

Antrea's agent attaches them by itself, without a CNI call and without Multus, so there is no plugin to go on with:
they become native. ``networks`` makes them, ``pools`` reads IPPools and the agent's configuration (a ConfigMap, which
is only read), ``pods`` lists.
"""

from podnet_compat import names
from podnet_compat.systems import npwg
from podnet_compat.systems.antrea import networks, pods, pools
from podnet_compat.systems.registry import CONFIG_MAPS, Kind, System, nads

SYSTEM = System(
    "antrea",
    adds=True,
    kinds=(
        nads(networks.translate, networks.is_ours),
        Kind(
            pools.GROUP,
            "IPPool",
            networks.pool,
            namespaced=False,
            plural="ippools",
            versions=("v1beta1", "v1alpha2"),
            stays=True,
        ),
        CONFIG_MAPS,
    ),
    pods=pods.translate,
    carries=(names.NETWORKS,),
    claims=npwg.claims(networks.is_ours),
)

__all__ = ["SYSTEM"]
