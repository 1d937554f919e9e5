"""Interfaces with a guest behind them: a virtual machine opens the device and has the addresses. Pure.

The Pod's own link has none of what is the guest's, or the Pod's kernel would answer in its place. And which MAC
addresses are none of our choice: a record holds them as they were found, and they may change.
"""

import dataclasses

from podnet_kni_server.datapath.model import Link, Observed
from podnet_kni_server.details import BondDetail

KINDS = frozenset(("tap", "macvtap"))
"""The guest has the addresses, and sees to its routes."""
_OWN_MAC = frozenset(("tap",))
"""The guest has the MAC address too; the device has another, for they are two ends of one wire."""


_NOT_CHOSEN = frozenset(("ipvlan", "vrf"))


def chosen(link: Link) -> Link:
    """`link` without a MAC address that the kernel or the uplink gives it."""
    fails_over = isinstance(link.detail, BondDetail) and link.detail.fail_over_mac != "none"
    if link.mac and (link.kind in _NOT_CHOSEN or link.mode == "passthru" or fails_over):
        return dataclasses.replace(link, mac="")
    return link


def own(link: Link) -> Link:
    """What of `link` the link of the Pod itself has."""
    if link.kind not in KINDS:
        return link
    mac = "" if link.kind in _OWN_MAC else link.mac
    return dataclasses.replace(link, mac=mac, addresses=(), routes=(), default_gateways=())


def reported(link: Link, found: Observed) -> Observed:
    """`found` as the Pod's status is to tell it: with what the guest has."""
    if link.kind not in KINDS:
        return found
    return dataclasses.replace(found, mac=link.mac or found.mac, addresses=link.addresses, kind=link.kind)
