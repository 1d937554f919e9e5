"""AttachmentConfig: static addresses, MAC, routes, sysctls, port mappings. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from podnet_api import addresses, kni
from podnet_api.faults import Fault, FaultType
from podnet_api.validation.reading import dns_faults, read, route_faults, sysctl_faults


def attachment_config_faults(config: kni.AttachmentConfig) -> list[Fault]:
    """Faults of an AttachmentConfig."""
    spec = config.spec
    faults = _static_faults(spec.addresses)
    for i, route in enumerate(spec.routes):
        faults += route_faults(f"spec.routes[{i}]", route)
    faults += dns_faults(spec.dns)
    return faults + sysctl_faults(spec.sysctls) + _mac_faults(spec.mac) + _port_faults(spec.port_mappings)


def _static_faults(texts: Sequence[str]) -> list[Fault]:
    faults: list[Fault] = []
    found = [read(f"spec.addresses[{i}]", text, addresses.either, faults) for i, text in enumerate(texts)]
    seen: set[int] = set()
    for i, one in enumerate(found):
        if one is not None and one.version in seen:
            message = f"a Pod has at most one IPv{one.version} address per network"
            faults.append(Fault(f"spec.addresses[{i}]", FaultType.FORBIDDEN, message))
        seen |= {one.version} if one is not None else set()
    return faults


def _mac_faults(mac: str | None) -> list[Fault]:
    if mac is None or (not int(mac[:2], 16) & 1 and mac.replace(":", "").strip("0")):
        return []
    return [Fault("spec.mac", FaultType.INVALID, "must be the address of one interface, not a group or zero", mac)]


def _port_faults(mappings: Sequence[kni.PortMapping]) -> list[Fault]:
    faults: list[Fault] = []
    counts: Counter[tuple[int, str, str | None]] = Counter()
    for i, one in enumerate(mappings):
        path = f"spec.portMappings[{i}]"
        if one.host_ip is not None:
            read(f"{path}.hostIP", one.host_ip, addresses.address, faults)
        key = (one.host_port, one.protocol, one.host_ip)
        if counts[key]:
            faults.append(Fault(f"{path}.hostPort", FaultType.DUPLICATE, "", one.host_port))
        counts[key] += 1
    return faults
