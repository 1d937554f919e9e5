"""What a plugin is told about one attachment, and what nothing would tell it."""

import json
from typing import Any

import pytest
from podnet_kni_server.cni import config, request, result
from podnet_kni_server.cni.config import Network
from podnet_kni_server.cni.errors import RequestError
from podnet_kni_server.cni.result import Result
from podnet_tests.cni import asked


def _network(*plugins: dict[str, Any]) -> Network:
    return config.parse(json.dumps({"cniVersion": "1.0.0", "name": "net-a", "plugins": plugins or [{"type": "debug"}]}))


def _document(network: Network, which: int = 0, previous: Result | None = None, **changed: Any) -> dict[str, Any]:
    return request.document(network, network.plugins[which], asked(**changed), previous)


def test_arguments() -> None:
    assert request.arguments(asked(mac="02:00:00:00:00:05", addresses=("10.1.0.5/24", "fd00::5"))) == (
        "IgnoreUnknown=true;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=sandbox1;"
        "K8S_POD_UID=uid1;MAC=02:00:00:00:00:05;IP=10.1.0.5/24,fd00::5"
    )
    with pytest.raises(RequestError, match="cannot write MAC="):
        request.arguments(asked(mac="a;K8S_POD_NAME=other"))


def test_only_declared_capabilities_reach_a_plugin() -> None:
    network = _network(
        {"type": "bridge", "capabilities": {"mac": True, "bandwidth": False}},
        {"type": "portmap", "capabilities": {"portMappings": True}, "runtimeConfig": {"old": 1}},
        {"type": "tuning"},
    )
    ports = [{"hostPort": 80, "containerPort": 8080, "protocol": "tcp"}]
    wants: dict[str, Any] = {
        "mac": "02:00:00:00:00:05",
        "capabilities": {"portMappings": ports, "bandwidth": {"ingressRate": 1}},
    }
    assert _document(network, 0, **wants)["runtimeConfig"] == {"mac": "02:00:00:00:00:05"}
    assert _document(network, 1, **wants)["runtimeConfig"] == {"portMappings": ports}
    assert "runtimeConfig" not in _document(network, 2, **wants)


def test_name_version_and_previous_result_are_put_in() -> None:
    network = _network({"type": "a", "CNIVersion": "0.1.0", "Name": "x", "mtu": 9, "prevResult": {"stale": True}})
    first = _document(network)
    assert first == {"type": "a", "mtu": 9, "cniVersion": "1.0.0", "name": "net-a"}
    previous = result.decode('{"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.1.0.5/24"}]}', "0.4.0")
    assert _document(network, previous=previous)["prevResult"] == {
        "cniVersion": "1.0.0",
        "ips": [{"address": "10.1.0.5/24"}],
        "dns": {},
    }


def test_args_of_the_attachment_win() -> None:
    network = _network({"type": "a", "args": {"cni": {"a": 1, "b": 2}, "other": {"c": 3}}})
    merged = _document(network, args={"b": [5], "d": None})["args"]
    assert merged == {"cni": {"a": 1, "b": [5], "d": None}, "other": {"c": 3}}


def test_a_device_stands_at_the_top_of_every_plugin() -> None:
    network = _network({"type": "sriov", "capabilities": {"deviceID": True}}, {"type": "tuning"})
    device = "0000:01:00.1"
    for which in (0, 1):
        found = _document(network, which, device=device)
        assert (found["deviceID"], found["pciBusID"]) == (device, device)
    assert _document(network, device=device)["runtimeConfig"] == {"deviceID": device}


_IPS = {"addresses": ("10.1.0.5/24",)}
_MAC = {"mac": "02:00:00:00:00:05"}


@pytest.mark.parametrize(
    ("plugins", "wants"),
    [
        ([{"type": "bridge", "ipam": {"type": "host-local"}}], _IPS),
        ([{"type": "macvlan", "ipam": {"type": "static"}}], _IPS),
        ([{"type": "ipvlan", "ipam": {"type": "whereabouts"}}], _IPS),
        ([{"type": "ovs"}], _IPS),
        ([{"type": "bridge"}], _MAC),
        ([{"type": "ipvlan"}, {"type": "tuning"}], _MAC),
        ([{"type": "tap"}], _MAC),
    ],
)
def test_cni_args_carry_what_is_not_declared(plugins: list[dict[str, Any]], wants: dict[str, Any]) -> None:
    network = _network(*plugins)
    (warning,) = request.carried(network, asked(**wants)).values()
    assert plugins[0]["type"] in warning
    assert "does not declare the capability" in warning


@pytest.mark.parametrize(
    ("plugins", "wants", "words"),
    [
        ([{"type": "ipvlan"}], _MAC, "ipvlan does not declare the capability mac"),
        ([{"type": "vlan"}], _MAC, "vlan does not declare the capability mac"),
        ([{"type": "host-device"}], _MAC, "host-device does not declare the capability mac"),
        ([{"type": "bridge"}], _IPS, "bridge does not declare the capability ips"),
        ([{"type": "bridge", "ipam": {"type": "dhcp"}}], _IPS, "bridge does not declare the capability ips"),
        ([{"type": "a"}], {"capabilities": {"portMappings": [{}]}}, "a does not declare the capability portMappings"),
        ([{"type": "a"}], {"capabilities": {"bandwidth": {"ingressRate": 1}}}, "capability bandwidth"),
        ([{"type": "ib"}], {"capabilities": {"infinibandGUID": "00:11"}}, "capability infinibandGUID"),
        (
            [{"type": "bridge", "ipam": {"type": "host-local"}}],
            {"addresses": ("10.1.0.5", "10.1.0.6")},
            "host-local takes one address from CNI_ARGS, not 2",
        ),
        ([{"type": "bridge", "ipam": {"type": "static"}}], {"addresses": ("10.1.0.5",)}, "static wants the length"),
    ],
)
def test_what_nothing_carries_is_refused(plugins: list[dict[str, Any]], wants: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=r"^cannot use CNI network net-a: ") as caught:
        request.carried(_network(*plugins), asked(**wants))
    assert words in str(caught.value)


def test_what_is_declared_needs_no_warning() -> None:
    network = _network({"type": "a", "capabilities": {"ips": True, "mac": True, "infinibandGUID": True}})
    wants = {**_IPS, **_MAC, "capabilities": {"infinibandGUID": "00:11"}, "device": "x"}
    assert request.carried(network, asked(**wants)) == {}


def test_unmet() -> None:
    wants = asked(**_IPS, **_MAC)
    made = {"interfaces": [{"name": "net1", "mac": "02:00:00:00:00:05", "sandbox": "/n"}]}
    good = result.decode(json.dumps({**made, "ips": [{"address": "10.1.0.5/16"}]}), "1.0.0")
    assert request.unmet(wants, {"ips": "", "mac": ""}, good) == ""
    other = result.decode(json.dumps({**made, "ips": [{"address": "10.1.0.9/24"}]}), "1.0.0")
    assert request.unmet(wants, {"ips": ""}, other) == "ips: the address 10.1.0.5/24 was not given"
    assert request.unmet(asked(mac="02:00:00:00:00:06"), {"mac": ""}, other).startswith("mac: the interface has 02:")
    assert request.unmet(wants, {}, other) == ""


def test_ids_are_checked() -> None:
    with pytest.raises(RequestError, match="interface"):
        request.check(asked(interface="a/b"))
