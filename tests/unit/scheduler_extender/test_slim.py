"""What is kept of a Pod, and that it is what the extender reads."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from podnet_api import names
from podnet_scheduler_extender import slim


def pod(node: str = "", **metadata: Any) -> slim.Pod:
    conditions = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
        {"type": names.NETWORKS_READY, "status": "False", "reason": "NetworkNotFound", "message": "m"},
        {"type": "Ready", "status": "False"},
    ]
    meta = {"name": "p", "namespace": "team", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}} | metadata
    meta["annotations"] = {names.NETWORKS_ANNOTATION: "[]", "other": "x" * 100}
    meta["ownerReferences"] = [{"apiVersion": "v1", "kind": "X", "name": "x", "uid": "x"}]
    spec = {"nodeName": node, "containers": [], "serviceAccountName": "default"}
    body = {"metadata": meta, "spec": spec, "status": {"phase": "Pending", "conditions": conditions}}
    return msgspec.json.decode(json.dumps(body), type=slim.Pod)


def test_a_waiting_pod_keeps_what_is_read_of_it() -> None:
    kept = pod(deletionTimestamp="t", creationTimestamp="c")
    meta = kept.metadata
    assert (meta.name, meta.namespace, meta.uid, meta.resource_version) == ("p", "team", "u", "7")
    assert (meta.creation_timestamp, meta.deletion_timestamp) == ("c", "t")
    assert meta.annotations == {names.NETWORKS_ANNOTATION: "[]"}
    assert [c.type for c in kept.status.conditions] == ["PodScheduled", names.NETWORKS_READY]
    assert (meta.labels, meta.owner_references) == ({}, [])


def test_bound_pods_share_what_is_equal() -> None:
    one, two = pod("a", name="one"), pod("a", name="two")
    assert (one.spec.node_name, one.status.phase, one.status.conditions) == ("a", "Pending", [])
    assert one.spec is two.spec
    assert one.status is two.status
    assert one.metadata.annotations is two.metadata.annotations
