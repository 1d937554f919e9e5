"""From a Pod's list and its AttachmentConfig to what plugins are asked for."""

from pathlib import Path
from typing import Any

import pytest
from podnet_kni_server import asked, plan
from podnet_kni_server.cni import ask
from podnet_kni_server.cni.errors import RequestError
from podnet_kni_server.cni.request import Request
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.errors import AttachError
from podnet_tests.kni_world import World, network_config, sandbox

CONFIG = '{"cniVersion": "1.0.0", "name": "net-a", "type": "bridge"}'


def _link(tmp_path: Path, entry: dict[str, Any] | None = None, ipam: Any = None, **own: Any) -> Link:
    world = World(tmp_path)
    world.add(network_config("plugins", cni={"config": CONFIG}, ipam=ipam))
    world.attachment_of("own", "plugins", **own)
    box = sandbox({"podNetworkAttachmentName": "own", **(entry or {})})
    (request,) = asked.of_sandbox(box, world)
    return plan.link(plan.interface(box, request, [], 1500).link)


def _request(tmp_path: Path, **own: Any) -> Request:
    return ask.request("/run/netns/s1", _link(tmp_path, **own))


def test_everything_that_an_attachment_can_ask(tmp_path: Path) -> None:
    ports = [{"hostPort": 80, "containerPort": 8080}, {"hostPort": 53, "containerPort": 53, "protocol": "UDP"}]
    found = _request(
        tmp_path,
        addresses=["10.7.0.5/24", "fd00::5"],
        mac="02:00:00:00:00:05",
        cniArgs={"vlan": "7", "tags": '["a"]'},
        deviceID="0000:01:00.1",
        portMappings=ports,
        bandwidth={"ingressRate": 1000, "egressRate": 2000, "egressBurst": 5000},
    )
    assert (str(found.pod), found.pod.sandbox, found.pod.uid, found.interface) == ("ns/p", "s1", "uid-p", "net0")
    assert (found.mac, found.addresses) == ("02:00:00:00:00:05", ("10.7.0.5/24", "fd00::5"))
    assert (found.args, found.device) == ({"vlan": 7, "tags": ["a"]}, "0000:01:00.1")
    assert found.capabilities == {
        "portMappings": [
            {"hostPort": 80, "containerPort": 8080, "protocol": "tcp"},
            {"hostPort": 53, "containerPort": 53, "protocol": "udp"},
        ],
        "bandwidth": {"ingressRate": 1000, "ingressBurst": 1000, "egressRate": 2000, "egressBurst": 5000},
    }


def test_nothing_is_asked_by_itself(tmp_path: Path) -> None:
    """No MAC address of ours either: plugins choose it."""
    found = _request(tmp_path)
    assert (found.mac, found.addresses, found.args, found.capabilities) == ("", (), {}, {})


def test_default_routes_are_the_executors(tmp_path: Path) -> None:
    link = _link(tmp_path, {"isDefaultGW4": True})
    assert link.default_gateways == ()
    assert ask.detail_of(link).default_versions == [4]


def test_arguments_must_be_json(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cniArgs\[vlan\] is no JSON"):
        _request(tmp_path, cniArgs={"vlan": "{"})


def test_what_plugins_do_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AttachError, match=r"spec\.sysctls of AttachmentConfig ns/own is not supported by datapath cni"):
        _link(tmp_path, sysctls={"net.ipv4.conf.all.rp_filter": "0"})
    with pytest.raises(AttachError, match="does nothing with datapath cni"):
        _link(tmp_path, ipam={"ranges": [{"cidr": "10.1.0.0/24"}]})


def test_dhcp(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add(network_config("lan", ipam={"dhcp": {"hostName": False}}, antiSpoof=False))
    box = sandbox({"podNetworkName": "lan", "isDefaultGW4": True})
    (request,) = asked.of_sandbox(box, world)
    assert request.leased_versions == ()
    link = plan.link(plan.interface(box, request, [], 1500).link)
    assert link.dhcp is not None
    assert (link.dhcp.network, link.dhcp.sandbox, link.dhcp.host_name, link.dhcp.default) == ("lan", "s1", False, True)
    assert (link.addresses, link.default_gateways) == ((), ())
