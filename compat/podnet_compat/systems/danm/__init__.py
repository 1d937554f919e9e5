"""DANM (nokia/danm): DanmNet, TenantNetwork, ClusterNetwork, TenantConfig, its Services, ``danm.io/interfaces``.

Pure. It takes the place of the cluster's default network: the first entry of a Pod's list has eth0.
"""

from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.danm import keys, network, pods, services, tenants
from podnet_compat.systems.registry import CONFIG_MAPS, Kind, System


def _claims(pod: Source, objects: Objects) -> bool:
    """By annotation; without one where there is a network ``default``, unless another system's key is there."""
    if pods.key_of(pod):
        return True
    return not any(key.rpartition("/")[2] in {"networks", "cni"} for key in pod.annotations) and pods.has_default(
        pod, objects
    )


def _state(_: Source, __: Objects) -> Made:
    """A DanmEp is one interface of a running Pod: it is remade when the Pod is."""
    return Made(warnings=("spec: is the state of a running Pod, which gets new addresses when it is made again",))


def _kinds(group: str) -> tuple[Kind, ...]:
    return (
        Kind(group, keys.DANM_NET, network.translate, plural="danmnets"),
        Kind(group, keys.TENANT_NETWORK, network.translate, plural="tenantnetworks"),
        Kind(group, keys.CLUSTER_NETWORK, network.translate, namespaced=False, plural="clusternetworks"),
        Kind(group, keys.TENANT_CONFIG, tenants.translate, namespaced=False, plural="tenantconfigs"),
        Kind(group, keys.DANM_EP, _state),
    )


SYSTEM = System(
    keys.NAME,
    adds=False,
    keys=keys.INTERFACES,
    kinds=(
        *(kind for group in keys.GROUPS for kind in _kinds(group)),
        Kind("", "Service", services.translate, applies=services.is_one, stays=True),
        CONFIG_MAPS,
    ),
    pods=pods.translate,
    claims=_claims,
)
