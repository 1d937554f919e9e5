"""A Pod's links of every kind, and a node where they can be made. Addresses are those of lab.link."""

import dataclasses
import pathlib
from collections.abc import Callable
from ipaddress import ip_interface
from typing import Any

import pytest
from netns.lab import Lab, Place, bridge, link, ready, route
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.datapath.model import Link, host_name
from podnet_kni_server.details import (
    BondDetail,
    Detail,
    MacvtapDetail,
    PartRoute,
    RoutedDetail,
    TapDetail,
    UserspaceDetail,
    VrfDetail,
)

HOP4, HOP6 = "169.254.200.1", "fe80::1"
Make = Callable[[int, pathlib.Path], list[Link]]


@dataclasses.dataclass(frozen=True)
class Stage:
    """A node with a bridge br0 and an uplink up0 to another namespace."""

    node: Place
    far: Place
    datapath: KernelDatapath


async def stage(lab: Lab) -> Stage:
    """The node, set up."""
    node, far = lab.place(), lab.place()
    lab.cable(node, far)
    datapath = lab.datapath(node)
    await ready(datapath, bridge())
    return Stage(node, far, datapath)


def routed(number: int, *, proxy: str = "", name: str = "net1") -> Link:
    """A routed link with the subnets routed, as planned."""
    hops = [HOP4, HOP6]
    return link(
        number,
        kind="routed",
        master="",
        name=name,
        host_name=host_name(f"sandbox-{number}", name),
        addresses=(ip_interface(f"10.1.0.{number}/32"), ip_interface(f"fd00:1::{number:x}/128")),
        routes=(route(f"{HOP4}/32"), route("10.1.0.0/24", HOP4), route("fd00:1::/64", HOP6)),
        detail=RoutedDetail(gateways=hops, proxy=proxy),
    )


def tap(number: int, *, name: str = "net1", detail: TapDetail | None = None, **changed: Any) -> Link:
    """A tap on br0."""
    host = host_name(f"sandbox-{number}", name)
    return link(number, kind="tap", name=name, host_name=host, detail=detail or TapDetail(), **changed)


def upon(number: int, kind: str, *, name: str = "net1", detail: Detail | None = None, **changed: Any) -> Link:
    """A link on up0; those of some kinds have a MAC address that we do not choose."""
    mac = "" if kind in ("ipvlan", "vlan") or changed.get("mode") == "passthru" else f"02:00:00:00:00:{number:02x}"
    values: dict[str, Any] = {"master": "up0", "mac": mac, **changed}
    return link(number, kind=kind, name=name, detail=detail, **values)


def parts(number: int, *, addresses: bool) -> list[Link]:
    """Two ports of br0, net1 and net2, for a bond or a VRF."""
    changed: dict[str, Any] = {} if addresses else {"addresses": ()}
    second = {**changed, "addresses": (ip_interface(f"10.2.0.{number}/24"),)} if addresses else changed
    return [link(number, name="net1", **changed), link(number + 100, name="net2", **second)]


def bond(number: int, *, detail: BondDetail | None = None) -> list[Link]:
    """An active-backup bond over net1 and net2."""
    made = link(number, kind="bond", name="bond0", master="", mac=f"02:00:00:00:01:{number:02x}",
                detail=detail or BondDetail(parts=["net1", "net2"]))  # fmt: skip
    return [*parts(number, addresses=False), made]


def vrf(number: int) -> list[Link]:
    """A VRF over net1, not over net2."""
    routes = [
        PartRoute(part="net1", destination="10.9.0.0/16", gateway="10.1.0.1"),
        PartRoute(part="net1", destination="0.0.0.0/0", gateway="10.1.0.1"),
        PartRoute(part="net1", destination="fd00:9::/64"),
    ]
    detail = VrfDetail(parts=["net1"], table=100, routes=routes)
    return [
        *parts(number, addresses=True),
        link(number, kind="vrf", name="vrf0", master="", mac="", mtu=0, addresses=(), detail=detail),
    ]


def userspace(number: int, directory: pathlib.Path) -> Link:
    """A socket's directory."""
    detail = UserspaceDetail(
        protocol="vhost-user",
        role="server",
        directory=str(directory / "userspace" / f"sandbox-{number}" / "net1"),
        mount="/run/podnet/net1",
        socket="vhost-user.sock",
        pod="ns/p",
        network="fast",
    )
    return link(number, kind="userspace", master="", host_name="", detail=detail)


KINDS: dict[str, Make] = {
    "routed": lambda number, _: [routed(number)],
    "tap": lambda number, _: [tap(number, anti_spoof=True)],
    "macvtap": lambda number, _: [upon(number, "macvtap", detail=MacvtapDetail())],
    "macvlan": lambda number, _: [upon(number, "macvlan")],
    "macvlan-passthru": lambda number, _: [upon(number, "macvlan", mode="passthru")],
    "vlan": lambda number, _: [upon(number, "vlan", vlan=100)],
    "ipvlan": lambda number, _: [upon(number, "ipvlan", mode="l2")],
    "bond": lambda number, _: bond(number),
    "vrf": lambda number, _: vrf(number),
    "userspace": lambda number, directory: [userspace(number, directory)],
}
"""By a word, what a Pod has."""
_NOTHING = frozenset(("routed", "tap", "userspace"))
every_kind = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[] if kind in _NOTHING else [pytest.mark.needs(kind.partition("-")[0])])
        for kind in KINDS
    ],
)
