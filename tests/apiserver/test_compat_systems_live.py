"""podnet-compat --systems before a real API server: Pods of DANM and Genie get their lists as they are made.

The webhooks and the rights are those of the overlay compat-systems, as kustomize renders it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from podnet_compat import names
from podnet_tests import danm_examples, legacy_kinds, rendered
from podnet_tests.genie_examples import pod as genies

from .conftest import CRDS, REGISTRATION, free_port

PODS = "/api/v1/namespaces/default/pods"
NETS = "/apis/danm.io/v1/namespaces/default/danmnets"
COMPAT = "system:serviceaccount:podnet-system:podnet-compat"
LIST = "multinetwork.x-k8s.io/networks"
STATUS = "k8s.v1.cni.cncf.io/network-status"


@pytest.fixture(scope="module")
def live(apiserver: Any, spawn: Any) -> Iterator[Any]:
    """The API server with podnet-compat, its webhooks and a DanmNet."""
    port, objects = free_port(), rendered.overlay("compat-systems")
    _define(apiserver)
    for kind, plural in (("ClusterRole", "clusterroles"), ("ClusterRoleBinding", "clusterrolebindings")):
        for item in objects:
            if item["kind"] == kind and item["metadata"]["name"].startswith("podnet-compat"):
                apiserver.send("POST", f"/apis/rbac.authorization.k8s.io/v1/{plural}", item)
    registered = _register(apiserver, objects, port)
    spawn("podnet_compat.main", "--namespace", "default", "--systems=danm,genie,knitter", port=port, until="serving")
    time.sleep(1)  # the API server learns of the caBundle by a watch
    yield apiserver
    apiserver.send("DELETE", registered)
    for name in ("danm", "plain", "genie"):
        apiserver.send("DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 0})
    for collection in (
        "multinetwork.x-k8s.io/v1alpha1/podnetworks",
        "kni.multinetwork.x-k8s.io/v1alpha1/networkconfigs",
    ):
        apiserver.send("DELETE", f"/apis/{collection}", query={"labelSelector": names.SELECTOR})


def _define(server: Any) -> None:
    crd = legacy_kinds.definition("danm.io", "v1", "DanmNet", "danmnets", legacy_kinds.OPEN)
    assert server.send("POST", CRDS, crd).code == 201
    net = danm_examples.network("DanmNet", "n", "default", host_device="ens4", cidr="10.7.0.0/24")
    for _ in range(100):
        if server.send("POST", NETS, net).code == 201:
            return
        time.sleep(0.1)
    pytest.fail("the kind DanmNet is not served")


def _register(server: Any, objects: list[dict[str, Any]], port: int) -> str:
    [wanted] = [
        one
        for one in objects
        if (one["kind"], one["metadata"]["name"]) == ("MutatingWebhookConfiguration", "compat.multinetwork.x-k8s.io")
    ]
    for one in wanted["webhooks"]:
        service = one["clientConfig"].pop("service")
        one["clientConfig"]["url"] = f"https://127.0.0.1:{port}{service['path']}"
    answer = server.send("POST", f"{REGISTRATION}/mutatingwebhookconfigurations", wanted)
    assert answer.code == 201, answer.message
    return f"{REGISTRATION}/mutatingwebhookconfigurations/{wanted['metadata']['name']}"


def _pod(item: dict[str, Any], name: str) -> dict[str, Any]:
    containers = {"containers": [{"name": "c", "image": "i"}]}
    return {**item, "metadata": {**item["metadata"], "name": name, "namespace": "default"}, "spec": containers}


def test_a_pod_of_danm_gets_its_list(live: Any) -> None:
    entries = [{"network": "n", "ip": "dynamic"}, {"network": "n", "ip": "10.7.0.9"}]
    answer = live.send("POST", PODS, _pod(danm_examples.pod(entries, "default"), "danm"))
    assert answer.code == 201, answer.message
    first, second = json.loads(answer.body["metadata"]["annotations"][LIST])
    assert first == {"podNetworkName": "default.n", "interfaceName": "eth0"}
    attachments = "/apis/multinetwork.x-k8s.io/v1alpha1/namespaces/default/podnetworkattachments"
    made = live.send("GET", f"{attachments}/{second['podNetworkAttachmentName']}")
    assert made.body["spec"]["podNetworkName"] == "default.n-2"
    assert live.send("GET", "/apis/kni.multinetwork.x-k8s.io/v1alpha1/networkconfigs/default.n").code == 200


def test_a_pod_whose_network_is_missing_is_refused(live: Any) -> None:
    answer = live.send("POST", PODS, _pod(danm_examples.pod([{"network": "gone"}], "default"), "gone"))
    assert answer.code == 422
    assert answer.causes[0][0] == "metadata.annotations[danm.io/interfaces][0]"
    assert "the requested network gone of type DanmNet in namespace default does not exist" in answer.message


def test_a_pod_of_nobody_is_not_asked_about(live: Any) -> None:
    answer = live.send("POST", PODS, _pod(genies(), "plain"))
    assert answer.code == 201, answer.message
    assert LIST not in answer.body["metadata"].get("annotations", {})


def test_genies_status_goes_with_the_network_status(live: Any) -> None:
    answer = live.send("POST", PODS, _pod(genies(cni="weave,flannel"), "genie"))
    assert answer.code == 201, answer.message
    assert [n["podNetworkName"] for n in json.loads(answer.body["metadata"]["annotations"][LIST])] == [
        "weave",
        "flannel",
    ]
    rows = [{"interface": "eth0", "ips": ["10.0.0.5"]}, {"interface": "eth1", "ips": ["10.1.0.5"]}]
    told = {"metadata": {"annotations": {STATUS: json.dumps(rows)}}}
    answer = live.send("PATCH", f"{PODS}/genie/status", told)
    assert answer.code == 200, answer.message
    found = json.loads(answer.body["metadata"]["annotations"]["multi-ip-preferences"])
    assert found["ips"]["ip2"] == {"ip": "10.1.0.5", "interface": "eth1"}


@pytest.mark.parametrize("plural", ["danmnets", "tenantnetworks", "clusternetworks", "tenantconfigs"])
def test_the_rights_are_there(live: Any, plural: str) -> None:
    review = {"spec": {"user": COMPAT, "resourceAttributes": {"verb": "get", "group": "danm.io", "resource": plural}}}
    answer = live.send("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    assert answer.body["status"]["allowed"] is True, answer.body
