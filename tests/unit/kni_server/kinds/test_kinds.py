"""What every datapath says of itself: the shape of a link, what the node needs, how many it carries."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from podnet_api import kni, reasons
from podnet_kni_server import asked, kinds, plan
from podnet_kni_server.details import (
    BondDetail,
    MacvtapDetail,
    RoutedDetail,
    TapDetail,
    UserspaceDetail,
    VrfDetail,
)
from podnet_kni_server.errors import AttachError
from podnet_kni_server.kinds import kind as kind_module
from podnet_kni_server.records import InterfaceRecord
from podnet_tests.kni_world import World, network_config, sandbox

ETH1 = {"uplink": {"interface": "eth1"}, "antiSpoof": False}
DUAL = {"ranges": [{"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}, {"cidr": "fd01::/64", "gateway": "fd01::1"}]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _planned(world: World, config: kni.NetworkConfig, *, mtu: int = 0, own: dict[str, Any] | None = None,
             **entry: Any) -> InterfaceRecord:  # fmt: skip
    """What a Pod with this one network gets: the fifth address of each range."""
    world.add(config)
    if own is not None:
        world.attachment_of("own", config.metadata.name, **own)
    key = {"podNetworkName": config.metadata.name} if own is None else {"podNetworkAttachmentName": "own"}
    box = sandbox({**key, "interfaceName": "net1", **entry})
    [request] = asked.of_sandbox(box, world)
    pool = request.pool
    leased = [pool.of(version)[0].network.network_address + 5 for version in request.leased_versions] if pool else []
    return plan.interface(box, request, leased, mtu)


def test_every_datapath_of_the_api_has_a_kind() -> None:
    assert set(kinds.KINDS) == set(kni.DATAPATHS)


NODES: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({"bridge": {"vlan": 10, "name": "lan0"}, **ETH1},
     {"kind": "bridge", "key": "lan0/10", "uplink": "eth1", "vlan": 10, "needs": ("bridge-vlan",)}, 1022),
    ({"vlan": {"vid": 100}, **ETH1},
     {"kind": "bridge", "key": "pv-eth1.100", "uplink": "eth1.100", "parent": "eth1", "vid": 100,
      "names": {"pv-eth1.100", "eth1.100", "eth1"}}, 1022),
    ({"vlan": {"vid": 4094}, "uplink": {"interface": "enp129s0f1np1x"}, "antiSpoof": False},
     {"kind": "bridge", "uplink": "pd-9d2a8a3c", "parent": "enp129s0f1np1x"}, 1022),
    ({"vlan": {"vid": 100, "mode": "direct"}, **ETH1}, {"kind": "uplink", "name": "eth1", "use": ""}, 1),
    ({"macvlan": {"mode": "vepa"}, **ETH1}, {"kind": "uplink", "use": "macvlan"}, 4096),
    ({"macvlan": {"mode": "passthru"}, **ETH1}, {"use": "macvlan passthru of n"}, 1),
    ({"macvtap": {}, **ETH1}, {"kind": "uplink", "use": "macvlan"}, 4096),
    ({"macvtap": {"mode": "passthru"}, **ETH1}, {"use": "macvlan passthru of n"}, 1),
    ({"ipvlan": {"mode": "l3s"}, **ETH1}, {"kind": "uplink", "use": "ipvlan l3s", "key": "eth1/ipvlan l3s"}, 4096),
    ({"routed": {}}, {"kind": "routed", "key": "n", "uplink": "", "versions": (4,), "names": set()}, 4096),
    ({"routed": {"proxy": True}, "ipam": DUAL, **ETH1}, {"uplink": "eth1", "versions": (4, 6)}, 4096),
    ({"tap": {}}, {"kind": "bridge", "name": "pn-n", "anti_spoof": True}, 1023),
    ({"tap": {"bridge": "lan0"}, **ETH1}, {"name": "lan0", "uplink": "eth1"}, 1022),
    ({"bond": {"links": ["net1", "net2"]}}, {"kind": "none", "key": "n", "names": set()}, 4096),
    ({"vrf": {"table": 7}}, {"kind": "none"}, 4096),
    ({"userspace": {}}, {"kind": "none"}, 4096),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "wanted", "capacity"), NODES, ids=lambda value: next(iter(value), "") if isinstance(value, dict) else None)  # fmt: skip # noqa: E501
def test_what_the_node_needs_and_carries(spec: dict[str, Any], wanted: dict[str, Any], capacity: int) -> None:
    config = network_config("n", **spec)
    kind = kinds.of_config(config)
    assert kind is not None
    link = kind.node(config, None, [])
    if "pd-" in wanted.get("uplink", ""):
        assert len(link.uplink) <= 15
        wanted = {**wanted, "uplink": link.uplink}
    assert {key: getattr(link, key) for key in wanted} == wanted
    assert kind.capacity(config) == capacity


@pytest.mark.parametrize(
    ("datapath", "needs"),
    [("vlan", "vlan"), ("ipvlan", "ipvlan"), ("macvtap", "macvtap"), ("macvlan", "macvlan"), ("vxlan", "vxlan"),
     ("bond", "bond"), ("vrf", "vrf"), ("tap", "tap")],
)  # fmt: skip
def test_what_the_kernel_must_have(datapath: str, needs: str) -> None:
    assert kinds.KINDS[datapath].needs == (needs,)


def test_networks_of_one_vlan_share_its_bridge() -> None:
    one, other = (network_config(name, vlan={"vid": 7}, **ETH1) for name in ("a", "b"))
    assert kinds.KINDS["vlan"].node(one, None, []) == kinds.KINDS["vlan"].node(other, None, [])


LINKS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"bridge": {"vlan": 10}}, {"kind": "veth", "vlan": 10, "anti_spoof": True}),
    ({"vlan": {"vid": 9}, **ETH1, "antiSpoof": True}, {"kind": "veth", "master": "pv-eth1.9", "anti_spoof": True}),
    ({"vlan": {"vid": 9, "portIsolation": True}, **ETH1}, {"isolated": True}),
    ({"vlan": {"vid": 9, "mode": "direct"}, **ETH1}, {"kind": "vlan", "vlan": 9, "master": "eth1", "mac": ""}),
    ({"macvlan": {"mode": "passthru"}, **ETH1}, {"kind": "macvlan", "mode": "passthru", "mac": ""}),
    ({"ipvlan": {}, **ETH1}, {"kind": "ipvlan", "mode": "l2", "mac": "", "host_name": ""}),
    ({"macvtap": {"owner": 107}, **ETH1}, {"kind": "macvtap", "detail": MacvtapDetail(owner=107)}),
    ({"tap": {"owner": 107, "multiQueue": True}},
     {"kind": "tap", "master": "pn-n", "detail": TapDetail(owner=107, multi_queue=True), "anti_spoof": True}),
    ({"bond": {"links": ["a", "b"], "failOverMac": "active"}, "ipam": None},
     {"kind": "bond", "mac": "", "detail": BondDetail(parts=["a", "b"], fail_over_mac="active")}),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "wanted"), LINKS)
def test_the_shape_of_a_link(world: World, spec: dict[str, Any], wanted: dict[str, Any]) -> None:
    config = network_config("n", **spec)
    world.add(config)
    box = sandbox("n")
    if config.spec.bond:
        with pytest.raises(AttachError, match="made of interface a, which no earlier entry"):
            asked.of_sandbox(box, world)
        return
    link = _planned(world, config).link
    assert {key: getattr(link, key) for key in wanted} == wanted
    assert plan.link(link).vlan == link.vlan


def test_a_routed_pod_reaches_all_through_the_node(world: World) -> None:
    routes = [{"destination": "10.9.0.0/16"}, {"destination": "10.8.0.0/16", "gateway": "10.1.0.7"}]
    config = network_config("n", routed={}, ipam=DUAL, routes=routes)
    made = _planned(world, config, isDefaultGW4=True, isDefaultGW6=True)
    hop4, hop6 = (str(hop) for hop in kind_module.next_hops(config))
    assert ipaddress.ip_address(hop4) in ipaddress.ip_network("169.254.192.0/18")
    assert made.link.addresses == ["10.1.0.5/32", "fd01::5/128"]
    assert [(route.destination, route.gateway) for route in made.link.routes] == [
        (f"{hop4}/32", ""), ("10.1.0.0/24", hop4), ("fd01::/64", hop6), ("10.9.0.0/16", hop4), ("10.8.0.0/16", hop4),
    ]  # fmt: skip
    assert made.link.default_gateways == [hop4, hop6] == made.gateways
    assert made.link.detail == RoutedDetail(gateways=[hop4, hop6])


def test_next_hops_of_networks_differ() -> None:
    hops = {kind_module.next_hops(network_config(f"n{number}"))[0] for number in range(50)}
    assert len(hops) == 50


def test_a_next_hop_only_for_families_that_the_pod_has(world: World) -> None:
    config = network_config("n", routed={})
    assert [ipaddress.ip_address(hop).version for hop in _planned(world, config).gateways] == [4]
    with pytest.raises(AttachError, match="no IPv6 gateway"):
        _planned(world, config, isDefaultGW6=True)


def test_ipvlan_in_layer_3_needs_no_gateway(world: World) -> None:
    config = network_config("n", ipvlan={"mode": "l3"}, ipam={"ranges": [{"cidr": "10.1.0.0/24"}]}, **ETH1)
    made = _planned(world, config, isDefaultGW4=True)
    assert made.link.default_gateways == [str(kind_module.next_hops(config)[0])]
    assert made.link.addresses == ["10.1.0.5/24"]


def test_a_guests_gateway_is_told_and_routed_nowhere(world: World) -> None:
    made = _planned(world, network_config("n", tap={}), isDefaultGW4=True)
    assert (made.gateways, made.link.default_gateways) == (["10.1.0.1"], [])


def test_a_socket_of_its_own_for_each_interface(world: World) -> None:
    made = _planned(world, network_config("n", userspace={"type": "memif", "role": "client"}))
    assert made.link.detail == UserspaceDetail(
        protocol="memif", role="client", directory="/run/kni/userspace/s1/net1", mount="/run/podnet/net1",
        socket="memif.sock", pod="ns/p", network="n",
    )  # fmt: skip
    assert made.link.mac.startswith("02:")


@pytest.mark.parametrize(
    ("spec", "own", "words"),
    [
        ({"ipvlan": {}, **ETH1}, {"mac": "02:00:00:00:00:01"}, "spec.mac of AttachmentConfig ns/own is not supported"),
        ({"macvlan": {"mode": "passthru"}, **ETH1}, {"mac": "02:00:00:00:00:01"}, "not supported by mode passthru"),
        ({"macvtap": {"mode": "passthru"}, **ETH1}, {"mac": "02:00:00:00:00:01"}, "not supported by mode passthru"),
        ({"tap": {}}, {"routes": [{"destination": "10.9.0.0/16"}]}, "spec.routes of AttachmentConfig"),
        ({"vrf": {"table": 7}}, {"mac": "02:00:00:00:00:01"}, "spec.mac of AttachmentConfig"),
    ],
)
def test_what_a_kind_cannot_do_is_refused_by_name(
    world: World, spec: dict[str, Any], own: dict[str, Any], words: str
) -> None:
    with pytest.raises(AttachError, match=words) as caught:
        _planned(world, network_config("n", **spec), own=own)
    assert caught.value.reason == reasons.PARAMS_UNSUPPORTED


def test_details_cross_json() -> None:
    every = [
        RoutedDetail(gateways=["169.254.192.1"], proxy="eth1"), TapDetail(owner=1), MacvtapDetail(group=2),
        BondDetail(parts=["a", "b"]), VrfDetail(parts=["a"], table=7),
        UserspaceDetail(protocol="memif", role="server", directory="/d", mount="/m", socket="s"),
    ]  # fmt: skip
    for detail in every:
        record = _record(detail)
        assert msgspec.json.decode(msgspec.json.encode(record), type=InterfaceRecord) == record


def _record(detail: Any) -> InterfaceRecord:
    link = {"kind": "x", "name": "net1", "master": "", "mac": "", "mtu": 0}
    made = msgspec.convert({"network": "n", "config": "n", "link": link}, InterfaceRecord)
    return msgspec.structs.replace(made, link=msgspec.structs.replace(made.link, detail=detail))
