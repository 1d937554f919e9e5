"""What podnet-controller does to nodes that are dead, and that it can do nothing else to any node."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from podnet_api import names
from podnet_api.controller import deadnodes
from podnet_hack import paths

NODES = "/api/v1/nodes"
POLICIES = "/apis/admissionregistration.k8s.io/v1"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
ACCOUNT = "system:serviceaccount:podnet-system:podnet-controller"
BLUE, RED = names.node_label("blue"), names.node_label("red")


@pytest.fixture
def nodes(apiserver: Any) -> Iterator[Any]:
    """Two nodes with networks: one alive, one of which nobody has heard."""
    labels = {BLUE: names.NODE_LABEL_VALUE, RED: names.NODE_LABEL_NOT_READY, "other": "ready"}
    for name, status in (("alive", "True"), ("dead", "Unknown")):
        assert apiserver.send("POST", NODES, {"metadata": {"name": name, "labels": labels}}).code == 201
        condition = {"type": "Ready", "status": status, "reason": "x", "message": "x"}
        assert apiserver.send("PATCH", f"{NODES}/{name}/status", {"status": {"conditions": [condition]}}).code == 200
    yield apiserver
    for name in ("alive", "dead"):
        apiserver.send("DELETE", f"{NODES}/{name}")


def said(server: Any, node: str) -> list[str]:
    """The labels of a node."""
    labels = server.send("GET", f"{NODES}/{node}").body["metadata"]["labels"]
    return [labels[key] for key in (BLUE, RED, "other")]


async def test_labels_of_a_dead_node_say_not_ready(nodes: Any) -> None:
    async with nodes.client() as client:
        undertaker = deadnodes.Undertaker(client)
        await undertaker.look()
        assert said(nodes, "dead") == ["ready", "not-ready", "ready"], "once may be by chance"
        await undertaker.look()
    assert said(nodes, "dead") == ["not-ready", "not-ready", "ready"]
    assert said(nodes, "alive") == ["ready", "not-ready", "ready"]


@pytest.fixture
def policed(nodes: Any) -> Iterator[Any]:
    """With the policy of the manifests, and an account that RBAC lets change nodes."""
    file = paths.CHECKOUT / "hack/manifests/base/controller/only-labels.yaml"
    made = []
    plurals = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    for plural, item in zip(plurals, yaml.safe_load_all(file.read_text()), strict=True):
        answer = nodes.send("POST", f"{POLICIES}/{plural}", item)
        assert answer.code == 201, answer.message
        made.append(f"{POLICIES}/{plural}/{item['metadata']['name']}")
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": ACCOUNT}
    body = {"metadata": {"name": "policed"}, "roleRef": role, "subjects": [subject]}
    assert nodes.send("POST", BINDINGS, body).code == 201
    yield nodes
    for path in (*made, f"{BINDINGS}/policed"):
        nodes.send("DELETE", path)


def test_the_account_changes_nothing_else(policed: Any) -> None:
    def patched(patch: dict[str, Any]) -> Any:
        return policed.send("PATCH", f"{NODES}/dead", patch, dry_run=True, as_user=ACCOUNT)

    deadline = time.monotonic() + 30
    while (refused := patched({"metadata": {"labels": {"other": "x"}}})).code != 403:
        assert time.monotonic() < deadline, "the policy does not come into force"
        time.sleep(0.3)
    assert "changes nothing of a node but its labels" in refused.message
    assert patched({"metadata": {"labels": {BLUE: "not-ready"}}}).code == 200
    for patch in (
        {"metadata": {"labels": {BLUE: None}}},
        {"metadata": {"labels": {"new": "x"}}},
        {"metadata": {"annotations": {"a": "b"}}},
        {"spec": {"unschedulable": True}},
        {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}},
    ):
        assert patched(patch).code == 403, patch
