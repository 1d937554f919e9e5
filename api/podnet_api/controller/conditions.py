"""What the conditions Ready and ParamsReady are, and why (KEP-3698, "Status"). Pure.

The functions return conditions without time and generation; ``merged`` adds these. ParamsReady is set only
where the provider is ours; of other providers' PodNetworks only Ready is computed, from their ParamsReady.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from podnet_api import kni, multinetwork, names, reasons, validation
from podnet_api.faults import Fault
from podnet_api.meta import Condition, condition, is_true

READY, PARAMS_READY = multinetwork.READY, multinetwork.PARAMS_READY

Config = Callable[[str], kni.NetworkConfig | None]
"""Name -> NetworkConfig, None when it does not exist."""
Attachment = Callable[[str, str], kni.AttachmentConfig | None]
"""Name and namespace -> AttachmentConfig, None when it does not exist."""


def of_network(network: multinetwork.PodNetwork, config: Config, overlaps: Sequence[str] = ()) -> list[Condition]:
    """The conditions of a PodNetwork; ``overlaps`` say what its pool shares with others (overlap.of_config)."""
    if network.spec.provider != names.PROVIDER:
        return [_network_ready(network, network.status.conditions)]
    params = _network_params(network, config)
    return [_network_ready(network, [params]), params, *_overlap(overlaps)]


def _overlap(overlaps: Sequence[str]) -> list[Condition]:
    """Pods may attach all the same: whether the networks meet is not for us to know."""
    if not overlaps:
        return []
    message = f"{'; '.join(overlaps)}; {reasons.ADVICE[reasons.POOL_OVERLAP]}"[:8192]
    return [Condition(type=multinetwork.POOL_OVERLAP, status="True", reason=reasons.POOL_OVERLAP, message=message)]


def _network_ready(network: multinetwork.PodNetwork, conditions: Sequence[Condition]) -> Condition:
    if not network.spec.enabled:
        return _no(READY, reasons.ADMINISTRATIVELY_DISABLED, "spec.enabled is false")
    needs_params = network.spec.parameters_refs or network.spec.provider == names.PROVIDER
    if needs_params and not is_true(conditions, PARAMS_READY):
        return _no(READY, reasons.PARAMS_NOT_READY, _why(conditions, network.spec.provider))
    return _yes(READY, "Pods may attach")


def _why(conditions: Sequence[Condition], provider: str) -> str:
    params = condition(conditions, PARAMS_READY)
    if params is None:
        return f"provider {provider} has not set ParamsReady yet"
    return f"ParamsReady is {params.status}: {params.reason}"


def _network_params(network: multinetwork.PodNetwork, config: Config) -> Condition:
    faults = validation.pod_network_faults(network)
    if not network.spec.parameters_refs:
        return _no(PARAMS_READY, reasons.PARAMS_MISSING, _listed(faults))
    if faults:
        return _no(PARAMS_READY, reasons.PARAMS_UNSUPPORTED, _listed(faults))
    name = network.spec.parameters_refs[0].name
    found = config(name)
    if found is None:
        return _no(PARAMS_READY, reasons.PARAMS_NOT_FOUND, f"NetworkConfig {name} does not exist")
    return _params(f"NetworkConfig {name}", validation.network_config_faults(found))


def of_attachment(
    attachment: multinetwork.PodNetworkAttachment,
    network: multinetwork.PodNetwork | None,
    parameters: Attachment,
) -> list[Condition]:
    """The conditions of a PodNetworkAttachment to ``network`` (None: it does not exist)."""
    ours = network is not None and network.spec.provider == names.PROVIDER and attachment.spec.parameters_refs
    params = [_attachment_params(attachment, parameters)] if ours else []
    return [_attachment_ready(attachment, network, params or attachment.status.conditions), *params]


def _attachment_ready(
    attachment: multinetwork.PodNetworkAttachment,
    network: multinetwork.PodNetwork | None,
    conditions: Sequence[Condition],
) -> Condition:
    name = attachment.spec.pod_network_name
    if network is None:
        return _no(READY, reasons.POD_NETWORK_NOT_READY, f"PodNetwork {name} does not exist")
    if not is_true(network.status.conditions, READY):
        return _no(READY, reasons.POD_NETWORK_NOT_READY, f"PodNetwork {name} is not Ready")
    if attachment.spec.parameters_refs and not is_true(conditions, PARAMS_READY):
        return _no(READY, reasons.PARAMS_NOT_READY, _why(conditions, network.spec.provider))
    return _yes(READY, "Pods may attach")


def _attachment_params(attachment: multinetwork.PodNetworkAttachment, parameters: Attachment) -> Condition:
    faults = validation.pod_network_attachment_faults(attachment, names.PROVIDER)
    if faults:
        text = _listed(faults)
        advice = "reference one AttachmentConfig of the same namespace and nothing else"
        return Condition(
            type=PARAMS_READY, status="False", reason=reasons.PARAMS_UNSUPPORTED, message=f"{text}; {advice}"
        )
    name = attachment.spec.parameters_refs[0].name
    found = parameters(name, attachment.metadata.namespace)
    if found is None:
        return _no(PARAMS_READY, reasons.PARAMS_NOT_FOUND, f"AttachmentConfig {name} does not exist")
    return _params(f"AttachmentConfig {name}", validation.attachment_config_faults(found))


def _params(subject: str, faults: Sequence[Fault]) -> Condition:
    if faults:
        return _no(PARAMS_READY, reasons.PARAMS_INVALID, f"{subject}: {_listed(faults)}")
    return _yes(PARAMS_READY, f"{subject} is valid")


def _listed(faults: Iterable[Fault]) -> str:
    return "; ".join(str(fault) for fault in faults)


def _yes(kind: str, message: str) -> Condition:
    return Condition(type=kind, status="True", reason=reasons.READY, message=message)


def _no(kind: str, reason: str, message: str) -> Condition:
    return Condition(type=kind, status="False", reason=reason, message=f"{message}; {reasons.ADVICE[reason]}"[:8192])


def in_use(used: bool) -> Condition:
    """Whether Pods or attachments need the object (KEP-3698, lifecycle InUse). Who they are changes too often to
    be written here; the Event on an object that is deleted in use names some."""
    if used:
        return Condition(type=multinetwork.IN_USE, status="True", reason=reasons.IN_USE, message="needed by others")
    return Condition(type=multinetwork.IN_USE, status="False", reason=reasons.NOT_IN_USE, message="needed by nobody")


def merged(old: Sequence[Condition], wanted: Sequence[Condition], generation: int, now: str) -> list[Condition]:
    """``wanted`` with generation, and the time at which each status last changed."""
    return [_since(condition(old, one.type), one, generation, now) for one in wanted]


def _since(old: Condition | None, one: Condition, generation: int, now: str) -> Condition:
    kept = old is not None and old.status == one.status and old.last_transition_time
    return msgspec.structs.replace(one, observed_generation=generation, last_transition_time=kept or now)


def changed(old: Sequence[Condition], new: Sequence[Condition]) -> list[Condition]:
    """Those of ``new`` that stand otherwise, or not at all, in ``old``."""
    return [one for one in new if condition(old, one.type) != one]


def past(old: Sequence[Condition], new: Sequence[Condition]) -> bool:
    """Whether ``old`` has a condition of ours that is left out when it does not hold."""
    return condition(old, multinetwork.POOL_OVERLAP) is not None and condition(new, multinetwork.POOL_OVERLAP) is None
