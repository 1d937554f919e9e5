"""Plain CNI files: overlay, routed and underlay set-ups; the plugin userspace."""

from __future__ import annotations

import json
from typing import Any

import pytest
from podnet_tests import cni_examples, fieldwalk
from podnet_tests.cni_examples import FLANNEL, LOCAL, conf, config_map, conflist, flannel, userspace
from podnet_tests.foreign_objects import configs, nad, networks, run

POOL = {"ranges": [{"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}]}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (conf("under", "macvlan", master="eth1", ipam=LOCAL),
         {"macvlan": {}, "uplink": {"interface": "eth1"}, "ipam": POOL, "antiSpoof": False}),
        (conf("under", "ipvlan", master="eth1", mode="l3", ipam=LOCAL),
         {"ipvlan": {"mode": "l3"}, "uplink": {"interface": "eth1"}, "ipam": POOL, "antiSpoof": False}),
        (conf("under", "vlan", master="eth1", vlanId=7),
         {"vlan": {"vid": 7, "mode": "direct"}, "uplink": {"interface": "eth1"}, "antiSpoof": False}),
        (conf("under", "host-device", device="eth3"), {"hostDevice": {"name": "eth3"}, "antiSpoof": False}),
        (conf("routed", "ptp", ipam=LOCAL),
         {"routed": {}, "ipam": {**POOL, "scope": "node"}, "antiSpoof": False}),
        (conflist("local", {"type": "bridge", "bridge": "br1", "ipam": LOCAL}),
         {"bridge": {"name": "br1"}, "ipam": {**POOL, "scope": "node"}, "antiSpoof": False}),
    ],
)  # fmt: skip
def test_what_a_networkconfig_says_is_native(file: dict[str, Any], expected: dict[str, Any]) -> None:
    outcome = run(file)
    assert not outcome.errors
    assert configs(outcome) == {file["name"]: expected}
    assert networks(outcome) == {file["name"]: file["name"]}


@pytest.mark.parametrize(
    "file",
    [FLANNEL, conf("calico", "calico", ipam={"type": "calico-ipam"}), conf("terway", "terway", eniip_virtual_type="x"),
     conf("under", "macvlan", ipam=LOCAL)],
)  # fmt: skip
def test_all_else_is_the_plugins(file: dict[str, Any]) -> None:
    """The text reaches them as it is."""
    outcome = run(file)
    [(name, spec)] = configs(outcome).items()
    assert name == file["name"]
    assert json.loads(spec["cni"]["config"]) == file
    assert any("the CNI plugins of the nodes attach it" in line for line in outcome.warnings)


def test_names_become_those_of_objects() -> None:
    assert networks(run(conf("Net_1", "macvlan", master="eth1"))) == {"net-1": "net-1"}
    assert networks(run(conf("default", "macvlan", master="eth1"))) == {"cni-default": "cni-default"}
    assert "config.name: Invalid value" in run(conf("a b", "macvlan", master="eth1")).errors[0]


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (conf("n", "macvlan", master="a/b"), 'config.master: Invalid value: "a/b"'),
        (conf("n", "macvlan", master="eth1", ipam={"type": "host-local", "subnet": "10.0.0.0/99"}),
         'config.ipam.subnet: Invalid value: "10.0.0.0/99"'),
        (conflist("n"), "config.plugins: Invalid value"),
        (conf("n", ""), "config.type: Invalid value"),
    ],
)  # fmt: skip
def test_files_that_are_refused(file: dict[str, Any], words: str) -> None:
    assert words in run(file).errors[0]


def test_what_is_no_configuration_is_given_on() -> None:
    document = {"name": "x", "version": 2}
    assert run(document).rest == [document]


def test_overlay_and_routed_of_flannel() -> None:
    ipam = {"ranges": [{"cidr": "10.244.0.0/16"}, {"cidr": "fd00:244::/112"}], "blockPrefix4": 25, "blockPrefix6": 120}
    overlay = {"vxlan": {"vni": 5, "port": 8473}, "ipam": ipam, "mtu": 1400, "antiSpoof": False}
    assert configs(run(flannel(cni_examples.NET))) == {"cbr0": overlay}
    plain = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
    made = configs(run(flannel(plain)))["cbr0"]
    assert (made["vxlan"], made["ipam"]["blockPrefix4"]) == ({"vni": 1, "port": 8472}, 24)
    outcome = run(flannel(cni_examples.HOST_GW))
    assert configs(outcome) == {"cbr0": {"routed": {}, "ipam": ipam, "antiSpoof": False}}
    assert any("gives Pods of other nodes no route" in line for line in outcome.warnings)
    assert json.loads(configs(run(flannel(cni_examples.WIREGUARD)))["cbr0"]["cni"]["config"]) == FLANNEL


