"""Virtual machines of KubeVirt: which networks their Pods get, and what stays KubeVirt's."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_compat.systems import kubevirt
from podnet_tests import fieldwalk, kubevirt_examples
from podnet_tests.foreign_objects import asked, item, listed, nad, run
from podnet_tests.kubevirt_examples import MAC, POD, machine, multus


def test_a_secondary_network_with_a_mac() -> None:
    """Case 14 of the field notes."""
    vm = machine(
        [POD, multus("red", "infra/net1")], {"name": "default", "masquerade": {}}, {"name": "red", "macAddress": MAC}
    )
    outcome = run(vm)
    assert listed(outcome) == ["default@eth0!", "infra.net1@podb1f51a511f1+"]
    assert asked(outcome) == {"vm-0": {"mac": MAC}}
    assert not outcome.errors


def test_the_list_is_in_the_template_of_a_machine_and_a_pool() -> None:
    template = {k: v for k, v in machine([POD, multus("red", "net1")]).items() if k == "spec"}
    vm = item("kubevirt.io/v1", "VirtualMachine", "vm", {"running": True, "template": template}, "a")
    pool = item(
        "pool.kubevirt.io/v1alpha1", "VirtualMachinePool", "vm",
        {"virtualMachineTemplate": {"spec": {"template": template}}}, "a",
    )  # fmt: skip
    for one, keys in ((vm, ["spec", "template"]), (pool, ["spec", "virtualMachineTemplate", "spec", "template"])):
        outcome = run(one)
        assert listed(outcome) == ["default@eth0!", "a.net1@podb1f51a511f1"]
        [found] = outcome.changed
        for key in keys:
            found = found[key]
        assert "multinetwork.x-k8s.io/networks" in found["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        ([multus("red", "net1")], ["default@eth0!", "a.net1@podb1f51a511f1"]),
        ([multus("red", "net1", default=True)], ["a.net1@eth0!"]),
        ([multus("red", "b/net1", default=True), multus("blue", "net2")],
         ["b.net1@eth0!", f"a.net2@{kubevirt.interface_name('blue')}"]),
        ([POD, multus("one", "net1"), multus("two", "net1")],
         ["default@eth0!", f"a.net1@{kubevirt.interface_name('one')}", f"a.net1-2@{kubevirt.interface_name('two')}"]),
    ],
)  # fmt: skip
def test_lists(networks: list[dict[str, Any]], expected: list[str]) -> None:
    assert listed(run(machine(networks))) == expected


def test_an_absent_interface_is_not_attached_and_up_and_down_are_the_guests() -> None:
    networks = [POD, *(multus(name, name) for name in ("gone", "down", "up"))]
    states = [{"name": "gone", "state": "absent"}, {"name": "down", "state": "down"}, {"name": "up", "state": "up"}]
    outcome = run(machine(networks, {"name": "default"}, *states))
    assert [one.split("@")[0] for one in listed(outcome)] == ["default", "a.down", "a.up"]
    assert any("interfaces[1].state: absent" in line for line in outcome.warnings)
    assert any("interfaces[2].state: down: the link that the guest sees" in line for line in outcome.warnings)


def test_a_network_of_ovn_kubernetes_has_its_name() -> None:
    config = {"type": "ovn-k8s-cni-overlay", "name": "tenant", "netAttachDefName": "a/net1", "topology": "layer2"}
    assert listed(run(machine([POD, multus("red", "net1")]), nad("net1", config)))[1] == "tenant@podb1f51a511f1"


@pytest.mark.parametrize(
    ("networks", "interfaces", "path"),
    [
        ([POD, multus("red", "x")], [{"name": "default"}], "spec.networks[1].name"),
        ([POD], [{"name": "default"}, {"name": "red"}], "spec.domain.devices.interfaces[1].name"),
        ([POD, POD], [{"name": "default"}], "spec.networks[1].name"),
        ([multus("red", "a/b/c")], [{"name": "red"}], "spec.networks[0].multus.networkName"),
        ([multus("red", "")], [{"name": "red"}], "spec.networks[0].multus.networkName"),
        ([{"name": "red", "pod": {}, "multus": {"networkName": "x"}}], [{"name": "red"}], "spec.networks[0]"),
        ([POD], [{"name": "default", "bridge": {}, "sriov": {}}], "spec.domain.devices.interfaces[0]"),
        ([POD], [{"name": "default", "sriov": {}}], "spec.domain.devices.interfaces[0].sriov"),
        ([POD], [{"name": "default", "state": "sideways"}], "spec.domain.devices.interfaces[0].state"),
        ([multus("red", "x")], [{"name": "red", "macAddress": "nonsense"}],
         "spec.domain.devices.interfaces[0].macAddress"),
        ([POD], [{"name": "default", "novel": 1}], "spec.domain.devices.interfaces[0].novel"),
    ],
)  # fmt: skip
def test_errors(networks: list[dict[str, Any]], interfaces: list[dict[str, Any]], path: str) -> None:
    [error] = run(machine(networks, *interfaces)).errors
    assert f"{path}: " in error


def test_no_field_vanishes() -> None:
    assert fieldwalk.walk(kubevirt_examples.EXAMPLES[0]) == []
