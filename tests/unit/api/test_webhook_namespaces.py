"""Networks by namespace: what the label and the annotation say, whom they reach, and the patch that shows it."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_api import core, names
from podnet_api.admission import Allow, Deny
from podnet_api.faults import Fault, FaultType
from podnet_api.meta import ObjectMeta
from podnet_api.webhook import namespaces

KEY, LIST = names.NAMESPACE_NETWORKS, names.NETWORKS_ANNOTATION


def namespace(label: str | None, annotation: str | None = None) -> core.Namespace:
    labels = {} if label is None else {KEY: label}
    annotations = {} if annotation is None else {KEY: annotation}
    return core.Namespace(metadata=ObjectMeta(name="team", labels=labels, annotations=annotations))


@pytest.mark.parametrize(
    ("label", "annotation", "text"),
    [
        (None, None, ""),
        (None, "[]", ""),
        ("", None, ""),
        ("blue", None, '[{"podNetworkName":"blue"}]'),
        ("blue_my.red", None, '[{"podNetworkName":"blue"},{"podNetworkName":"my.red"}]'),
        ("", '[{"podNetworkName":"a"}]', '[{"podNetworkName":"a"}]'),
        ("blue", '[{"podNetworkName":"a"}]', '[{"podNetworkName":"a"}]'),
    ],
)
def test_what_a_namespace_says(label: str | None, annotation: str | None, text: str) -> None:
    assert namespaces.text_of(namespace(label, annotation)) == text


@pytest.mark.parametrize(
    ("pod", "reached"),
    [
        ({"metadata": {"name": "p"}, "spec": {}}, True),
        ({"spec": None}, True),
        ({"metadata": {"annotations": {LIST: "[]"}}}, False),
        ({"metadata": {"labels": {KEY: "none"}}}, False),
        ({"metadata": {"labels": {KEY: "other"}}}, True),
        ({"metadata": {}, "spec": {"hostNetwork": True}}, False),
    ],
)
def test_whom_it_reaches(pod: dict[str, Any], reached: bool) -> None:
    assert bool(namespaces.text_for(pod, namespace("blue"))) is reached


def test_the_patch_begins_with_what_is_missing() -> None:
    path = "/metadata/annotations/multinetwork.x-k8s.io~1networks"
    bare = namespaces.answer({}, "[1]", "team", Allow([{"op": "add", "path": "/spec/x", "value": 1}]))
    assert isinstance(bare, Allow)
    assert [step["path"] for step in bare.patch] == ["/metadata/annotations", path, "/spec/x"]
    made = Allow([{"op": "add", "path": path, "value": "[2]"}])
    whole = namespaces.answer({"metadata": {"annotations": {"a": "b"}}}, "[1]", "team", made)
    assert isinstance(whole, Allow)
    assert whole.patch == made.patch


def test_a_fault_is_the_namespaces() -> None:
    given = Deny("Pod", "p", (Fault("x", FaultType.INVALID, "must be y"),))
    blamed = namespaces.answer({}, "[]", "team", given)
    assert isinstance(blamed, Deny)
    assert "Namespace team: x: Invalid value: must be y" in blamed.message


def test_the_pod_is_not_changed() -> None:
    pod = {"metadata": {"annotations": {"a": "b"}}}
    assert namespaces.with_list(pod, "[]")["metadata"]["annotations"] == {"a": "b", LIST: "[]"}
    assert pod == {"metadata": {"annotations": {"a": "b"}}}
