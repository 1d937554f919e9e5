"""What the edit of a running Pod's list asks for: which interfaces go, which come, which stay. Pure.

An entry is known by the name of its interface. One that is the same in everything else is left untouched; one that
differs goes and comes again, unless only its addresses differ (``readdressable``, asked by plug). A bond or vrf and its
parts are one: when one of them changes, all are made anew, together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from podnet_api import kni, networks

from podnet_kni_server.details import BondDetail, VrfDetail
from podnet_kni_server.kinds.kind import Request
from podnet_kni_server.records import InterfaceRecord

Parts = Mapping[str, Collection[str]]
"""The interfaces of the same Pod that an interface is made of, by its name."""


@dataclass(frozen=True)
class Entry:
    """An entry of the list with the name of its interface."""

    network: networks.Network
    interface: str


@dataclass(frozen=True)
class Changes:
    """In the order in which they are to be carried out: ``gone`` is last first, ``new`` as listed, those in one
    group that are made together."""

    gone: tuple[InterfaceRecord, ...]
    new: tuple[tuple[Entry, ...], ...]

    def __bool__(self) -> bool:
        return bool(self.gone or self.new)


def entries(listed: Sequence[networks.Network]) -> tuple[Entry, ...]:
    """The entries that are ours to attach: all but the default network's."""
    named = zip(listed, networks.interface_names(listed), strict=True)
    return tuple(Entry(network, name) for network, name in named if not network.is_default_network)


def between(present: Sequence[InterfaceRecord], wanted: Sequence[Entry], parts: Parts) -> Changes:
    """What makes ``present`` into ``wanted``, whose interfaces are made of ``parts``."""
    by_name = {interface.link.name: interface for interface in present}
    kept = {e.interface for e in wanted if (i := by_name.get(e.interface)) is not None and is_same(i, e)}
    names = [*by_name, *(entry.interface for entry in wanted)]
    groups = _groups(names, [*parts.items(), *((i.link.name, _parts_of(i)) for i in present)])
    kept = {name for group in groups if group <= kept for name in group}
    coming = [tuple(e for e in wanted if e.interface in group and e.interface not in kept) for group in groups]
    return Changes(
        gone=tuple(i for i in reversed(present) if i.link.name not in kept),
        new=tuple(sorted((group for group in coming if group), key=lambda group: wanted.index(group[0]))),
    )


def _groups(names: Iterable[str], parts: Iterable[tuple[str, Collection[str]]]) -> list[set[str]]:
    """``names`` in sets of those that belong together."""
    groups = [{name} for name in dict.fromkeys(names)]
    for name, own in parts:
        together = {name, *own}
        touched = [group for group in groups if group & together]
        groups = [group for group in groups if not group & together]
        if touched:
            groups.append(set[str]().union(*touched))
    return groups


def _parts_of(interface: InterfaceRecord) -> list[str]:
    detail = interface.link.detail
    return detail.parts if isinstance(detail, BondDetail | VrfDetail) else []


def is_same(interface: InterfaceRecord, entry: Entry) -> bool:
    """Whether ``interface`` is what ``entry`` asks for. Records of older versions do not tell default routes."""
    asked = (entry.network.pod_network_name, entry.network.pod_network_attachment_name)
    here = ("" if interface.attachment else interface.network, interface.attachment)
    return asked == here and interface.default_versions in (None, default_versions(entry.network))


def default_versions(network: networks.Network) -> list[int]:
    """The families whose default route an entry asks for."""
    flags = ((4, network.is_default_gw4), (6, network.is_default_gw6))
    return [version for version, flag in flags if flag]


def readdressable(old: Request, new: Request) -> bool:
    """Whether ``new`` differs from ``old`` in its static addresses only, so that the link can stay
    (KEP-3698, requirement 25). A lease that would have to change makes a change of the link."""
    same = (
        (old.network, old.interface, old.default_versions) == (new.network, new.interface, new.default_versions)
        and old.config == new.config
        and _without_addresses(old) == _without_addresses(new)
        and new.config.spec.cni is None
        and (new.config.spec.routed is None or _subnets(old) == _subnets(new))
    )
    return same and set(new.leased_versions) <= set(old.leased_versions)


def _subnets(request: Request) -> set[object]:
    """What the Pod of a routed link has routes to; of several ranges nobody knows which one a lease comes from."""
    ranges = request.pool.ranges if request.pool else ()
    leased = {v: {r.network for r in ranges if r.network.version == v} for v in request.leased_versions}
    known = {next(iter(nets)) if len(nets) == 1 else (version, "one of several") for version, nets in leased.items()}
    return known | {address.network for address in request.static}


def _without_addresses(request: Request) -> kni.AttachmentConfigSpec:
    return msgspec.structs.replace(request.own, addresses=[])
