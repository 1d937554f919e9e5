"""NetworkConfig: datapath, node selector, MTU, routes, name servers; its ranges are in ipam. Pure."""

from __future__ import annotations

import msgspec

from podnet_api import kni
from podnet_api.faults import Fault, FaultType
from podnet_api.validation import ipam
from podnet_api.validation.reading import dns_faults, route_faults, sysctl_faults

IPV6_MINIMUM_MTU = 1280


def network_config_faults(config: kni.NetworkConfig) -> list[Fault]:
    """Faults of a NetworkConfig."""
    spec = config.spec
    faults = _datapath_faults(spec) + _node_selector_faults(spec.node_selector)
    if spec.ipam is not None:
        faults += ipam.faults("spec.ipam", spec.ipam) + _mtu_faults(spec) + _given_elsewhere(spec, spec.ipam)
    for i, route in enumerate(spec.routes):
        faults += route_faults(f"spec.routes[{i}]", route)
    return faults + dns_faults(spec.dns) + sysctl_faults(spec.sysctls)


def _datapath_faults(spec: kni.NetworkConfigSpec) -> list[Fault]:
    chosen = [key for key in msgspec.structs.asdict(spec) if _is_datapath(key) and getattr(spec, key) is not None]
    if len(chosen) != 1:
        message = "exactly one datapath must be set: " + ", ".join(kni.DATAPATHS)
        return [Fault("spec", FaultType.INVALID if chosen else FaultType.REQUIRED, message)]
    if chosen[0] in kni.ON_UPLINK and spec.uplink is None:
        return [Fault("spec.uplink", FaultType.REQUIRED, f"{chosen[0]} needs an uplink")]
    return _cni_faults(spec.cni.config) if spec.cni else []


def _is_datapath(attribute: str) -> bool:
    return {"host_device": "hostDevice"}.get(attribute, attribute) in kni.DATAPATHS


def _cni_faults(text: str) -> list[Fault]:
    path = "spec.cni.config"
    try:
        config = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        return [Fault(path, FaultType.INVALID, f"must be JSON: {error}", text)]
    if not isinstance(config, dict) or not (config.get("type") or config.get("plugins") or config.get("name")):
        message = "must be an object with type or plugins, or with the name of a configuration on the nodes"
        return [Fault(path, FaultType.INVALID, message, text)]
    return []


def _given_elsewhere(spec: kni.NetworkConfigSpec, pool: kni.Ipam) -> list[Fault]:
    """Plugins and DHCP servers give addresses that a node does not know beforehand."""
    if spec.cni is not None:
        return [Fault("spec.ipam", FaultType.FORBIDDEN, "the plugins of datapath cni give addresses")]
    if pool.dhcp is not None and spec.anti_spoof and (spec.bridge or spec.vxlan or spec.vlan):
        message = "ipam.dhcp needs antiSpoof: false: the node cannot know the address before the Pod has it"
        return [Fault("spec.antiSpoof", FaultType.INVALID, message, True)]
    return []


def _node_selector_faults(selector: kni.NodeSelector | None) -> list[Fault]:
    faults = []
    for i, one in enumerate(selector.match_expressions if selector else []):
        path = f"spec.nodeSelector.matchExpressions[{i}].values"
        if one.operator in {"In", "NotIn"} and not one.values:
            faults.append(Fault(path, FaultType.REQUIRED, f"{one.operator} compares with values"))
        if one.operator not in {"In", "NotIn"} and one.values:
            faults.append(Fault(path, FaultType.FORBIDDEN, f"{one.operator} compares with nothing"))
    return faults


def _mtu_faults(spec: kni.NetworkConfigSpec) -> list[Fault]:
    has_ipv6 = spec.ipam is not None and any(":" in r.cidr for r in spec.ipam.ranges)
    if spec.mtu is None or spec.mtu >= IPV6_MINIMUM_MTU or not has_ipv6:
        return []
    message = f"must be at least {IPV6_MINIMUM_MTU} for IPv6 (RFC 8200)"
    return [Fault("spec.mtu", FaultType.INVALID, message, spec.mtu)]
