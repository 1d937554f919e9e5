"""Strings of DANM: its groups, kinds and annotations. Pure.

Released versions have the group danm.k8s.io, the main branch danm.io; nothing else differs."""

from __future__ import annotations

NAME = "danm"
GROUPS = ("danm.io", "danm.k8s.io")
DANM_NET, TENANT_NETWORK, CLUSTER_NETWORK = "DanmNet", "TenantNetwork", "ClusterNetwork"
TENANT_CONFIG, DANM_EP = "TenantConfig", "DanmEp"
INTERFACES = tuple(f"{group}/interfaces" for group in GROUPS)
DEFAULT = "default"
"""Name of the network of Pods without the annotation."""
LEGACY_NAMES = "danm.namingScheme"
"""The setting, with the value ``legacy``, under which ``container_prefix`` is the whole name of an interface."""
MANUAL_SERVICES = "danm.services"
"""The setting, with the value ``manual``, under which Services without endpoints are told and not refused."""
CONFIG_MAP = ("kube-system", "danm-installer-config", "cni_naming_scheme")
"""Where the installer keeps it: namespace and name of a ConfigMap, and its key."""


def group_of(key: str) -> str:
    """The group to which an annotation's key belongs."""
    return key.partition("/")[0]
