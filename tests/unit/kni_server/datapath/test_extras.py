"""The pure parts of extras: what is said to the kernel and to nft, and what is read back."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address, ip_interface

import pytest
from podnet_kni_server.datapath.extras import listening, policy, ports, traffic
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.details import Extras, PortRecord


def _link(**extras: object) -> Link:
    addresses = (ip_interface("10.1.0.5/24"), ip_interface("fd00::5/64"))
    made = Extras(**extras)  # type: ignore[arg-type]
    return Link("veth", "net1", "pnv1", "br0", "02:00:00:00:00:05", 1500, addresses, extras=made)


@pytest.mark.parametrize(
    ("rate", "burst", "size"),
    [(10**6, 0, 32768), (10**9, 0, 2_500_000), (10**6, 80_000, 10_000), (10**13, 10**13, 0xFFFFFFFF)],
)
def test_bursts(rate: int, burst: int, size: int) -> None:
    assert traffic.burst_bytes(rate, burst) == size


def test_routes_of_a_table() -> None:
    found = [(str(r.destination), str(r.gateway)) for r in policy.routes(_link(gateways=["10.1.0.1", "fd00::1"]))]
    assert found == [
        ("10.1.0.0/24", "None"),
        ("fd00::/64", "None"),
        ("0.0.0.0/0", "10.1.0.1"),
        ("::/0", "fd00::1"),
    ]


def test_elements_of_a_port() -> None:
    port = PortRecord(host_port=8080, container_port=80, protocol="UDP", host_ip="192.0.2.1")
    made = list(ports.elements(_link(ports=[port], hidden=True, gateways=["10.1.0.1"], pod="ns/p")))
    assert [(e.where, e.key, e.value) for e in made] == [
        ("one4", "192.0.2.1 . udp . 8080", "10.1.0.5 . 80"),
        ("near4", "10.1.0.0/24 . 10.1.0.5", "10.1.0.1"),
        ("hide4", "10.1.0.5", "10.1.0.1"),
    ]
    assert {e.owner for e in made} == {"pnv1 ns/p"}


def test_what_is_there_already_is_not_said_again() -> None:
    made = list(ports.elements(_link(ports=[PortRecord(host_port=1, container_port=2)], gateways=["10.1.0.1"])))
    assert ports.script(made, made) == ""
    assert ports.script(made[:1], made[1:]).startswith("delete element inet podnet_ports")


def test_what_nft_lists_is_read_back() -> None:
    listed = """{"nftables": [{"map": {"name": "near4", "elem": [[{"elem": {"val": {"concat":
      [{"prefix": {"addr": "10.1.0.0", "len": 24}}, "10.1.0.5"]}, "comment": "pnv1 ns/p"}}, "10.1.0.1"]]}},
      {"map": {"name": "any4", "elem": [[{"concat": ["tcp", 80]}, {"concat": ["10.1.0.5", 8080]}]]}}]}"""
    assert list(ports.parse(json.loads(listed))) == [
        ports.Element("near4", "10.1.0.0/24 . 10.1.0.5", "10.1.0.1", "pnv1 ns/p"),
        ports.Element("any4", "tcp . 80", "10.1.0.5 . 8080", ""),
    ]


def test_listeners_of_proc() -> None:
    table = [
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000",
        "   1: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0:0",
        "   2: 0A00020F:0016 01020304:9999 01 00000000:00000000",
    ]
    assert list(listening.listeners(table, "0A")) == [(IPv4Address("127.0.0.1"), 8080), (IPv6Address("::"), 22)]
