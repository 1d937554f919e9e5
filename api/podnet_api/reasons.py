"""One vocabulary of reasons, for conditions, Events and NodeNetwork; each says what to do.

Programs compare the words, so they never change; people read the sentences.
"""

from __future__ import annotations

# Conditions Ready and ParamsReady of PodNetwork and PodNetworkAttachment (KEP-3698).
READY = "Ready"
PARAMS_NOT_READY = "ParamsNotReady"
ADMINISTRATIVELY_DISABLED = "AdministrativelyDisabled"
POD_NETWORK_NOT_READY = "PodNetworkNotReady"
PARAMS_MISSING = "ParamsMissing"
PARAMS_NOT_FOUND = "ParamsNotFound"
PARAMS_UNSUPPORTED = "ParamsUnsupported"
PARAMS_INVALID = "ParamsInvalid"
IN_USE = "InUse"
NOT_IN_USE = "NotInUse"
POOL_OVERLAP = "PoolOverlap"

# NodeNetwork entries.
UPLINK_MISSING = "UplinkMissing"
UPLINK_DOWN = "UplinkDown"
KERNEL_LACKS = "KernelLacks"
DATAPATH_UNSUPPORTED = "DatapathUnsupported"
SETUP_FAILED = "SetupFailed"
NETWORK_NOT_READY = "NetworkNotReady"
RUNTIME_HOOK_LOST = "RuntimeHookLost"

# The Pod condition NetworksReady and the Events of a Pod.
NETWORKS_ATTACHED = "NetworksAttached"
ATTACH_FAILED = "AttachFailed"
NETWORK_NOT_FOUND = "NetworkNotFound"
NETWORK_DISABLED = "NetworkDisabled"
ATTACHMENT_NOT_FOUND = "AttachmentNotFound"
DUPLICATE_NETWORK = "DuplicateNetwork"
INVALID_NETWORKS = "InvalidNetworks"
NO_NODE_WITH_NETWORKS = "NoNodeWithNetworks"
NO_ADDRESSES_LEFT = "NoAddressesLeft"
NO_ATTACHMENTS_LEFT = "NoAttachmentsLeft"

# Events of running Pods.
NETWORKS_CHANGED = "NetworksChanged"
NETWORK_CHANGE_FAILED = "NetworkChangeFailed"
NETWORK_REPAIRED = "NetworkRepaired"
NETWORK_DAMAGED = "NetworkDamaged"
CAPABILITY_NOT_DECLARED = "CapabilityNotDeclared"
DNS_LEFT_OUT = "DNSLeftOut"
HOST_PORT_TAKEN = "HostPortTaken"

# Events in the words of Multus, of Pods whose networks were made from NetworkAttachmentDefinitions.
ADDED_INTERFACE = "AddedInterface"
NO_NETWORK_FOUND = "NoNetworkFound"

ADVICE: dict[str, str] = {
    PARAMS_NOT_READY: "look at the condition ParamsReady of the same object",
    ADMINISTRATIVELY_DISABLED: "set spec.enabled to true",
    POD_NETWORK_NOT_READY: "look at the condition Ready of the PodNetwork",
    PARAMS_MISSING: "set spec.parametersRefs to one NetworkConfig",
    PARAMS_NOT_FOUND: "create the object that spec.parametersRefs names",
    PARAMS_UNSUPPORTED: "reference one NetworkConfig (group kni.multinetwork.x-k8s.io) and nothing else",
    PARAMS_INVALID: "correct the object that spec.parametersRefs names",
    POOL_OVERLAP: "give one of them another range, or its own ipam.space if the networks never meet",
    IN_USE: "to delete it, delete the Pods and attachments that name it",
    UPLINK_MISSING: "create the interface on the node, or narrow nodeSelector",
    UPLINK_DOWN: "set the interface up or check its cable",
    KERNEL_LACKS: "load the kernel module on the node, or narrow nodeSelector",
    DATAPATH_UNSUPPORTED: "use a datapath that this version of the KNI server has",
    SETUP_FAILED: "read the KNI server's log on the node; it tries again",
    NETWORK_NOT_READY: "look at the conditions of the PodNetwork",
    RUNTIME_HOOK_LOST: "look at the KNI server and the container runtime of the node; it connects again by itself",
    ATTACH_FAILED: "read the message; the kubelet tries again",
    NETWORK_NOT_FOUND: "create the PodNetwork; the Pod starts then",
    NO_NETWORK_FOUND: "create the NetworkAttachmentDefinition; the Pod starts then",
    NETWORK_DISABLED: "set spec.enabled of the PodNetwork to true; the Pod starts then",
    ATTACHMENT_NOT_FOUND: "create the PodNetworkAttachment in the Pod's namespace; the Pod starts then",
    DUPLICATE_NETWORK: "name each network once, directly or by an attachment",
    INVALID_NETWORKS: "correct the list of networks",
    NO_NODE_WITH_NETWORKS: "change the list, or make the networks ready on a common node",
    NO_ADDRESSES_LEFT: "enlarge the pool or remove a Pod; the Pod starts then",
    CAPABILITY_NOT_DECLARED: "declare the capability in the CNI configuration, if its plugin has it",
    DNS_LEFT_OUT: "name fewer servers, or give the Pod a dnsConfig with those that count",
    HOST_PORT_TAKEN: "choose another hostPort, or delete the Pod that the message names",
    NETWORK_DAMAGED: "read the message; if it stays, delete the Pod, which is attached anew when it starts again",
    NETWORK_CHANGE_FAILED: "read the message; the KNI server tries again",
    NO_ATTACHMENTS_LEFT: "raise capacity.attachments or remove a Pod; the Pod starts then",
}

GROUPS: dict[str, tuple[str, ...]] = {
    "Conditions of a PodNetwork or PodNetworkAttachment": (
        READY, PARAMS_NOT_READY, ADMINISTRATIVELY_DISABLED, POD_NETWORK_NOT_READY, PARAMS_MISSING, PARAMS_NOT_FOUND,
        PARAMS_UNSUPPORTED, PARAMS_INVALID, IN_USE, NOT_IN_USE, POOL_OVERLAP,
    ),
    "Entries of a NodeNetwork": (
        READY, UPLINK_MISSING, UPLINK_DOWN, KERNEL_LACKS, DATAPATH_UNSUPPORTED, SETUP_FAILED, NETWORK_NOT_READY,
        RUNTIME_HOOK_LOST,
    ),
    "The condition NetworksReady and the Events of a Pod": (
        NETWORKS_ATTACHED, ATTACH_FAILED, NETWORK_NOT_FOUND, NETWORK_DISABLED, ATTACHMENT_NOT_FOUND, DUPLICATE_NETWORK,
        INVALID_NETWORKS, NO_NODE_WITH_NETWORKS, NO_ADDRESSES_LEFT, NO_ATTACHMENTS_LEFT, NETWORKS_CHANGED,
        NETWORK_CHANGE_FAILED, NETWORK_REPAIRED, NETWORK_DAMAGED, CAPABILITY_NOT_DECLARED,
        DNS_LEFT_OUT, HOST_PORT_TAKEN,
    ),
    "Events of Pods with an annotation of Multus": (ADDED_INTERFACE, NO_NETWORK_FOUND),
}  # fmt: skip
"""Where each word stands. docs/reasons.md is made from this."""
GOOD = frozenset({READY, NETWORKS_ATTACHED, ADDED_INTERFACE, NETWORKS_CHANGED, NETWORK_REPAIRED, NOT_IN_USE})
"""Words that ask nothing of anybody."""
