"""Kube-OVN: its kinds stay its own, its NADs are attached by its plugin, the keys of a NIC in three forms."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_tests import fieldwalk, ovn_examples
from podnet_tests.foreign_objects import NETWORKS, asked, listed, nad, pod, run
from podnet_tests.ovn_examples import kube, kubeovn

K = "kubernetes.io"


@pytest.mark.parametrize(
    ("networks", "keys", "expected", "wanted"),
    [
        ("net", {}, ["a.net@net1"], []),
        ("net", {f"net.a.ovn.{K}/ip_address": "10.9.0.5"}, ["a.net@net1+"], [{"addresses": ["10.9.0.5"]}]),
        ("net", {f"net.a.ovn.{K}/ip_address": "10.9.0.5,fd00::5", f"net.a.ovn.{K}/mac_address": "02-00-00-00-00-01"},
         ["a.net@net1+"], [{"addresses": ["10.9.0.5", "fd00::5"], "mac": "02:00:00:00:00:01"}]),
        ("net@left", {f"net.a.{K}/ip_address.left": "10.9.0.5", f"net.a.{K}/mac_address.left": "02:00:00:00:00:01"},
         ["a.net@left+"], [{"addresses": ["10.9.0.5"], "mac": "02:00:00:00:00:01"}]),
        ("net@left,net@right",
         {f"net.a.ovn.left.{K}/ip_address": "10.9.0.5", f"net.a.{K}/ip_address.right": "10.9.0.6"},
         ["a.net@left+", "a.net-2@right+"], [{"addresses": ["10.9.0.5"]}, {"addresses": ["10.9.0.6"]}]),
        ("net", {f"net.a.ovn.{K}/ip_pool": "10.9.0.5"}, ["a.net@net1+"], [{"addresses": ["10.9.0.5"]}]),
        ("net", {f"net.a.ovn.{K}/ip_pool": "10.9.0.5,fd00::5"}, ["a.net@net1+"],
         [{"addresses": ["10.9.0.5", "fd00::5"]}]),
        ("net", {f"net.a.ovn.{K}/ip_pool": "10.9.0.5,10.9.0.6"}, ["a.net@net1"], []),
        ("net", {f"net.a.ovn.{K}/ip_pool": "10.9.0.5,fd00::5;10.9.0.6,fd00::6"}, ["a.net@net1"], []),
        ("net", {f"net.a.ovn.{K}/ip_pool": "pool1"}, ["a.net@net1"], []),
        ("net", {f"net.a.ovn.{K}/default_route": "true"}, ["a.net@net1!"], []),
        ("net", {f"net.a.ovn.{K}/default_route": "true", f"net.a.ovn.{K}/ip_address": "fd00::5"},
         ["a.net@net1+!6"], [{"addresses": ["fd00::5"]}]),
        ("net", {f"ovn.{K}/ip_address": "10.16.0.5"}, ["a.net@net1"], []),
        ([{"name": "net", "ips": ["10.9.0.5"]}], {f"net.a.ovn.{K}/ip_address": "10.9.0.5"}, ["a.net@net1+"],
         [{"addresses": ["10.9.0.5"]}]),
    ],
)  # fmt: skip
def test_keys(networks: Any, keys: dict[str, str], expected: list[str], wanted: list[Any]) -> None:
    outcome = run(pod({NETWORKS: networks, **keys}), kubeovn())
    assert not outcome.errors
    assert [one for one in listed(outcome) if not one.startswith("default")] == expected
    assert list(asked(outcome).values()) == wanted


def test_a_pool_means_one_of() -> None:
    outcome = run(pod({NETWORKS: "net", f"net.a.ovn.{K}/ip_pool": "10.9.0.5,10.9.0.6"}), kubeovn())
    [said] = [line for line in outcome.warnings if "ip_pool]" in line]
    assert "means one of these addresses, which Kube-OVN's controller chooses" in said


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({f"net.a.ovn.{K}/ip_address": "10.9.0.500"}, f'net.a.ovn.{K}/ip_address]: Invalid value: "10.9.0.500"'),
        ({f"net.a.ovn.{K}/ip_address": "10.9.0.5,10.9.0.6"}, "a Pod gets one address per family"),
        ({f"net.a.ovn.{K}/mac_address": "x"}, f'net.a.ovn.{K}/mac_address]: Invalid value: "x"'),
        ({NETWORKS: [{"name": "net", "ips": ["10.9.0.5"]}], f"net.a.ovn.{K}/ip_address": "10.9.0.6"},
         "[0].ips: Invalid value: [\"10.9.0.5\"]: contradicts the Pod's other annotation"),
        ({NETWORKS: "nobody"}, "cannot find a network-attachment-definition (nobody)"),
    ],
)  # fmt: skip
def test_keys_that_are_refused(keys: dict[str, Any], words: str) -> None:
    outcome = run(pod({NETWORKS: "net", **keys, f"ovn.{K}/snat": "x"}), kubeovn())
    assert any(words in error for error in outcome.errors), outcome.errors


def test_keys_of_eth0_alone_leave_the_pod_alone() -> None:
    outcome = run(pod({f"ovn.{K}/logical_switch": "s", f"ovn.{K}/ip_address": "10.16.0.5"}))
    assert (outcome.changed, outcome.errors, len(outcome.rest)) == ([], [], 1)
    assert len(outcome.warnings) == 2
    assert all("stays Kube-OVN's" in line for line in outcome.warnings)


def test_a_key_of_no_network_of_the_pod_is_named() -> None:
    outcome = run(pod({NETWORKS: "net", f"other.a.ovn.{K}/ip_address": "10.9.0.5"}), kubeovn())
    [said] = [line for line in outcome.warnings if "other.a.ovn" in line]
    assert "the Pod selects no such network or interface" in said


def test_networks_of_others_have_no_such_keys() -> None:
    plain = nad("plain", {"type": "macvlan", "master": "eth1"})
    outcome = run(pod({NETWORKS: "net,plain", f"plain.a.{K}/ip_address": "10.9.0.5"}), kubeovn(), plain)
    assert listed(outcome) == ["default@eth0!", "a.net@net1", "a.plain@net2"]
    assert any("plain.a.kubernetes.io/ip_address]: has no effect" in line for line in outcome.warnings)


def test_addresses_of_kube_ovn_on_another_plugin() -> None:
    mixed = nad("net", {"type": "macvlan", "master": "eth1", "ipam": {"type": "kube-ovn", "provider": "net.a"}})
    outcome = run(pod({NETWORKS: "net", f"net.a.{K}/ip_address": "10.9.0.5"}), mixed)
    assert list(asked(outcome).values()) == [{"addresses": ["10.9.0.5"]}]


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([kube("Subnet", "s", cidrBlock="10.9.0.0/99")], 'spec.cidrBlock: Invalid value: "10.9.0.0/99"'),
        ([kube("Subnet", "s", cidrBlock="10.9.0.0/16", gateway="x")], 'spec.gateway: Invalid value: "x"'),
        ([kube("Subnet", "s", cidrBlock="10.9.0.0/16", protocol="IPv5")], "spec.protocol: Invalid value"),
        ([kube("Subnet", "s", cidrBlock="10.9.0.0/16", protocol="Dual")], "protocol Dual needs two"),
        ([kube("Subnet", "s", cidrBlock="10.9.0.0/16", provider="no.a.ovn")], "spec.provider: Not found"),
        ([kube("Vlan", "v", id=5000)], "spec.id: Invalid value: 5000"),
        ([kube("Vlan", "v", id=5, provider="nobody")], "spec.provider: Not found"),
        ([kube("ProviderNetwork", "p")], "spec.defaultInterface: Required value"),
        ([kube("IPPool", "p", subnet="nobody")], "spec.subnet: Not found"),
    ],
)  # fmt: skip
def test_objects_that_are_refused(objects: list[dict[str, Any]], words: str) -> None:
    assert words in run(*objects).errors[0]


def test_a_subnet_says_whose_network_it_prepares() -> None:
    def said(*objects: dict[str, Any]) -> str:
        outcome = run(*objects)
        assert not outcome.made
        return outcome.warnings[0]

    assert "a subnet of the cluster's own network" in said(kube("Subnet", "s", cidrBlock="10.9.0.0/16"))
    bound = kube("Subnet", "s", cidrBlock="10.9.0.0/16", provider="net.a.ovn")
    assert "it prepares the network of NetworkAttachmentDefinition a/net" in said(bound, kubeovn())


@pytest.mark.parametrize("example", [e for e in ovn_examples.EXAMPLES if "kube" in e.name], ids=lambda e: e.name)
def test_no_field_vanishes(example: fieldwalk.Example) -> None:
    assert fieldwalk.walk(example) == []
