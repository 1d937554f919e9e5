"""Files with objects of other systems: what gives way, what stays because its controller reads it, what a Pod keeps."""

from __future__ import annotations

import json
from unittest import mock

import pytest
import yaml
from podnet_api import names
from podnet_compat.manifests import rewrite
from podnet_compat.migrate import foreign
from podnet_compat.migrate.report import Outcome
from podnet_tests import ovn_examples
from podnet_tests.fieldwalk import Example
from podnet_tests.foreign_objects import DECIDED, NETWORKS, Object, item, nad, pod
from podnet_tests.kubevirt_examples import POD, machine, multus
from podnet_tests.npwg_examples import agent, antrea, tf
from podnet_tests.translations import EXAMPLES


def after(*objects: Object) -> list[Object]:
    """The objects of the file with ``objects``."""
    made = rewrite.rewrite({"f.yaml": yaml.safe_dump_all(objects)}, "a")
    assert made.errors == ()
    return list(yaml.safe_load_all(made.texts["f.yaml"]))


def kinds(found: list[Object]) -> list[str]:
    return sorted(one["kind"] for one in found)


def the_pod(found: list[Object]) -> tuple[list[str], list[str]]:
    """Networks and annotations of the one Pod."""
    [one] = [one for one in found if one["kind"] == "Pod"]
    return [entry["podNetworkName"] for entry in one["spec"]["networks"]], list(one["metadata"].get("annotations", {}))


@pytest.mark.parametrize(
    "its",
    [
        ovn_examples.overlay(),
        ovn_examples.udn(ovn_examples.layer2(), "net"),
        ovn_examples.kube("Vpc", "blue"),
        item("cilium.io/v2alpha1", "CiliumPodIPPool", "blue", {"ipv4": {"cidrs": ["10.1.0.0/16"], "maskSize": 24}}),
        item("networking.gke.io/v1", "Network", "default", {"type": "Default"}),
    ],
    ids=lambda its: f"{its['kind']}-{its['metadata']['name']}",
)
def test_what_its_controller_reads_stays(its: Object) -> None:
    assert its in after(its)


def test_ovn_kubernetes_goes_on_reading_the_pod() -> None:
    """Its plugin finds the Pod's element by the NAD, so both stay, and the list stands beside them."""
    found = after(ovn_examples.overlay(), pod({NETWORKS: "net"}))
    assert kinds(found).count("PodNetwork") == 1
    assert the_pod(found) == (["default", "tenant"], [NETWORKS])


def test_what_becomes_native_loses_its_annotation() -> None:
    virtual = tf(cidr="10.1.0.0/24")
    virtual["metadata"]["annotations"][DECIDED] = "blue"
    for theirs in ([virtual], [antrea(vlan=7), agent("eth1")]):
        assert the_pod(after(*theirs, pod({NETWORKS: "net"}))) == (["default", "a.net"], [])


def test_a_machine_keeps_its_place_and_says_the_list_in_an_annotation() -> None:
    """Its template has no spec.networks of Pods: KubeVirt hands the annotations to the Pod."""
    vm = machine([POD, multus("red", "net1")], {"name": "default", "masquerade": {}}, {"name": "red", "bridge": {}})
    template = {"spec": vm["spec"]}
    whole = item("kubevirt.io/v1", "VirtualMachine", "vm", {"running": True, "template": template}, "a")
    found = after(nad("net1", {"type": "macvlan", "master": "eth1"}), whole)
    [its] = [one for one in found if one["kind"] == "VirtualMachine"]
    text = its["spec"]["template"].pop("metadata")["annotations"][names.NETWORKS_ANNOTATION]
    assert [entry["podNetworkName"] for entry in json.loads(text)] == ["default", "a.net1"]
    assert its == whole


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_files_are_translated_once(example: Example) -> None:
    """Another run finds the lists, and the native objects of what stays, and changes nothing."""
    first = rewrite.rewrite({"f.yaml": yaml.safe_dump_all(example.objects)}, "a")
    assert rewrite.rewrite(first.texts, "a") == rewrite.Rewritten(first.texts, first.errors, mock.ANY)


def test_kube_ovn_goes_on_reading_its_nads() -> None:
    found = after(ovn_examples.kubeovn(), pod({NETWORKS: "net"}))
    assert kinds(found) == ["NetworkAttachmentDefinition", "NetworkConfig", "Pod", "PodNetwork"]
    assert the_pod(found) == (["default", "a.net"], [NETWORKS])


def test_a_native_object_that_is_there_is_left() -> None:
    own = item("multinetwork.x-k8s.io/v1alpha1", "PodNetwork", "tenant", {"provider": "x/y"})
    made = rewrite.rewrite({"f.yaml": yaml.safe_dump_all([ovn_examples.overlay(), own])}, "a")
    assert [one["spec"] for one in yaml.safe_load_all(made.texts["f.yaml"]) if one["kind"] == "PodNetwork"] == [
        {"provider": "x/y"}
    ]
    assert any("PodNetwork tenant is there already, and says otherwise" in text for text in made.warnings)


def test_a_plan_names_what_stays() -> None:
    """A row for each object of another system, also for one that its controller goes on reading."""
    [row] = foreign.rows([ovn_examples.kube("Vpc", "blue", namespaces=["a"])], "a")
    assert (row.kind, row.name, row.outcome) == ("Vpc", "blue", Outcome.DIFFERS)
