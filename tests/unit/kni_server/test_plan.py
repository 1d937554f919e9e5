"""Planning as tables: what a Pod gets, and every reason why it gets nothing."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest
from podnet_api import names, reasons
from podnet_kni_server import asked, kinds, plan
from podnet_kni_server.errors import AttachError
from podnet_kni_server.kinds import bridge
from podnet_tests.kni_world import World, network_config, pod_network, sandbox


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.add(network_config("blue"))
    return made


def test_the_default_network_is_the_clusters(world: World) -> None:
    assert asked.of_sandbox(sandbox("default"), world) == ()
    [request] = asked.of_sandbox(sandbox("default", "blue"), world)
    assert (request.network, request.interface, request.leased_versions) == ("blue", "net1", (4,))


@pytest.mark.parametrize(
    ("entries", "reason", "words"),
    [
        (["red"], reasons.NETWORK_NOT_FOUND, "PodNetwork red does not exist"),
        ([{"podNetworkAttachmentName": "a"}], reasons.ATTACHMENT_NOT_FOUND, "PodNetworkAttachment ns/a"),
        (["off"], reasons.NETWORK_DISABLED, "off is disabled"),
        (["foreign"], reasons.NETWORK_NOT_READY, "served by example.com/x"),
        (["hollow"], reasons.PARAMS_NOT_FOUND, "NetworkConfig 'nowhere'"),
        (["odd"], reasons.DATAPATH_UNSUPPORTED, "datapath vrf"),
        (["blue", {"podNetworkAttachmentName": "again"}], reasons.DUPLICATE_NETWORK, "named twice"),
        ([{"podNetworkAttachmentName": "rich"}], reasons.PARAMS_UNSUPPORTED, "spec.cniArgs"),
        ([{"podNetworkName": "blue", "colour": 1}], reasons.INVALID_NETWORKS, "[0].colour"),
    ],
)
def test_what_is_missing_is_named(
    world: World, entries: list[Any], reason: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "KINDS", {key: kind for key, kind in kinds.KINDS.items() if key != "vrf"})
    world.add(network_config("off"), pod_network("off", enabled=False))
    world.add(network_config("foreign"), pod_network("foreign", provider="example.com/x"))
    world.networks["hollow"] = pod_network("hollow", "nowhere")
    world.add(network_config("odd", vrf={"table": 7}, ipam=None))
    world.attachment_of("again", "blue")
    world.attachment_of("rich", "blue", cniArgs={"a": "1"})
    with pytest.raises(AttachError) as caught:
        asked.of_sandbox(sandbox(*entries), world)
    assert caught.value.reason == reason
    assert str(caught.value).startswith("cannot attach Pod ns/p: ")
    assert words in str(caught.value)


def test_a_list_that_is_not_json_names_the_annotation(world: World) -> None:
    broken = sandbox(annotations={names.NETWORKS_ANNOTATION: "blue"})
    with pytest.raises(AttachError, match=r"multinetwork\.x-k8s\.io/networks") as caught:
        asked.of_sandbox(broken, world)
    assert caught.value.reason == reasons.INVALID_NETWORKS


def test_an_interface_carries_what_network_and_attachment_ask(world: World) -> None:
    ranges = [{"cidr": "10.2.0.0/24", "gateway": "10.2.0.1"}, {"cidr": "fd02::/64", "gateway": "fd02::1"}]
    routes = [{"destination": "10.9.0.0/16", "gateway": "10.2.0.1"}]
    world.add(network_config("green", ipam={"ranges": ranges}, routes=routes, mtu=1400))
    world.attachment_of("mine", "green", mac="02:00:00:00:00:07", routes=[{"destination": "fd09::/48"}])
    entry = {"podNetworkAttachmentName": "mine", "interfaceName": "fast", "isDefaultGW6": True}
    box = sandbox(entry)
    [request] = asked.of_sandbox(box, world)
    leased = [ipaddress.ip_address("10.2.0.5"), ipaddress.ip_address("fd02::5")]
    made = plan.interface(box, request, leased, 1450)
    link = plan.link(made.link)
    assert [str(a) for a in link.addresses] == ["10.2.0.5/24", "fd02::5/64"]
    assert [(str(r.destination), str(r.gateway)) for r in link.routes] == [
        ("10.9.0.0/16", "10.2.0.1"),
        ("fd09::/48", "None"),
    ]
    assert [str(g) for g in link.default_gateways] == ["fd02::1"]
    assert (link.name, link.mac, link.mtu, link.master) == ("fast", "02:00:00:00:00:07", 1400, "pn-green")
    assert made.gateways == ["10.2.0.1", "fd02::1"]


def test_a_default_route_needs_a_gateway(world: World) -> None:
    box = sandbox({"podNetworkName": "blue", "isDefaultGW6": True})
    [request] = asked.of_sandbox(box, world)
    with pytest.raises(AttachError, match="no IPv6 gateway"):
        plan.interface(box, request, [ipaddress.ip_address("10.1.0.5")], 1450)


@pytest.mark.parametrize(
    ("texts", "pool", "given"),
    [
        (["10.1.0.9"], "10.1.0.0/24", "10.1.0.9/24"),
        (["10.1.0.9/30"], "10.1.0.0/24", "10.1.0.9/30"),
        (["192.0.2.1"], None, "192.0.2.1/32"),
    ],
)
def test_static_addresses_take_the_length_of_their_range(
    world: World, texts: list[str], pool: str | None, given: str
) -> None:
    world.add(network_config("s", ipam={"ranges": [{"cidr": pool}]} if pool else None))
    world.attachment_of("fixed", "s", addresses=texts)
    [request] = asked.of_sandbox(sandbox({"podNetworkAttachmentName": "fixed"}), world)
    assert [str(a) for a in request.static] == [given]
    assert request.leased_versions == ()


def test_a_static_address_leaves_the_other_family_to_the_pool(world: World) -> None:
    world.add(network_config("dual", ipam={"ranges": [{"cidr": "10.4.0.0/24"}, {"cidr": "fd04::/64"}]}))
    world.attachment_of("six", "dual", addresses=["fd04::9"])
    box = sandbox({"podNetworkAttachmentName": "six"})
    [request] = asked.of_sandbox(box, world)
    assert request.leased_versions == (4,)
    made = plan.interface(box, request, [ipaddress.ip_address("10.4.0.3")], 1500)
    assert made.link.addresses == ["10.4.0.3/24", "fd04::9/64"]


def test_names_of_devices_fit_the_kernel() -> None:
    for name in ("b", "blue", "x" * 12, "x" * 13, "a.very.long.name.of.a.network"):
        assert len(bridge.bridge_name(network_config(name))) <= 15
    assert bridge.bridge_name(network_config("b", bridge={"name": "lan0"})) == "lan0"


def test_a_macvlan_needs_only_its_uplink() -> None:
    config = network_config("m", macvlan={}, uplink={"interface": "eth1"}, antiSpoof=False)
    assert kinds.KINDS[kinds.datapath_of(config)].node(config, None, []).kind == "uplink"


def test_a_bridge_holds_its_gateways_and_masquerades() -> None:
    config = network_config("b", bridge={"gateway": True, "ipMasq": True})
    link = kinds.KINDS[kinds.datapath_of(config)].node(config, None, [])
    assert [str(g) for g in link.gateways] == ["10.1.0.1/24"]
    assert [str(n) for n in link.masquerade] == ["10.1.0.0/24"]
