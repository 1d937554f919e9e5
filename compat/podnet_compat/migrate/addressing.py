"""Which program keeps the addresses of a NAD, and whether it can be asked for one. Pure.

host-local and whereabouts keep a store of their own, on each node or in the cluster. As long as Multus uses it, podnet
has to use the same one, or an address is given twice.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from podnet_compat import ipam, jsontext, names
from podnet_compat.legacy import Nad

DYNAMIC = frozenset({ipam.HOST_LOCAL, ipam.WHEREABOUTS})


@dataclass(frozen=True)
class Addressing:
    """``types``: the IPAM plugins of a NAD's configuration. ``asked``: whether it declares the capability ips."""

    types: frozenset[str]
    asked: bool

    @property
    def dynamic(self) -> bool:
        """Whether a store gives the addresses."""
        return bool(self.types & DYNAMIC)

    def gives(self, ips: Iterable[str]) -> bool:
        """Whether a Pod can ask for just these addresses. By CNI_ARGS host-local takes one."""
        listed = list(ips)
        return self.dynamic and all(map(_is_address, listed)) and (len(listed) == 1 or self.asked)


def of(nad: Nad) -> Addressing:
    """What the configuration of ``nad`` says; nothing where it cannot be read."""
    try:
        value = jsontext.load((nad.spec.config if nad.spec else None) or "{}")
    except jsontext.BrokenJsonError:
        value = {}
    whole = _folded(value)
    plugins = whole.get("plugins")
    listed = [whole, *map(_folded, plugins if isinstance(plugins, list) else [])]
    types = [_folded(plugin.get("ipam")).get("type") for plugin in listed]
    asked = any(_folded(plugin.get("capabilities")).get("ips") is True for plugin in listed)
    return Addressing(frozenset(kind for kind in types if isinstance(kind, str)), asked)


def shared(nad: Nad) -> bool:
    """Whether the plugins of ``nad`` keep its addresses for Multus and podnet alike."""
    return nad.metadata.annotations.get(names.ATTACH_WITH) == names.PLUGINS


def _folded(value: object) -> Mapping[str, Any]:
    """Go compares keys without case."""
    return {key.lower(): item for key, item in value.items()} if isinstance(value, dict) else {}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
