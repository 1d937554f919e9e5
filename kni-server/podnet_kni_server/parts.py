"""Interfaces that are made of others of the same Pod: bonds and VRFs. Pure.

The parts stand earlier in the Pod's list, so that they are there when what they belong to is made. ``ordered`` looks
at what is asked for, before addresses are leased; ``joined`` at what was planned, before anything is recorded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import msgspec
from podnet_api import reasons

from podnet_kni_server import kinds
from podnet_kni_server.details import BondDetail, PartRoute, Senders, VrfDetail
from podnet_kni_server.errors import AttachError
from podnet_kni_server.kinds.kind import Request
from podnet_kni_server.records import InterfaceRecord, LinkRecord, Sandbox

_USUAL_MTU = 1500
_DEFAULTS = {False: "0.0.0.0/0", True: "::/0"}


def ordered(sandbox: Sandbox, requests: Sequence[Request]) -> tuple[Request, ...]:
    """``requests``, with no addresses for the parts of a bond.

    Raises AttachError for a part that no earlier entry attaches, that belongs to two, or that asks for what it
    cannot have.
    """
    owner: dict[str, Request] = {}
    for at, request in enumerate(requests):
        earlier = {one.interface: one for one in requests[:at]}
        for name in kinds.KINDS[kinds.datapath_of(request.config)].parts(request.config):
            _check_part(sandbox, request, name, earlier, owner)
            owner[name] = request
    return tuple(_without_addresses(sandbox, one, owner.get(one.interface)) for one in requests)


def _check_part(
    sandbox: Sandbox, request: Request, name: str, earlier: Mapping[str, Request], owner: Mapping[str, Request]
) -> None:
    entry = f"{request.interface} ({kinds.datapath_of(request.config)} of PodNetwork {request.network})"
    if name not in earlier:
        message = f"{entry} is made of interface {name}, which no earlier entry of the list attaches"
        raise _refusal(sandbox, message, reasons.INVALID_NETWORKS)
    if name in owner:
        message = f"{entry} is made of interface {name}, which is part of {owner[name].interface} already"
        raise _refusal(sandbox, message, reasons.INVALID_NETWORKS)
    if kinds.datapath_of(earlier[name].config) == "userspace":
        raise _refusal(sandbox, f"{entry} is made of interface {name}, which the kernel does not know")


def _without_addresses(sandbox: Sandbox, request: Request, owner: Request | None) -> Request:
    if owner is None or not kinds.KINDS[kinds.datapath_of(owner.config)].bare_parts:
        return request
    if request.own.addresses or request.own.routes or request.default_versions:
        message = f"interface {request.interface} is part of {owner.interface}: it has no addresses and no routes"
        raise _refusal(sandbox, message)
    return dataclasses.replace(request, pool=None, static=())


def _refusal(sandbox: Sandbox, message: str, reason: str = reasons.PARAMS_INVALID) -> AttachError:
    return AttachError(f"cannot attach Pod {sandbox.pod}: {message}", reason)


def joined(interfaces: Sequence[InterfaceRecord]) -> list[InterfaceRecord]:
    """``interfaces``, each as it is to be where it is, or has, a part: routes over parts go with what they belong
    to, and a guarded port lets through what a bond sends."""
    found = {one.link.name: one.link for one in interfaces}
    for name in list(found):
        detail = found[name].detail
        if isinstance(detail, BondDetail):
            found |= _bonded(found[name], [found[part] for part in detail.parts if part in found])
        elif isinstance(detail, VrfDetail):
            found |= _in_vrf(found[name], detail, [found[part] for part in detail.parts if part in found])
    return [msgspec.structs.replace(one, link=found[one.link.name]) for one in interfaces]


def _bonded(bond: LinkRecord, parts: Sequence[LinkRecord]) -> dict[str, LinkRecord]:
    sizes = [part.mtu for part in parts if part.mtu]
    bond = msgspec.structs.replace(bond, mtu=bond.mtu or min(sizes, default=_USUAL_MTU))
    macs = list(dict.fromkeys(link.mac for link in (bond, *parts) if link.mac))
    senders = Senders(macs=macs, addresses=bond.addresses)
    bare = [
        msgspec.structs.replace(
            part, addresses=[], routes=[], default_gateways=[], senders=senders if part.anti_spoof else None
        )
        for part in parts
    ]
    return {link.name: link for link in (bond, *bare)}


def _in_vrf(vrf: LinkRecord, detail: VrfDetail, parts: Sequence[LinkRecord]) -> dict[str, LinkRecord]:
    routes = [route for part in parts for route in _routes(part)]
    vrf = msgspec.structs.replace(vrf, detail=msgspec.structs.replace(detail, routes=routes))
    moved = [msgspec.structs.replace(part, routes=[], default_gateways=[]) for part in parts]
    return {link.name: link for link in (vrf, *moved)}


def _routes(part: LinkRecord) -> list[PartRoute]:
    own = [PartRoute(part=part.name, destination=r.destination, gateway=r.gateway) for r in part.routes]
    return own + [
        PartRoute(part=part.name, destination=_DEFAULTS[":" in gateway], gateway=gateway)
        for gateway in part.default_gateways
    ]
