"""Bonds and VRFs: which of a Pod's interfaces they are made of, and what becomes of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from podnet_kni_server import asked, parts
from podnet_kni_server.details import BondDetail, PartRoute, Senders, VrfDetail
from podnet_kni_server.errors import AttachError
from podnet_kni_server.records import InterfaceRecord, LinkRecord, RouteRecord
from podnet_tests.kni_world import World, network_config, sandbox

GREEN = {"ranges": [{"cidr": "10.2.0.0/24", "gateway": "10.2.0.1"}]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.add(network_config("blue"))
    made.add(network_config("green", ipam=GREEN, routes=[{"destination": "10.9.0.0/16", "gateway": "10.2.0.1"}]))
    made.add(network_config("fast", userspace={}))
    made.add(network_config("both", bond={"links": ["net1", "net2"]}, ipam={"ranges": [{"cidr": "10.3.0.0/24"}]}))
    made.add(network_config("again", bond={"links": ["net2", "net3"]}, ipam=None))
    made.add(network_config("apart", vrf={"table": 7, "members": ["net2"]}, ipam=None))
    made.add(network_config("under", bond={"links": ["net1", "net2"], "failOverMac": "active"}, ipam=None))
    return made


def test_the_parts_of_a_bond_lease_nothing(world: World) -> None:
    requests = asked.of_sandbox(sandbox("default", "blue", "green", "both"), world)
    assert [request.leased_versions for request in requests] == [(), (), (4,)]


def test_the_parts_of_a_vrf_keep_their_addresses(world: World) -> None:
    requests = asked.of_sandbox(sandbox("default", "blue", "green", "apart"), world)
    assert [request.leased_versions for request in requests] == [(4,), (4,), ()]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (["both", "blue", "green"], "net1 (bond of PodNetwork both) is made of interface net1, which no earlier entry"),
        (["blue", "both"], "is made of interface net2, which no earlier entry of the list attaches"),
        (["blue", {"podNetworkName": "green", "interfaceName": "x"}, "both"], "is made of interface net2"),
        (["blue", "green", "both", "apart"],
         "net4 (vrf of PodNetwork apart) is made of interface net2, which is part of net3 already"),
        (["blue", "fast", "both"], "is made of interface net2, which the kernel does not know"),
        ([{"podNetworkName": "blue", "isDefaultGW4": True}, "green", "both"],
         "interface net1 is part of net3: it has no addresses and no routes"),
        ([{"podNetworkAttachmentName": "fixed"}, "green", "both"], "interface net1 is part of net3"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_entry(world: World, entries: list[Any], words: str) -> None:
    world.attachment_of("fixed", "blue", addresses=["10.1.0.9"])
    with pytest.raises(AttachError) as caught:
        asked.of_sandbox(sandbox("default", *entries), world)
    assert words in str(caught.value)


def _port(name: str, number: int, **more: Any) -> InterfaceRecord:
    link = LinkRecord(
        kind="veth", name=name, master="br0", mac=f"02:00:00:00:00:0{number}", mtu=1400 + number,
        addresses=[f"10.1.0.{number}/24"], routes=[RouteRecord(destination="10.9.0.0/16", gateway="10.1.0.1")],
        default_gateways=["10.1.0.1"], **more,
    )  # fmt: skip
    return InterfaceRecord(network="blue", config="blue", link=link)


def _over(name: str, detail: BondDetail | VrfDetail, **more: Any) -> InterfaceRecord:
    values: dict[str, Any] = {"mac": "02:00:00:00:00:0b", "mtu": 0, **more}
    link = LinkRecord(kind=type(detail).__name__, name=name, master="", detail=detail, **values)
    return InterfaceRecord(network="over", config="over", link=link)


def test_a_bond_has_what_its_parts_lose() -> None:
    bond = _over("bond0", BondDetail(parts=["net1", "net2"]), addresses=["10.3.0.5/24"])
    made = [one.link for one in parts.joined([_port("net1", 1, anti_spoof=True), _port("net2", 2), bond])]
    assert [(link.addresses, link.routes, link.default_gateways) for link in made[:2]] == [([], [], [])] * 2
    macs = ["02:00:00:00:00:0b", "02:00:00:00:00:01", "02:00:00:00:00:02"]
    assert [link.senders for link in made] == [Senders(macs=macs, addresses=["10.3.0.5/24"]), None, None]
    assert made[2].mtu == 1401, "the least of its parts'"


def test_a_bond_with_an_mtu_keeps_it() -> None:
    bond = _over("bond0", BondDetail(parts=["net1", "net2"]), mtu=1300)
    assert parts.joined([_port("net1", 1), _port("net2", 2), bond])[2].link.mtu == 1300


def test_routes_over_a_part_stand_in_the_table_of_the_vrf() -> None:
    made = [one.link for one in parts.joined([_port("net1", 1), _over("vrf0", VrfDetail(parts=["net1"], table=7))])]
    assert (made[0].addresses, made[0].routes, made[0].default_gateways) == (["10.1.0.1/24"], [], [])
    assert made[1].detail == VrfDetail(parts=["net1"], table=7, routes=[
        PartRoute(part="net1", destination="10.9.0.0/16", gateway="10.1.0.1"),
        PartRoute(part="net1", destination="0.0.0.0/0", gateway="10.1.0.1"),
    ])  # fmt: skip


def test_a_vrf_over_a_bond_takes_the_bonds_routes() -> None:
    bond = _over("bond0", BondDetail(parts=["net1", "net2"]), routes=[RouteRecord(destination="10.4.0.0/16")])
    vrf = _over("vrf0", VrfDetail(parts=["bond0"], table=7))
    made = [one.link for one in parts.joined([_port("net1", 1), _port("net2", 2), bond, vrf])]
    assert made[2].routes == []
    assert made[3].detail == VrfDetail(
        parts=["bond0"], table=7, routes=[PartRoute(part="bond0", destination="10.4.0.0/16")]
    )


async def test_a_pod_with_a_bond_is_attached_and_recorded_so(world: World) -> None:
    record = await world.core.attach(sandbox("default", "blue", "green", "both"))
    assert record is not None
    assert [interface.link.addresses for interface in record.interfaces] == [[], [], ["10.3.0.1/24"]]
    assert isinstance(record.interfaces[2].link.detail, BondDetail)
    await world.core.detach("s1")
    assert world.nothing_left()


async def test_a_mac_address_cannot_be_chosen_for_a_bond_that_takes_its_links(world: World) -> None:
    world.attachment_of("fixed", "under", mac="02:00:00:00:00:01")
    with pytest.raises(AttachError, match=r"spec\.mac is not supported with failOverMac"):
        await world.core.attach(sandbox("default", "blue", "green", {"podNetworkAttachmentName": "fixed"}))
