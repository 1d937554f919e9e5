"""PodNetwork and PodNetworkAttachment, as KEP-3698 has them, in group multinetwork.x-k8s.io.

They are handles: no implementation detail stands here (KEP-3698, requirements 2 to 7).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from podnet_api import names
from podnet_api.meta import Column, Condition, Model, Name, ObjectMeta, ParametersRef, Resource, Rule

READY = "Ready"
PARAMS_READY = "ParamsReady"
IN_USE = "InUse"
"""Whether Pods or attachments need the object: it cannot be deleted while they do."""
POOL_OVERLAP = "PoolOverlap"
"""Set by our provider while another pool of the same address space gives the same addresses."""


class PodNetworkSpec(Model, frozen=True, kw_only=True):
    """What a PodNetwork is. Immutable but for ``enabled``."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.provider == oldSelf.provider", "provider is immutable: create another PodNetwork",
             "FieldValueForbidden", ".provider"),
        Rule("has(self.parametersRefs) == has(oldSelf.parametersRefs) && "
             "(!has(self.parametersRefs) || self.parametersRefs == oldSelf.parametersRefs)",
             "parametersRefs is immutable: create another PodNetwork", "FieldValueForbidden",
             ".parametersRefs"),
    )  # fmt: skip

    enabled: bool = True
    """Whether Pods may attach. Setting it to false leaves running Pods attached, sets Ready to False
    with reason AdministrativelyDisabled and keeps new Pods Pending. May be changed at any time."""
    provider: Annotated[
        str,
        Meta(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[A-Za-z0-9._~/-]+)?$"),
    ]
    """Which implementation serves this network, as a domain-prefixed path, e.g. ``example.com/fabric``.
    Implementations MUST ignore PodNetworks whose provider is not theirs."""
    parameters_refs: Annotated[list[ParametersRef], Meta(max_length=16)] = []
    """Objects with the implementation's own parameters. The provider reports on all of them together by
    the condition ParamsReady."""


class PodNetworkStatus(Model, frozen=True, kw_only=True):
    """What is known of a PodNetwork."""

    conditions: Annotated[list[Condition], Meta(max_length=5)] = []
    """Ready: Pods may attach. ParamsReady: the provider has accepted parametersRefs. InUse: Pods or attachments
    need it. The other places are the provider's own."""


class PodNetwork(Model, frozen=True, kw_only=True):
    """PodNetwork is the handle of one network that Pods of any namespace can attach to.

    A Pod names it in its list of networks. It holds no implementation detail (KEP-3698).
    """

    resource: ClassVar[Resource] = Resource(
        "PodNetwork",
        "podnetworks",
        names.GROUP,
        names.VERSION,
        False,
        ("pn",),
        (
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Provider", ".spec.provider"),
            Column("InUse", '.status.conditions[?(@.type=="InUse")].status'),
            Column("Enabled", ".spec.enabled", "boolean", 1),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
        ),
        (".spec.provider",),
    )
    metadata: ObjectMeta
    spec: PodNetworkSpec
    """What this network is."""
    status: PodNetworkStatus = PodNetworkStatus()
    """What is known of it."""


class PodNetworkAttachmentSpec(Model, frozen=True, kw_only=True):
    """How to attach to one PodNetwork. Immutable."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self == oldSelf", "spec is immutable: create another PodNetworkAttachment", "FieldValueForbidden"),
    )

    pod_network_name: Name
    """Name of the PodNetwork. It need not exist yet."""
    parameters_refs: Annotated[list[ParametersRef], Meta(max_length=16)] = []
    """Objects with the implementation's own parameters of this attachment."""


class PodNetworkAttachmentStatus(Model, frozen=True, kw_only=True):
    """What is known of a PodNetworkAttachment."""

    conditions: Annotated[list[Condition], Meta(max_length=5)] = []
    """Ready (reasons ParamsNotReady, PodNetworkNotReady), ParamsReady, and InUse: Pods need it."""


class PodNetworkAttachment(Model, frozen=True, kw_only=True):
    """PodNetworkAttachment says how Pods of its namespace attach to one PodNetwork.

    A Pod names it in its list of networks instead of the PodNetwork when it needs parameters of its own.
    """

    resource: ClassVar[Resource] = Resource(
        "PodNetworkAttachment",
        "podnetworkattachments",
        names.GROUP,
        names.VERSION,
        True,
        ("pna",),
        (
            Column("Network", ".spec.podNetworkName"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("InUse", '.status.conditions[?(@.type=="InUse")].status'),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
        ),
        (".spec.podNetworkName",),
    )
    metadata: ObjectMeta
    spec: PodNetworkAttachmentSpec
    """How to attach."""
    status: PodNetworkAttachmentStatus = PodNetworkAttachmentStatus()
    """What is known of it."""
