"""Systems that are recognised and not translated."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_tests.foreign_objects import NETWORKS, item, nad, pod, run

KEYS = {
    "k8s.plugin.opnfv.org/nfn-network": "Nodus",
    "tke.cloud.tencent.com/networks": "TKE",
    "l2sm/networks": "L2S-M",
    "vpc.coreweave.cloud/name": "CoreWeave",
    "vpc.coreweave.cloud/kubernetes-networking": "CoreWeave",
    "yangtse.io/eippool": "Huawei CCE",
    "svc.dpu.nvidia.com/service": "NVIDIA DPF",
    "ipam.spidernet.io/ippools": "Spiderpool",
    "cni.spidernet.io/rdma-resource-inject": "Spiderpool",
    "net.juniper.net/x": "JCNR",
}


@pytest.mark.parametrize(("key", "name"), KEYS.items())
def test_a_key_is_named_and_the_pod_goes_on(key: str, name: str) -> None:
    outcome = run(pod({key: "x"}))
    [said] = outcome.warnings
    assert f"metadata.annotations[{key}]: belongs to {name}" in said
    assert "recognised and not translated" in said
    assert (outcome.errors, outcome.changed, len(outcome.rest)) == ([], [], 1)


@pytest.mark.parametrize(
    "given",
    [
        item("multinic.fms.io/v1", "MultiNicNetwork", "n", {"subnet": "x"}),
        item("spiderpool.spidernet.io/v2beta1", "SpiderMultusConfig", "n", {"cniType": "macvlan"}, "a"),
        item("svc.dpu.nvidia.com/v1alpha1", "DPUServiceNAD", "n", {}, "a"),
        item("l2sm.l2sm.k8s.local/v1", "L2Network", "n", {}, "a"),
        nad("n", {"type": "jcnr"}),
        nad("n", {"type": "multi-nic"}),
        nad("n", {"type": "eni-neutron"}),
    ],
)
def test_an_object_is_named(given: dict[str, Any]) -> None:
    outcome = run(given)
    assert not outcome.made
    assert "is recognised and not translated" in outcome.warnings[0]


@pytest.mark.parametrize(
    "annotations",
    [{NETWORKS: "galaxy-k8s-vlan", "k8s.v1.cni.galaxy.io/release-policy": "never"},
     {NETWORKS: "galaxy-flannel,galaxy-k8s-sriov"}],
)  # fmt: skip
def test_galaxy_means_something_else_by_the_list(annotations: dict[str, str]) -> None:
    outcome = run(pod(annotations))
    [error] = outcome.errors
    assert f"metadata.annotations[{NETWORKS}]: Unsupported value" in error
    assert "the list takes the place of the default network" in error
    assert not outcome.changed


def test_a_nad_that_is_called_like_galaxys_is_no_galaxys() -> None:
    outcome = run(pod({NETWORKS: "galaxy-flannel"}), nad("galaxy-flannel", {"type": "macvlan", "master": "eth1"}))
    assert not outcome.errors
