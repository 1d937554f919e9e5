"""What the edit of a running Pod's list asks for: which interfaces go, which come, which stay. Pure.

An entry is known by the name of its interface. One that is the same in everything else is left untouched; one that
differs goes and comes again, unless only its addresses differ (``readdressable``, asked by plug).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import msgspec
from podnet_api import kni, networks

from podnet_kni_server.kinds.kind import Request
from podnet_kni_server.records import InterfaceRecord

ConfigOf = Callable[[str], kni.NetworkConfig | None]


@dataclass(frozen=True)
class Entry:
    """An entry of the list with the name of its interface."""

    network: networks.Network
    interface: str


@dataclass(frozen=True)
class Changes:
    """In the order in which they are to be carried out: ``gone`` is last first, ``new`` as listed."""

    gone: tuple[InterfaceRecord, ...]
    new: tuple[Entry, ...]

    def __bool__(self) -> bool:
        return bool(self.gone or self.new)


def entries(listed: Sequence[networks.Network]) -> tuple[Entry, ...]:
    """The entries that are ours to attach: all but the default network's."""
    named = zip(listed, networks.interface_names(listed), strict=True)
    return tuple(Entry(network, name) for network, name in named if not network.is_default_network)


def between(present: Sequence[InterfaceRecord], wanted: Sequence[Entry], config_of: ConfigOf) -> Changes:
    """What makes ``present`` into ``wanted``. A bond or vrf whose members change is made anew as well."""
    by_name = {interface.link.name: interface for interface in present}
    kept = {e.interface for e in wanted if (i := by_name.get(e.interface)) is not None and is_same(i, e)}
    touched = (set(by_name) | {entry.interface for entry in wanted}) - kept
    again = _built_upon([i for i in present if i.link.name in kept], touched, config_of)
    kept -= again
    return Changes(
        gone=tuple(i for i in reversed(present) if i.link.name not in kept),
        new=tuple(entry for entry in wanted if entry.interface not in kept),
    )


def is_same(interface: InterfaceRecord, entry: Entry) -> bool:
    """Whether ``interface`` is what ``entry`` asks for. Records of older versions do not tell default routes."""
    asked = (entry.network.pod_network_name, entry.network.pod_network_attachment_name)
    here = ("" if interface.attachment else interface.network, interface.attachment)
    return asked == here and interface.default_versions in (None, default_versions(entry.network))


def default_versions(network: networks.Network) -> list[int]:
    """The families whose default route an entry asks for."""
    flags = ((4, network.is_default_gw4), (6, network.is_default_gw6))
    return [version for version, flag in flags if flag]


def _built_upon(kept: Sequence[InterfaceRecord], touched: Collection[str], config_of: ConfigOf) -> set[str]:
    """Those of ``kept`` that hold a touched interface, and those that hold them in turn."""
    found: set[str] = set()
    while more := {
        i.link.name for i in kept if i.link.name not in found and members(config_of(i.config)) & (set(touched) | found)
    }:
        found |= more
    return found


def members(config: kni.NetworkConfig | None) -> set[str]:
    """Interfaces of the same Pod that a link of ``config`` takes into itself."""
    if config is None:
        return set()
    bond, vrf = config.spec.bond, config.spec.vrf
    return set(bond.links if bond else ()) | set(vrf.members if vrf else ())


def readdressable(old: Request, new: Request) -> bool:
    """Whether ``new`` differs from ``old`` in its static addresses only, so that the link can stay
    (KEP-3698, requirement 25). A lease that would have to change makes a change of the link."""
    same = (
        (old.network, old.interface, old.default_versions) == (new.network, new.interface, new.default_versions)
        and old.config == new.config
        and _without_addresses(old) == _without_addresses(new)
        and new.config.spec.cni is None
        and new.config.spec.routed is None
    )
    return same and set(new.leased_versions) <= set(old.leased_versions)


def _without_addresses(request: Request) -> kni.AttachmentConfigSpec:
    return msgspec.structs.replace(request.own, addresses=[])
