"""Text -> addresses, with a fault for what cannot be read; routes and sysctls, which several kinds have. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from podnet_api import addresses, kni
from podnet_api.faults import Fault, FaultType

T = TypeVar("T")
_SYSCTL = re.compile(r"net([./][A-Za-z0-9_-]+)+")


def read(path: str, text: str, reader: Callable[[str], T], faults: list[Fault]) -> T | None:
    """What ``reader`` makes of ``text``, or None and one more fault."""
    try:
        return reader(text)
    except ValueError as error:
        faults.append(Fault(path, FaultType.INVALID, str(error), text))
        return None


def route_faults(path: str, route: kni.Route) -> list[Fault]:
    """Faults of a route at ``path``."""
    faults: list[Fault] = []
    subnet = read(f"{path}.destination", route.destination, addresses.network, faults)
    gateway = read(f"{path}.gateway", route.gateway, addresses.address, faults) if route.gateway else None
    if subnet and gateway and subnet.version != gateway.version:
        message = f"must be of the family of {subnet}"
        faults.append(Fault(f"{path}.gateway", FaultType.INVALID, message, route.gateway))
    return faults


def sysctl_faults(keys: Iterable[str]) -> list[Fault]:
    """Faults of the names of ``spec.sysctls``."""
    message = "must be a parameter below net., which belongs to the Pod's own namespace"
    wrong = [key for key in keys if not _SYSCTL.fullmatch(key)]
    return [Fault(f"spec.sysctls[{key}]", FaultType.NOT_SUPPORTED, message) for key in wrong]
