"""PodNetwork and PodNetworkAttachment: whom they name as their parameters. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from podnet_api import multinetwork, names
from podnet_api.faults import Fault, FaultType
from podnet_api.meta import ParametersRef


def pod_network_faults(network: multinetwork.PodNetwork) -> list[Fault]:
    """Faults of a PodNetwork; parameters are looked at only where the provider is ours."""
    path, refs = "spec.parametersRefs", network.spec.parameters_refs
    if network.spec.provider == names.CLUSTER_PROVIDER and network.metadata.name != names.DEFAULT_NETWORK:
        message = f"only the PodNetwork {names.DEFAULT_NETWORK} is served by the cluster's own CNI"
        return [Fault("spec.provider", FaultType.INVALID, message, network.spec.provider)]
    if network.spec.provider != names.PROVIDER:
        return _repeated_refs(path, refs)
    if not refs:
        return [Fault(path, FaultType.REQUIRED, f"provider {names.PROVIDER} needs one NetworkConfig")]
    return _single(path, refs) + _reference_faults(f"{path}[0]", refs[0], "NetworkConfig", "")


def pod_network_attachment_faults(
    attachment: multinetwork.PodNetworkAttachment, provider: str | None = None
) -> list[Fault]:
    """Faults of a PodNetworkAttachment. ``provider`` is that of its PodNetwork, None while that is unknown:
    then only references that name our group are looked at."""
    path, refs = "spec.parametersRefs", attachment.spec.parameters_refs
    ours = provider == names.PROVIDER or (provider is None and any(r.group == names.KNI_GROUP for r in refs))
    if not ours or not refs:
        return _repeated_refs(path, refs)
    return _single(path, refs) + _reference_faults(
        f"{path}[0]", refs[0], "AttachmentConfig", attachment.metadata.namespace
    )


def _repeated_refs(path: str, refs: Sequence[ParametersRef]) -> list[Fault]:
    again = [i for i, ref in enumerate(refs) if ref in refs[:i]]
    return [Fault(f"{path}[{i}]", FaultType.DUPLICATE, "", f"{refs[i].kind} {refs[i].name}") for i in again]


def _single(path: str, refs: Sequence[ParametersRef]) -> list[Fault]:
    message = f"provider {names.PROVIDER} takes exactly one reference"
    return [Fault(f"{path}[1]", FaultType.FORBIDDEN, message)] if len(refs) > 1 else []


def _reference_faults(path: str, ref: ParametersRef, kind: str, namespace: str) -> list[Fault]:
    """``namespace`` is where the referring object lives: parameters of other namespaces stay theirs."""
    faults = []
    if ref.group != names.KNI_GROUP:
        faults.append(Fault(f"{path}.group", FaultType.NOT_SUPPORTED, f"must be {names.KNI_GROUP}", ref.group))
    if ref.kind != kind:
        faults.append(Fault(f"{path}.kind", FaultType.NOT_SUPPORTED, f"must be {kind}", ref.kind))
    if ref.namespace and ref.namespace != namespace:
        message = "must be the namespace of this object, or absent" if namespace else f"{kind} has no namespace"
        faults.append(Fault(f"{path}.namespace", FaultType.FORBIDDEN, message))
    return faults
