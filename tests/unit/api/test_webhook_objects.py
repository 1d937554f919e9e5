"""The webhook's answers for our own kinds and for pod templates; the handlers' configuration."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_api import names
from podnet_api.webhook import configurations, objects, templates

OVERLAP = {"bridge": {}, "ipam": {"ranges": [{"cidr": "10.0.0.0/16"}, {"cidr": "10.0.0.0/24"}]}}


def item(kind: str, spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "x", "namespace": "own"}, "spec": spec}


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("NetworkConfig", OVERLAP, ["spec.ipam.ranges[1]"]),
        ("NetworkConfig", {"bridge": {}, "mtu": "x"}, ["spec.mtu"]),
        ("PodNetwork", {"provider": names.PROVIDER}, ["spec.parametersRefs"]),
        ("PodNetworkAttachment", {"podNetworkName": "ours", "parametersRefs": [
            {"group": "example.com", "kind": "AttachmentConfig", "name": "x"}]}, ["spec.parametersRefs[0].group"]),
        ("PodNetworkAttachment", {"podNetworkName": "absent", "parametersRefs": [
            {"group": "example.com", "kind": "AttachmentConfig", "name": "x"}]}, []),
        ("AttachmentConfig", {"addresses": ["10.0.0.1", "10.0.0.2"]}, ["spec.addresses[1]"]),
        ("Other", {"anything": 1}, []),
    ],
)  # fmt: skip
def test_objects(kind: str, spec: Any, expected: list[str]) -> None:
    found = objects.faults(item(kind, spec), None, {"ours": names.PROVIDER}.get)
    assert [fault.path for fault in found] == expected


def test_an_update_that_leaves_the_spec_is_never_refused() -> None:
    bad = item("NetworkConfig", OVERLAP)
    freed = {**bad, "metadata": {"name": "x", "finalizers": []}}
    assert objects.faults(freed, bad, lambda _: None) == ()
    assert objects.faults(bad, item("NetworkConfig", {"bridge": {}}), lambda _: None)


TEMPLATE = {"metadata": {"annotations": {names.NETWORKS_ANNOTATION: '[{"podNetworkName":"Blue"}]'}}}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"spec": {"template": TEMPLATE}}, "spec.template."),
        ({"spec": {"jobTemplate": {"spec": {"template": TEMPLATE}}}}, "spec.jobTemplate.spec.template."),
        ({"template": TEMPLATE}, "template."),
    ],
)
def test_templates_get_warnings(body: dict[str, Any], place: str) -> None:
    [warning] = templates.warnings(body)
    assert warning.startswith(f"{place}metadata.annotations[{names.NETWORKS_ANNOTATION}][0].podNetworkName: ")


@pytest.mark.parametrize("body", [{}, {"spec": None}, {"spec": {"template": {"metadata": None}}}, {"spec": []}])
def test_other_shapes_get_none(body: dict[str, Any]) -> None:
    assert templates.warnings(body) == []


def test_only_warnings_may_be_lost() -> None:
    policies = {w["name"]: w["failurePolicy"] for w in configurations.validating()["webhooks"]}
    assert policies == {
        "pods.objects.multinetwork.x-k8s.io": "Fail",
        "own.objects.multinetwork.x-k8s.io": "Fail",
        "templates.objects.multinetwork.x-k8s.io": "Ignore",
    }
    [_, mutate] = configurations.mutating()["webhooks"]
    assert (mutate["failurePolicy"], mutate["reinvocationPolicy"]) == ("Fail", "IfNeeded")
    assert all(w["matchConditions"] for w in configurations.validating()["webhooks"])
