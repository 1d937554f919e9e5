"""Objects of Genie and Knitter with every field of their formats: for tests, for the walk, and as seeds of the fuzz."""

from __future__ import annotations

import json
from typing import Any

from podnet_tests.fieldwalk import Example

Object = dict[str, Any]


def pod(namespace: str = "default", **annotations: str) -> Object:
    """A Pod; ``__`` in a key stands for a slash, ``_`` for a dash."""
    named = {key.replace("__", "/").replace("_", "-"): text for key, text in annotations.items()}
    meta = {"name": "p", "namespace": namespace, "annotations": named}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [{"name": "c"}]}}


def logical(name: str, namespace: str = "default", **spec: Any) -> Object:
    """A Logicalnetwork."""
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "alpha.network.k8s.io/v1", "kind": "Logicalnetwork", "metadata": meta, "spec": spec}


def physical(name: str, nic: str, namespace: str = "default", **shared: Any) -> Object:
    """A Physicalnetwork."""
    spec = {"refer_nic": nic, "sharedStatus": shared}
    return {**logical(name, namespace), "kind": "Physicalnetwork", "spec": spec}


def port(network: str, **attributes: Any) -> Object:
    """A port of Knitter."""
    return {"attach_to_network": network, "attributes": attributes}


def ports(*listed: Object, namespace: str = "default") -> Object:
    """A Pod with ports of Knitter."""
    return pod(namespace, networks=json.dumps({"ports": list(listed)}))


_PHYSICAL = physical("phy", "ens5", plugin="macvlan", subnet="10.32.0.0/16", dedicatedNet=True)
_SHARED = physical("phy", "ens5", dedicatedNet=False)
_LOGICAL = logical("net1", physicalNet="phy", sub_subnet="10.32.5.0/24", plugin="weave")
_FIELDS = frozenset({"spec.physicalNet", "spec.sub_subnet", "spec.plugin"})
_PHYSICAL_FIELDS = frozenset(
    {"spec.refer_nic", *(f"spec.sharedStatus.{key}" for key in ("plugin", "subnet", "dedicatedNet"))}
)
GENIE = [
    Example("Logicalnetwork", [_LOGICAL, _PHYSICAL], more=[logical("net1", plugin="weave", sub_subnet="10.32.0.0/24"),
            logical("net1", plugin="calico", sub_subnet="10.32.0.0/24")],
            fields=_FIELDS, namespace="default"),
    Example("Logicalnetwork on a shared one",
            [logical("net1", physicalNet="phy", sub_subnet="10.32.5.0/24", plugin="macvlan"), _SHARED],
            namespace="default"),
    Example("Physicalnetwork", [_PHYSICAL, logical("net1", physicalNet="phy")],
            fields=_PHYSICAL_FIELDS, namespace="default"),
    Example("cni", [pod(cni="flannel,weave@eth4", networks="net1", multi_ip_preferences="{}")]),
    Example("networks", [pod(cni="", networks="net1@eth0,net2@eth4"), logical("net1", plugin="weave"),
                         logical("net2", plugin="flannel")],
            marks=[("metadata", "annotations", "cni"), ("spec", "containers")]),
]  # fmt: skip
_REST = {
    "name": "net_api", "network_id": "98260ff6", "gateway": "123.124.125.1", "cidr": "123.124.125.0/24",
    "create_time": "2018-03-01T07:56:02Z", "state": "ACTIVE", "public": True, "external": True, "owner": "admin",
    "description": "of the API", "subnet_id": "77", "allocation_pools": [{"start": "123.124.125.5",
                                                                       "end": "123.124.125.99"}],
}  # fmt: skip
_PROVIDER = {
    "name": "net_api", "gateway": "10.1.0.1", "cidr": "10.1.0.0/24", "provider:network_type": "vlan",
    "provider:physical_network": "ens4", "provider:segmentation_id": "50",
}  # fmt: skip
_ATTRIBUTES = {
    "accelerate": "true", "function": "media", "nic_name": "eth0", "nic_type": "direct", "ip_addr": "10.1.0.9",
    "ip_group_name": "group1", "combinable": "true", "metadata": {"key": "value"},
}  # fmt: skip
KNITTER = [
    Example("network", [{"network": _REST}], marks=[("network", "owner")],
            fields=frozenset(f"network.{key}" for key in _REST), refused=[(("network", "more"), "x")]),
    Example("owned network", [{"network": {**_REST, "public": False, "owner": "b"}}],
            marks=[("network", "public")]),
    Example("provider network", [{"provider_network": _PROVIDER}]),
    Example("ports", [ports(port("net_api", **_ATTRIBUTES)),
                      {"network": {**_PROVIDER, "owner": "default"}}], texts=["networks"]),
]  # fmt: skip
EXAMPLES = [*GENIE, *KNITTER]
