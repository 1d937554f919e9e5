"""A Pod with ``v1.multus-cni.io/default-network`` on its way through both webhooks: compat's, then the API's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from podnet_api import core, networks
from podnet_api import names as api_names
from podnet_api.admission import Allow
from podnet_api.meta import ObjectMeta
from podnet_api.webhook import pods as native
from podnet_compat import names
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad, NadSpec

PRIMARY = {"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}
BRIDGE = {"type": "bridge", "bridge": "br1", "ipam": {"type": "host-local", "subnet": "10.2.0.0/24"}}
CONFIGS = {("kube-system", "primary"): PRIMARY, ("test", "net1"): BRIDGE}


def _find(namespace: str, name: str) -> Nad | None:
    config = CONFIGS.get((namespace, name))
    meta = ObjectMeta(name=name, namespace=namespace, uid=f"uid-{name}")
    return Nad(metadata=meta, spec=NadSpec(config=json.dumps(config))) if config else None


def _item(**annotations: str) -> dict[str, Any]:
    """The Pod as the second webhook gets it from the first."""
    pod = core.Pod(metadata=ObjectMeta(name="web", namespace="test", annotations=annotations))
    made = pods.translate(pods.read(pod, "test"), _find)
    added = {api_names.NETWORKS_ANNOTATION: networks.encode(made.networks)} if made.networks else {}
    return {"metadata": {"annotations": {**annotations, **added}}, "spec": {"containers": [{"name": "app"}]}}


@pytest.mark.parametrize("more", [{}, {names.NETWORKS: "net1"}])
def test_through_both_webhooks(more: dict[str, str]) -> None:
    item = _item(**{names.DEFAULT_NETWORK: "primary", **more})
    answer = native.created(item, lambda name: None, cni_shim=True)
    assert isinstance(answer, Allow), answer
    paths = {step["path"]: step["value"] for step in answer.patch}
    assert native.annotation_path(api_names.NETWORKS_ANNOTATION) not in paths, "the list is explicit already"
    listed = networks.parse(item["metadata"]["annotations"][api_names.NETWORKS_ANNOTATION])
    assert listed[0].pod_network_name == "kube-system.primary"
    assert listed[0].interface_name == api_names.DEFAULT_INTERFACE
    assert listed[0].is_default_gw4
    assert api_names.DEFAULT_NETWORK not in [network.pod_network_name for network in listed]
    wanted = json.dumps(paths["/spec/affinity"])
    assert all(api_names.node_label(network.pod_network_name) in wanted for network in listed)
    assert paths[native.annotation_path(api_names.REQUIRED_PLUGINS_ANNOTATION)]


def test_nodes_without_the_shim_refuse_it() -> None:
    faults = native.created(_item(**{names.DEFAULT_NETWORK: "primary"}), lambda name: None, cni_shim=False)
    assert not isinstance(faults, Allow)
    assert [fault.path for fault in faults] == [f"{networks.PATH}[0].interfaceName"]
    assert "CNI shim" in faults[0].message


def test_the_list_is_not_changed_a_second_time() -> None:
    item = _item(**{names.DEFAULT_NETWORK: "primary"})
    answer = native.created(item, lambda name: None, cni_shim=True)
    assert isinstance(answer, Allow)
    for step in answer.patch:
        key = step["path"].removeprefix("/metadata/annotations/").replace("~1", "/")
        if step["path"].startswith("/metadata/annotations/"):
            item["metadata"]["annotations"][key] = step["value"]
        elif step["path"] == "/spec/affinity":
            item["spec"]["affinity"] = step["value"]
        else:
            item["spec"]["containers"][0]["resources"] = step["value"]
    assert native.created(item, lambda name: None, cni_shim=True) == Allow()
    assert native.final_faults(item, lambda name: None, cni_shim=True) == ()
