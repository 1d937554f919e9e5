"""What containers need for their Pod's interfaces, and what NPWG tools are told of it."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_kni_server import containers, status
from podnet_kni_server.details import Device, UserspaceDetail
from podnet_kni_server.records import InterfaceRecord, LinkRecord, Record, State

TUN = Device(path="/dev/net/tun", major=10, minor=200, mode=0o666)
TAP7 = Device(path="/dev/tap7", major=246, minor=1, owner=107)


def _interface(name: str, **link: Any) -> InterfaceRecord:
    made = LinkRecord(kind="x", name=name, master="", mac="", mtu=1500, **link)
    return InterfaceRecord(network="n", config="n", link=made)


def _userspace(protocol: str, role: str) -> UserspaceDetail:
    return UserspaceDetail(protocol=protocol, role=role, directory="/d/net1", mount="/m/net1", socket="s.sock")


def _record(*interfaces: InterfaceRecord) -> Record:
    return Record(sandbox="s", uid="u", namespace="ns", name="p", state=State.ATTACHED, interfaces=list(interfaces))


def test_every_device_once() -> None:
    record = _record(*(_interface(f"net{at}", device=one) for at, one in enumerate((TUN, TUN, TAP7, None))))
    assert containers.devices(record) == [TUN, TAP7]


def test_directories_of_sockets() -> None:
    detail = _userspace("memif", "client")
    assert containers.directories(_record(_interface("net1", detail=detail), _interface("net2"))) == [detail]


@pytest.mark.parametrize(
    ("protocol", "role", "told"),
    [
        ("vhost-user", "server", {"mode": "server", "path": "/m/net1/s.sock"}),
        ("vhost-user", "client", {"mode": "client", "path": "/m/net1/s.sock"}),
        ("memif", "server", {"role": "master", "path": "/m/net1/s.sock", "mode": "ethernet"}),
        ("memif", "client", {"role": "slave", "path": "/m/net1/s.sock", "mode": "ethernet"}),
    ],
)
def test_device_info_stands_in_the_npwg_status(protocol: str, role: str, told: dict[str, str]) -> None:
    record = _record(_interface("net1", detail=_userspace(protocol, role)), _interface("net2"))
    _, first, second = status.npwg(record, lambda name: f"ns/{name}", None)
    assert first["device-info"] == {"type": protocol, "version": "1.1.0", protocol: told}
    assert "device-info" not in second
