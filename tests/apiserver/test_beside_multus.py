"""podnet beside Multus, as a real API server holds it while podnet-compat is away: not both, and not none."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from podnet_hack import paths
from podnet_hack.localcluster import cluster

OVERLAY = paths.CHECKOUT / "hack/manifests/overlays/beside-multus"
ROOT = "/apis/admissionregistration.k8s.io/v1"
PLURALS = {
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
OURS = {"compat.multinetwork.x-k8s.io", "one-server.compat.multinetwork.x-k8s.io"}
MULTUS, DEFAULT = "k8s.v1.cni.cncf.io/networks", "v1.multus-cni.io/default-network"
PODNET, MIRROR = "multinetwork.x-k8s.io/networks", "kubernetes.io/config.mirror"
LABEL = "multinetwork.x-k8s.io/attached-by"


def _objects() -> list[dict[str, Any]]:
    argv = [str(cluster.kubectl_program()), "kustomize", str(OVERLAY)]
    text = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
    found = [one for one in yaml.safe_load_all(text) if one and one["kind"] in PLURALS]
    return [one for one in found if one["metadata"]["name"] in OURS]


def pod(space: str, annotations: dict[str, str], name: str = "p") -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "example.com/c:1"}], "nodeName": "n1"}
    meta = {"name": name, "namespace": space, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


@pytest.fixture(scope="module")
def beside(apiserver: Any) -> Iterator[Any]:
    """The component's objects, a namespace of podnet and one of Multus; nobody answers for podnet-compat."""
    made = [(f"{ROOT}/{PLURALS[one['kind']]}", one) for one in _objects()]
    assert len(made) == len(PLURALS)
    for path, one in made:
        assert apiserver.send("POST", path, one).code == 201
    for name, labels in (("moved", {LABEL: "podnet"}), ("kept", {LABEL: "multus"})):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        assert apiserver.send("POST", "/api/v1/namespaces", body).code == 201
    _until(lambda: ask(apiserver, "kept", {MULTUS: "a", PODNET: "[]"}).code == 422)
    yield apiserver
    for path, one in made:
        apiserver.send("DELETE", f"{path}/{one['metadata']['name']}")


def _until(probe: Any) -> None:
    deadline = time.monotonic() + 20
    while not probe():
        assert time.monotonic() < deadline, "the API server does not know the policy yet"
        time.sleep(0.2)


def ask(apiserver: Any, space: str, annotations: dict[str, str], *, host: bool = False) -> Any:
    body = pod(space, annotations)
    body["spec"] |= {"hostNetwork": True} if host else {}
    return apiserver.send("POST", f"/api/v1/namespaces/{space}/pods", body, dry_run=True)


@pytest.mark.parametrize("key", [MULTUS, DEFAULT])
def test_pods_of_other_namespaces_are_multus_whatever_becomes_of_podnet(beside: Any, key: str) -> None:
    answer = ask(beside, "kept", {key: "lab"})
    assert answer.code == 201, answer.message
    assert answer.body["metadata"]["annotations"] == {key: "lab"}


@pytest.mark.parametrize("key", [MULTUS, DEFAULT])
def test_pods_of_a_moved_namespace_wait_for_podnet(beside: Any, key: str) -> None:
    answer = ask(beside, "moved", {key: "lab"})
    assert answer.code == 500
    assert "failed calling webhook" in answer.message
    assert ask(beside, "moved", {"other": "x"}).code == 201


@pytest.mark.parametrize("space", ["moved", "kept"])
def test_nobody_names_networks_for_both(beside: Any, space: str) -> None:
    answer = ask(beside, space, {DEFAULT if space == "kept" else MULTUS: "lab", PODNET: "[]"})
    assert answer.code in {422, 500}
    assert "would be attached by both" in answer.message or "failed calling webhook" in answer.message


def test_what_multus_has_attached_stays_with_it(beside: Any) -> None:
    path = "/api/v1/namespaces/kept/pods"
    assert beside.send("POST", path, pod("kept", {MULTUS: "lab"}, "old")).code == 201
    beside.send("PATCH", "/api/v1/namespaces/kept", {"metadata": {"labels": {LABEL: "podnet"}}})
    try:
        one = f"{path}/old"
        assert beside.send("PATCH", one, {"metadata": {"annotations": {"other": "x", MULTUS: "lab2"}}}).code == 200
        both = beside.send("PATCH", one, {"metadata": {"annotations": {PODNET: "[]"}}})
        assert (both.code, "would be attached by both" in both.message) == (422, True)
        over = beside.send("PATCH", one, {"metadata": {"annotations": {PODNET: "[]", MULTUS: None}}})
        assert (over.code, "Multus has attached this Pod" in over.message) == (422, True)
        assert beside.send("PATCH", one, {"metadata": {"annotations": {MULTUS: None}}}).code == 200
    finally:
        beside.send("PATCH", "/api/v1/namespaces/kept", {"metadata": {"labels": {LABEL: "multus"}}})
        beside.send("DELETE", f"{path}/old", {"gracePeriodSeconds": 0})


def test_multus_is_not_given_what_podnet_has_attached(beside: Any) -> None:
    path = "/api/v1/namespaces/moved/pods"
    assert beside.send("POST", path, pod("moved", {PODNET: "[]"}, "new")).code == 201
    try:
        answer = beside.send("PATCH", f"{path}/new", {"metadata": {"annotations": {MULTUS: "lab"}}})
        assert (answer.code, "would be attached by both" in answer.message) == (422, True)
        assert beside.send("PATCH", f"{path}/new", {"metadata": {"annotations": {"other": "x"}}}).code == 200
    finally:
        beside.send("DELETE", f"{path}/new", {"gracePeriodSeconds": 0})


def test_without_the_webhook_configuration_the_policy_refuses(beside: Any) -> None:
    [hook] = [one for one in _objects() if one["kind"] == "MutatingWebhookConfiguration"]
    path = f"{ROOT}/{PLURALS[hook['kind']]}"
    assert beside.send("DELETE", f"{path}/{hook['metadata']['name']}").code == 200
    try:
        _until(lambda: ask(beside, "moved", {MULTUS: "lab"}).code == 422)
        assert "is the webhook of podnet-compat in place?" in ask(beside, "moved", {MULTUS: "lab"}).message
        assert ask(beside, "moved", {MULTUS: "lab"}, host=True).code == 201
        assert ask(beside, "moved", {MULTUS: "lab", MIRROR: "x"}).code == 201
    finally:
        assert beside.send("POST", path, hook).code == 201
