"""The keys that Kube-OVN reads on a Pod for each of its NICs, in their three forms. Pure.

``<provider>.kubernetes.io/<key>``             provider ovn (eth0), ``<nad>.<namespace>.ovn``, ``<nad>.<namespace>``
``<provider>.<interface>.kubernetes.io/<key>`` where one NAD is selected several times
``<nad>.<namespace>.kubernetes.io/<key>.<interface>`` ip_address and mac_address of one interface

Names of NADs may hold dots, so a key is never taken apart: each NIC knows the prefixes that are its own. Source:
kubeovn/kube-ovn, pkg/util/const.go and pkg/controller/pod.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from podnet_compat.annotation import Selection

MIDDLE = ".kubernetes.io/"
DEFAULT = "ovn"
ADDRESS, MAC, POOL, DEFAULT_ROUTE = "ip_address", "mac_address", "ip_pool", "default_route"
ASKED = (
    ADDRESS, MAC, POOL, DEFAULT_ROUTE, "ip_family", "logical_switch", "logical_router", "vlan_id", "ingress_rate",
    "egress_rate", "ingress_burst", "egress_burst", "security_groups", "routes", "layer2_forward", "port_security",
    "port_vips", "pod_nic_type", "activation_strategy", "dhcp-v4-options", "dhcp-v6-options", "mirror", "latency",
    "limit", "loss", "jitter", "priority", "provider_network", "allow_live_migration", "vip", "aaps", "eip", "snat",
    "bgp", "north_gateway", "vpc", "network_policy_for", "vpc_cidrs",
)  # fmt: skip
"""What people write."""
WRITTEN = ("allocated", "routed", "cidr", "gateway", "vf", "vf_representor", "virtualmachine", "port_name", "chassis")
"""What its controller writes."""
_ONE_INTERFACE = (ADDRESS, MAC)
_OWN = frozenset((*ASKED, *WRITTEN))


@dataclass(frozen=True)
class Nic:
    """The keys of one NIC: ``values`` by key, ``written`` the whole annotation that each stands in."""

    values: Mapping[str, str]
    written: Mapping[str, str]

    def at(self, key: str) -> str:
        """The path of ``key``."""
        return f"metadata.annotations[{self.written[key]}]"


def is_one(annotation: str) -> bool:
    """Whether ``annotation`` is a key of a NIC, of whichever network."""
    head, middle, tail = annotation.partition(MIDDLE)
    return bool(head and middle) and (tail in _OWN or tail.split(".")[0] in _ONE_INTERFACE)


def of_default(annotations: Mapping[str, str]) -> Nic:
    """The keys of eth0."""
    return _nic(annotations, [f"{DEFAULT}{MIDDLE}"], "")


def of_entry(annotations: Mapping[str, str], one: Selection, interface: str, *, several: bool) -> Nic:
    """The keys of ``one``, which is ``interface``; ``several``: its NAD is selected more than once."""
    nad = f"{one.name}.{one.namespace}"
    plain = [f"{nad}.{DEFAULT}{MIDDLE}", f"{nad}{MIDDLE}"]
    own = [f"{nad}.{DEFAULT}.{interface}{MIDDLE}", f"{nad}.{interface}{MIDDLE}"]
    return _nic(annotations, own if several else [*own, *plain], f"{nad}{MIDDLE}", interface)


def _nic(annotations: Mapping[str, str], prefixes: list[str], single: str, interface: str = "") -> Nic:
    """The first prefix that has a key wins; a key of one interface before all."""
    values, written = dict[str, str](), dict[str, str]()
    for key in sorted(_OWN):
        names = [f"{single}{key}.{interface}"] if interface and key in _ONE_INTERFACE else []
        for name in [*names, *(f"{prefix}{key}" for prefix in prefixes)]:
            if name in annotations and key not in values:
                values[key], written[key] = annotations[name], name
    return Nic(values, written)
