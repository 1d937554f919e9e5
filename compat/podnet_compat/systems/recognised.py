"""Systems of which podnet knows the keys and the kinds, and that it does not translate: it says so. Pure.

Their Pods go on to whatever else they carry, as most of them ride on the NPWG annotation. Not so Galaxy's: the same
annotation has another meaning there, its list takes the place of the default network; so its Pods are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from podnet_api.errors import InvalidError
from podnet_api.faults import Fault, FaultType

from podnet_compat import legacy, names
from podnet_compat.systems import npwg
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.registry import Kind, System

GALAXY = "k8s.v1.cni.galaxy.io/"


@dataclass(frozen=True)
class Known:
    """One system: annotations by their beginnings, kinds by group (and all below it) and kind ("" for every one), and
    plugins of NADs."""

    name: str
    keys: tuple[str, ...] = ()
    kinds: tuple[tuple[str, str], ...] = ()
    plugins: tuple[str, ...] = ()
    why: str = ""


KNOWN = (
    Known("Nodus (ovn4nfv)", ("k8s.plugin.opnfv.org/",), (("k8s.plugin.opnfv.org", "Network"),
          ("k8s.plugin.opnfv.org", "ProviderNetwork"), ("k8s.plugin.opnfv.org", "NetworkChaining"))),
    Known("TKE", ("tke.cloud.tencent.com/",), (), ("tke-route-eni", "tke-direct-eni"),
          "its interfaces are those of Tencent Cloud"),
    Known("L2S-M", ("l2sm/",), (("l2sm.l2sm.k8s.local", "L2Network"), ("l2sm.l2sm.k8s.local", "NetworkEdgeDevice"),
          ("l2sm.l2sm.k8s.local", "Overlay"))),
    Known("CoreWeave VPC", ("vpc.coreweave.cloud/",), (), (),
          "its VPCs are CoreWeave's, and kubernetes-networking: \"false\" there takes the default network away"),
    Known("Huawei CCE", ("yangtse.io/", "yangtse-io/"), (("crd.yangtse.cni", "EIPPool"),),
          ("eni-neutron", "vpc-router"), "there the NetworkAttachmentDefinition selects Pods, not the other way"),
    Known("multi-nic-cni", (), (("multinic.fms.io", "MultiNicNetwork"),), ("multi-nic",)),
    Known("NVIDIA DPF", ("svc.dpu.nvidia.com/", "dpu.nvidia.com/"), (("svc.dpu.nvidia.com", "DPUServiceInterface"),
          ("svc.dpu.nvidia.com", "DPUServiceChain"), ("svc.dpu.nvidia.com", "DPUServiceNAD"),
          ("svc.dpu.nvidia.com", "ServiceInterface"), ("svc.dpu.nvidia.com", "ServiceChain"))),
    Known("Spiderpool", ("ipam.spidernet.io/", "cni.spidernet.io/"), (("spiderpool.spidernet.io", "SpiderMultusConfig"),
          ("spiderpool.spidernet.io", "SpiderIPPool"), ("spiderpool.spidernet.io", "SpiderSubnet"),
          ("spiderpool.spidernet.io", "SpiderCoordinator")), (),
          "its IPAM plugin reads it from the Pod, where a network is attached by CNI plugins"),
    Known("JCNR", ("jcnr.juniper.net/", "net.juniper.net/"), (), ("jcnr",)),
)  # fmt: skip
"""More found in use (field notes)."""


def _said(known: Known) -> str:
    because = f": {known.why}" if known.why else ""
    return f"belongs to {known.name}, which is recognised and not translated{because}"


def _matching(known: Known, pod: Source) -> list[str]:
    return [key for key in sorted(pod.annotations) if key.startswith(known.keys)] if known.keys else []


def _claims(pod: Source, _: Objects) -> bool:
    return any(_matching(known, pod) for known in KNOWN)


def _pod(pod: Source, _: Objects) -> Made:
    """A warning for each key."""
    found = [(key, _said(known)) for known in KNOWN for key in _matching(known, pod)]
    return Made(warnings=tuple(f"metadata.annotations[{key}]: {said}" for key, said in found))


def _object(known: Known) -> Callable[[Source, Objects], Made]:
    return lambda origin, _: Made(warnings=(f"spec: {_said(known)}",))


def _nad(origin: Source, _: Objects) -> Made:
    known = next(one for one in KNOWN if npwg.plugin(origin) in one.plugins)
    return Made(warnings=(f"{npwg.CONFIG}.type: {_said(known)}",))


def _is_recognised(origin: Source, _: Objects) -> bool:
    return any(npwg.plugin(origin) in known.plugins for known in KNOWN)


def _is_galaxy(pod: Source, objects: Objects) -> bool:
    """By its own annotations, or by names of its networks that are no NADs."""
    if any(key.startswith(GALAXY) for key in pod.annotations):
        return True
    listed = [item.strip() for item in pod.annotations.get(names.NETWORKS, "").split(",")]
    return bool(listed[0]) and all(
        item.startswith("galaxy-") and npwg.find(objects, pod.namespace, item) is None for item in listed
    )


def _galaxy(pod: Source, _: Objects) -> Made:
    found = [key for key in sorted(pod.annotations) if key.startswith(GALAXY)]
    message = "belongs to Galaxy, where the list takes the place of the default network: it is not translated"
    listed = [key for key in (names.NETWORKS, *found) if key in pod.annotations]
    faults = [
        Fault(f"metadata.annotations[{key}]", FaultType.NOT_SUPPORTED, message, pod.annotations[key]) for key in listed
    ]
    raise InvalidError(pod.subject, faults)


GALAXY_SYSTEM = System("galaxy", adds=False, pods=_galaxy, claims=_is_galaxy)
SYSTEM = System(
    "recognised",
    adds=True,
    kinds=(
        *(Kind(group, kind, _object(known), stays=True) for known in KNOWN for group, kind in known.kinds),
        Kind(legacy.GROUP, legacy.KIND, _nad, applies=_is_recognised, stays=True),
    ),
    pods=_pod,
    claims=_claims,
)
