"""Text -> addresses, with a fault for what cannot be read; routes, DNS and sysctls, which several kinds have. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from podnet_api import addresses, kni
from podnet_api.faults import Fault, FaultType

T = TypeVar("T")
_WORD = re.compile(r"[^\s#;]+")
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


def dns_faults(dns: kni.Dns | None) -> list[Fault]:
    """Faults of ``spec.dns``. Its words stand in a Pod's resolv.conf, one after another (resolv.conf(5))."""
    faults: list[Fault] = []
    for i, server in enumerate(dns.nameservers if dns else []):
        read(f"spec.dns.nameservers[{i}]", server, addresses.address, faults)
    words = {"search": dns.search, "options": dns.options} if dns else {}
    message = "must be one word, without blanks and without # or ;"
    wrong = [(f"spec.dns.{key}[{i}]", word) for key in words for i, word in enumerate(words[key])
             if not _WORD.fullmatch(word)]  # fmt: skip
    return faults + [Fault(path, FaultType.INVALID, message, word) for path, word in wrong]


def sysctl_faults(keys: Iterable[str]) -> list[Fault]:
    """Faults of the names of ``spec.sysctls``."""
    message = "must be a parameter below net., which belongs to the Pod's own namespace"
    wrong = [key for key in keys if not _SYSCTL.fullmatch(key)]
    return [Fault(f"spec.sysctls[{key}]", FaultType.NOT_SUPPORTED, message) for key in wrong]
