"""RBAC verb use, and networks by namespace, as a real API server with podnet-webhook decides them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

NETWORKS = "multinetwork.x-k8s.io/networks"
DEFAULTS = "multinetwork.x-k8s.io/default-networks"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
PEOPLE = {"alice": "may use blue", "bob": "may use nothing"}


def role(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def binding(name: str, *subjects: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": list(subjects),
    }


def person(name: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}


@pytest.fixture(scope="module")
def people(webhook: Any) -> Iterator[Any]:
    """alice and bob may create Pods and attachments; alice and the service account team/app may use blue."""
    core_rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}
    own_rule = {
        "apiGroups": ["multinetwork.x-k8s.io"],
        "resources": ["podnetworkattachments"],
        "verbs": ["create"],
    }
    use = {
        "apiGroups": ["multinetwork.x-k8s.io"],
        "resources": ["podnetworks"],
        "resourceNames": ["blue"],
        "verbs": ["use"],
    }
    account = {"kind": "ServiceAccount", "name": "app", "namespace": "team"}
    made = [
        ("clusterroles", role("creators", [core_rule, own_rule])),
        ("clusterroles", role("blue-users", [use])),
        ("clusterrolebindings", binding("creators", *map(person, PEOPLE))),
        ("clusterrolebindings", binding("blue-users", person("alice"), account)),
    ]
    for plural, body in made:
        assert webhook.send("POST", f"{RBAC}/{plural}", body).code == 201
    webhook.send("POST", "/api/v1/namespaces", {"metadata": {"name": "team"}})
    time.sleep(0.5)  # the authorizer learns of roles by a watch
    yield webhook
    for plural, body in reversed(made):
        webhook.send("DELETE", f"{RBAC}/{plural}/{body['metadata']['name']}")


def pod(*entries: dict[str, Any], account: str = "", labels: dict[str, str] | None = None) -> dict[str, Any]:
    annotations = {NETWORKS: json.dumps(entries)} if entries else {}
    spec: dict[str, Any] = {"containers": [{"name": "main", "image": "example.com/main:1"}]}
    if account:
        spec["serviceAccountName"] = account
    return {"metadata": {"name": "made", "annotations": annotations, "labels": labels or {}}, "spec": spec}


def create(server: Any, user: str, body: dict[str, Any], namespace: str = "team") -> Any:
    return server.send("POST", f"/api/v1/namespaces/{namespace}/pods", body, dry_run=True, as_user=user)


BLUE, RED = {"podNetworkName": "blue"}, {"podNetworkName": "red"}


def test_who_may_use_a_network_creates_a_pod(people: Any) -> None:
    assert create(people, "alice", pod(BLUE)).code == 201
    assert create(people, "bob", pod(BLUE, account="app")).code == 201, "the service account may"


def test_who_may_not_is_told_so_at_the_entry(people: Any) -> None:
    answer = create(people, "bob", pod(BLUE, {"podNetworkName": "default"}, RED))
    assert answer.code == 422
    assert [field for field, _ in answer.causes] == [f"metadata.annotations[{NETWORKS}][{i}]" for i in (0, 2)]
    text = answer.causes[0][1]
    assert "neither bob nor system:serviceaccount:team:default may use PodNetwork blue" in text
    assert "verb use on podnetworks.multinetwork.x-k8s.io" in text


def test_a_pod_without_networks_is_nobodys_business(people: Any) -> None:
    assert create(people, "bob", pod()).code == 201
    assert create(people, "bob", pod({"podNetworkName": "default"})).code == 201


def test_an_attachment_needs_the_right_as_well(people: Any) -> None:
    body = {
        "apiVersion": "multinetwork.x-k8s.io/v1alpha1",
        "kind": "PodNetworkAttachment",
        "metadata": {"name": "mine"},
        "spec": {"podNetworkName": "blue"},
    }
    path = "/apis/multinetwork.x-k8s.io/v1alpha1/namespaces/team/podnetworkattachments"
    assert people.send("POST", path, body, dry_run=True, as_user="alice").code == 201
    answer = people.send("POST", path, body, dry_run=True, as_user="bob")
    assert answer.code == 422
    assert answer.causes[0][0] == "spec.podNetworkName"
    assert "bob may not use PodNetwork blue" in answer.causes[0][1]


@pytest.fixture(scope="module")
def profiled(people: Any) -> Any:
    """The Namespace profiled, whose Pods get blue."""
    body = {"metadata": {"name": "profiled", "labels": {DEFAULTS: "blue"}}}
    assert people.send("POST", "/api/v1/namespaces", body).code == 201
    return people


def listed(answer: Any) -> list[str]:
    assert answer.code == 201, answer.message
    text = answer.body["metadata"].get("annotations", {}).get(NETWORKS, "[]")
    return [entry["podNetworkName"] for entry in json.loads(text)]


def test_a_namespace_gives_its_pods_networks(profiled: Any) -> None:
    answer = create(profiled, "alice", pod(), "profiled")
    assert listed(answer) == ["default", "blue"]
    assert answer.body["spec"]["containers"][0]["resources"]["requests"] == {NETWORKS: "0"}
    assert listed(create(profiled, "alice", pod({"podNetworkName": "default"}), "profiled")) == ["default"]
    assert listed(create(profiled, "alice", pod(labels={DEFAULTS: "none"}), "profiled")) == []
    assert listed(create(profiled, "alice", pod(), "team")) == []


def test_a_namespaces_list_is_blamed_on_it(profiled: Any) -> None:
    refused = create(profiled, "bob", pod(), "profiled")
    assert refused.code == 422
    assert "of Namespace profiled" in refused.message
    assert "may use PodNetwork blue" in refused.message
