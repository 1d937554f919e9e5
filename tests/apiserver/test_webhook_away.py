"""While podnet-webhook is away: Pods without networks do not notice, Pods with networks are not let through."""

from __future__ import annotations

from typing import Any

import pytest

PODS = "/api/v1/namespaces/default/pods"
CONFIGS = "/apis/kni.multinetwork.x-k8s.io/v1alpha1/networkconfigs"


@pytest.fixture(scope="module")
def held(apiserver: Any) -> Any:
    """An object with a finalizer, made before the webhook was registered."""
    body = {
        "apiVersion": "kni.multinetwork.x-k8s.io/v1alpha1",
        "kind": "NetworkConfig",
        "metadata": {"name": "away", "finalizers": ["example.com/held"]},
        "spec": {"bridge": {}},
    }
    assert apiserver.send("POST", CONFIGS, body).code == 201
    return body


def test_finalizers_still_come_off(held: Any, webhook_away: Any) -> None:
    path = f"{CONFIGS}/away"
    assert webhook_away.send("PATCH", path, {"spec": {"mtu": 1400}}).code == 500
    assert webhook_away.send("DELETE", path).code == 200
    assert webhook_away.send("PATCH", path, {"metadata": {"finalizers": None}}).code == 200
    assert webhook_away.send("GET", path).code == 404


def pod(**annotations: str) -> dict[str, Any]:
    meta = {
        "name": "away",
        "annotations": {f"multinetwork.x-k8s.io/{key}": value for key, value in annotations.items()},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": [{"name": "main", "image": "example.com/main:1"}]},
    }


def test_pods_without_networks_are_created_and_changed(webhook_away: Any) -> None:
    assert webhook_away.send("POST", PODS, pod(other="x")).code == 201
    try:
        assert webhook_away.send("PATCH", f"{PODS}/away", {"metadata": {"labels": {"a": "b"}}}).code == 200
        assert webhook_away.send("PATCH", f"{PODS}/away/status", {"status": {"phase": "Failed"}}).code == 200
    finally:
        webhook_away.send("DELETE", f"{PODS}/away", {"gracePeriodSeconds": 0})


def test_pods_with_networks_are_not(webhook_away: Any) -> None:
    for text in ("[]", ""):
        answer = webhook_away.send("POST", PODS, pod(networks=text), dry_run=True)
        assert answer.code == 500
        assert "failed calling webhook" in answer.message


def test_a_deployment_is_not_held_up(webhook_away: Any) -> None:
    template = {"metadata": {**pod(networks="[]")["metadata"], "labels": {"a": "b"}}, "spec": pod()["spec"]}
    template["metadata"].pop("name")
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "away"}, "spec": spec}
    answer = webhook_away.send("POST", "/apis/apps/v1/namespaces/default/deployments", body, dry_run=True)
    assert answer.code == 201, answer.message