def test_files_in_a_configmap() -> None:
    agent = "logVerbosity: 0\n"
    two = {"10-a.conf": conf("a", "macvlan", master="eth1"), "20-b.conflist": FLANNEL, "agent.conf": agent}
    outcome = run(config_map(**two))
    assert sorted(configs(outcome)) == ["a", "cbr0"]
    assert any("data[agent.conf]: is not translated" in line for line in outcome.warnings)
    assert "data[a.conf]: Invalid value: is not JSON: line 1" in run(config_map(**{"a.conf": "{,}"})).errors[0]
    assert run(config_map(x="y")).rest


@pytest.mark.parametrize(
    ("host", "container", "expected"),
    [
        ({"iftype": "memif", "memif": {"role": "master"}}, None, {"type": "memif", "role": "client"}),
        ({"iftype": "memif", "memif": {"role": "slave"}}, None, {"type": "memif"}),
        ({"engine": "vpp", "iftype": "memif", "netType": "none"}, {"memif": {"role": "master"}}, {"type": "memif"}),
        ({"iftype": "vhostuser", "vhost": {"mode": "client"}}, None, {"type": "vhost-user"}),
        ({"iftype": "vhostuser", "vhost": {"mode": "server"}}, None, {"type": "vhost-user", "role": "client"}),
    ],
)
def test_a_socket_is_native(host: dict[str, Any], container: dict[str, Any] | None, expected: dict[str, Any]) -> None:
    outcome = run(userspace(host, container))
    assert not outcome.errors
    assert configs(outcome)["memif"]["userspace"] == expected


MEMIF = {"engine": "vpp", "iftype": "memif", "memif": {"role": "master"}}


@pytest.mark.parametrize(
    "given",
    [
        userspace({**MEMIF, "netType": "bridge", "bridge": {"bridgeName": "4"}}),
        userspace({**MEMIF, "netType": "interface"}),
        userspace({**MEMIF, "memif": {"role": "master", "mode": "ip"}}),
        userspace(MEMIF, sharedDir="/usr/local/var/run/openvswitch/"),
        userspace({"engine": "ovs-dpdk", "iftype": "vhostuser", "vhost": {"mode": "client", "group": "g"}}),
        userspace({"engine": "vpp", "iftype": "memif"}),
        userspace(MEMIF, ipam={**LOCAL, "routes": [{"dst": "10.2.0.0/16"}]}),
    ],
)
def test_what_must_be_programmed_is_the_plugins(given: dict[str, Any]) -> None:
    assert json.loads(configs(run(given))["memif"]["cni"]["config"]) == given


@pytest.mark.parametrize(
    ("host", "container", "words"),
    [
        ({"iftype": "tap"}, None, 'config.host.iftype: Invalid value: "tap"'),
        ({"engine": "dpdk", "iftype": "memif"}, None, 'config.host.engine: Invalid value: "dpdk"'),
        (MEMIF, {"memif": {"role": "master"}}, "config.container.memif.role: Invalid value"),
        ({"iftype": "memif", "memif": {"role": "boss"}}, None, 'config.host.memif.role: Invalid value: "boss"'),
        ({}, None, "config.host.iftype: Invalid value"),
    ],
)
def test_sockets_that_are_refused(host: dict[str, Any], container: dict[str, Any] | None, words: str) -> None:
    assert any(words in error for error in run(userspace(host, container)).errors)


def test_a_nad_of_type_userspace_is_read_in_the_same_way() -> None:
    from podnet_compat import legacy
    from podnet_compat import nad as nads

    found = nads.translate(legacy.nad(nad("net", {**userspace(MEMIF), "kubeconfig": "/x"})))
    assert found.config.spec.userspace is not None
    assert found.config.spec.userspace.type == "memif"
    assert any("kubeconfig: has no effect" in line for line in found.warnings)


@pytest.mark.parametrize("example", cni_examples.EXAMPLES, ids=lambda example: example.name)
def test_no_field_vanishes(example: fieldwalk.Example) -> None:
    assert fieldwalk.walk(example) == []
