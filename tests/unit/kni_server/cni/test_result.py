"""Results of every version of the specification, into one form and back."""

import json
from typing import Any

import pytest
from podnet_kni_server.cni import config, result
from podnet_kni_server.cni.errors import Code, ResultError
from podnet_kni_server.cni.result import Result

NEWEST: dict[str, Any] = {
    "cniVersion": "1.1.0",
    "interfaces": [
        {"name": "br0", "mac": "02:00:00:00:00:01"},
        {"name": "net1", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/a", "mtu": 1400, "socketPath": "/s"},
    ],
    "ips": [
        {"address": "10.1.0.5/24", "gateway": "10.1.0.1", "interface": 1},
        {"address": "fd00::5/64", "gateway": "fd00::1", "interface": 1},
    ],
    "routes": [
        {"dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1300, "advmss": 1260, "priority": 5, "table": 100, "scope": 0},
        {"dst": "fd01::/64"},
    ],
    "dns": {"nameservers": ["10.1.0.1"], "domain": "a.test", "search": ["a.test"], "options": ["ndots:2"]},
}
OLD = {
    "cniVersion": "0.2.0",
    "ip4": {"ip": "10.1.0.5/24", "gateway": "10.1.0.1", "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}]},
    "ip6": {"ip": "fd00::5/64", "gateway": "fd00::1", "routes": [{"dst": "fd01::/64"}]},
    "dns": NEWEST["dns"],
}


def _decode(raw: object, version: str = "1.1.0") -> Result:
    return result.decode(json.dumps(raw), version, "bridge")


def test_newest_is_read_and_written_whole() -> None:
    found = _decode(NEWEST)
    assert result.encode(found, "1.1.0") == NEWEST
    assert [index for index, _ in found.inside()] == [1]
    assert [str(gateway) for gateway in found.gateways] == ["10.1.0.1", "fd00::1"]


def test_oldest_is_read_and_written_whole() -> None:
    assert result.encode(_decode(OLD), "0.2.0") == OLD
    assert result.encode(_decode(OLD), "0.1.0") == {**OLD, "cniVersion": "0.1.0"}


def test_each_version_has_what_it_can_say() -> None:
    found = _decode(NEWEST)
    one = result.encode(found, "1.0.0")
    assert one["interfaces"] == [
        {"name": "br0", "mac": "02:00:00:00:00:01"},
        {"name": "net1", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/a"},
    ]
    assert one["ips"] == NEWEST["ips"]
    assert one["routes"] == [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}, {"dst": "fd01::/64"}]
    for version in ("0.3.0", "0.3.1", "0.4.0"):
        with_family = result.encode(found, version)
        assert with_family == {**one, "cniVersion": version, "ips": with_family["ips"]}
        assert [ip["version"] for ip in with_family["ips"]] == ["4", "6"]  # type: ignore[attr-defined]
    assert result.encode(found, "0.2.0") == OLD


@pytest.mark.parametrize("version", config.VERSIONS)
def test_there_and_back(version: str) -> None:
    found = _decode(NEWEST)
    again = _decode(result.encode(found, version))
    assert (again.ips[0].address, again.ips[1].gateway) == (found.ips[0].address, found.ips[1].gateway)
    assert again.dns == found.dns
    assert len(again.routes) == 2


def test_old_results_reach_new_plugins() -> None:
    assert result.encode(_decode(OLD), "0.4.0")["ips"] == [
        {"version": "4", "address": "10.1.0.5/24", "gateway": "10.1.0.1"},
        {"version": "6", "address": "fd00::5/64", "gateway": "fd00::1"},
    ]


def test_a_result_without_a_version_has_that_of_the_configuration() -> None:
    assert _decode({"ip4": {"ip": "10.1.0.5/24"}}, "0.1.0").ips[0].address.network.prefixlen == 24
    assert _decode({}, "1.0.0") == Result("1.0.0")


def test_keys_in_any_case_and_unknown_ones() -> None:
    found = _decode({"cniversion": "1.0.0", "IPs": [{"Address": "10.1.0.5/24", "interface": -1}], "more": 1})
    assert (str(found.ips[0].address), found.ips[0].link) == ("10.1.0.5/24", None)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([], "must be a JSON object"),
        ({"cniVersion": "7"}, "cniVersion: '7' is no version"),
        ({"ips": [{"address": "10.1.0.5"}]}, "ips[0].address: '10.1.0.5': must be an address with the length"),
        ({"ips": [{"address": "10.1.0.5/255.255.255.0"}]}, "ips[0].address"),
        ({"ips": [{"address": "fe80::1%eth0/64"}]}, "ips[0].address"),
        ({"ips": [{"address": "10.1.0.5/24", "gateway": "x"}]}, "ips[0].gateway"),
        ({"ips": [{"address": "10.1.0.5/24", "interface": 0}]}, "ips[0].interface: 0 is no index"),
        ({"ips": {}}, "ips: must be a list"),
        ({"interfaces": [{}]}, "interfaces[0].name"),
        ({"interfaces": [{"name": "a", "mtu": "1500"}]}, "interfaces[0].mtu: must be a whole number, is a string"),
        ({"routes": [{"dst": "default"}]}, "routes[0].dst"),
        ({"dns": {"nameservers": "10.0.0.1"}}, "dns.nameservers: must be a list"),
    ],
)
def test_what_cannot_be_understood(raw: object, words: str) -> None:
    with pytest.raises(ResultError, match=r"^cannot understand the result of the CNI plugin bridge: ") as caught:
        _decode(raw)
    assert words in str(caught.value)
    assert caught.value.code == Code.DECODING_FAILURE
