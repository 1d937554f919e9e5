"""``default-route`` of an entry -> isDefaultGW4 and isDefaultGW6. Pure; called by ``pod``.

The native list says *that* a family's default route leads over a network, and the network's pool says by
which gateway. So a request is met when it names that gateway.
"""

from __future__ import annotations

from collections.abc import Sequence

from podnet_api.faults import FaultType

from podnet_compat import addresses, ipam
from podnet_compat.addresses import Address
from podnet_compat.annotation import Selection
from podnet_compat.nad import Native
from podnet_compat.reader import Notes


def defaults(selection: Selection, native: Native, notes: Notes) -> tuple[bool, bool]:
    """Whether the default route of IPv4, of IPv6 leads over ``selection``."""
    if selection.default_route is None:
        return False, False
    path = f"{selection.path}.default-route"
    if not selection.default_route:
        notes.warn(path, "is an empty list: the Pod has no default route but those that other entries ask for")
    if native.config.spec.cni is not None or native.addressing.type == ipam.DHCP:
        _trust_plugins(selection, path, notes)
        return _families(selection)
    pool = native.addressing.pool
    known = [addresses.address(r.gateway) for r in (pool.ranges if pool else ()) if r.gateway]
    for place, gateway in enumerate(selection.default_route):
        if gateway not in known:
            message = f"is not the gateway of the NAD ({_listed(known)}): compat does not cover others yet"
            notes.unsupported(f"{path}[{place}]", str(gateway), message)
    return _families(selection)


def _families(selection: Selection) -> tuple[bool, bool]:
    families = {gateway.version for gateway in selection.default_route or ()}
    return 4 in families, 6 in families


def _trust_plugins(selection: Selection, path: str, notes: Notes) -> None:
    """Only the plugins know their gateways, and only when they run; the plugin dhcp by its server."""
    for place, gateway in enumerate(selection.default_route or ()):
        message = f"{gateway}: the default route leads to the gateway that the plugins name, this one or another"
        notes.warn(f"{path}[{place}]", message)


def over_eth0(native: Native) -> frozenset[int]:
    """The families whose default route leads over ``native`` in the place of the cluster's default network: those
    with a gateway. What plugins make there stays, as no other network was before them."""
    pool = native.addressing.pool
    return frozenset(addresses.address(r.gateway).version for r in (pool.ranges if pool else ()) if r.gateway)


def check_twice(asked: Sequence[tuple[str, tuple[Address, ...] | None]], notes: Notes) -> None:
    """A Pod has one default route per family."""
    for version in (4, 6):
        gateways = [(path, g) for path, found in asked for g in found or () if g.version == version]
        for path, gateway in gateways[1:]:
            message = f"a Pod has one IPv{version} default route; Multus does not support ECMP for default-route either"
            notes.fault(f"{path}.default-route", message, str(gateway), FaultType.DUPLICATE)


def _listed(known: Sequence[Address]) -> str:
    return ", ".join(str(gateway) for gateway in known) or "it has none"
