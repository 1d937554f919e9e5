"""The CRDs alone, before a real API server: every example that they can judge, and what they print."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from podnet_hack import generate, paths

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def test_accepted(apiserver: Any, valid: Any) -> None:
    answer = valid.submit(apiserver)
    assert answer.code == 201, answer.message


def test_refused_or_left_to_the_webhook(apiserver: Any, invalid: Any) -> None:
    answer = invalid.submit(apiserver)
    if invalid.needs_webhook:
        assert answer.code < 300, f"the CRD refuses it, no need for the webhook: {answer.message}"
        return
    field, message = invalid.marks["field"], invalid.marks["message"]
    assert answer.code in {400, 422}, answer
    if answer.causes:
        assert any(f == field and message in m for f, m in answer.causes), answer.causes
    else:
        assert field in answer.message
        assert message in answer.message


def test_what_kubectl_prints(apiserver: Any) -> None:
    path = "/apis/kni.multinetwork.x-k8s.io/v1alpha1/nodenetworks"
    head = {"apiVersion": "kni.multinetwork.x-k8s.io/v1alpha1", "kind": "NodeNetwork", "metadata": {"name": "printed"}}
    assert apiserver.send("POST", path, head).code == 201
    status = {"summary": "1 of 2 ready", "networks": [{"name": "blue", "ready": True}, {"name": "red"}]}
    assert apiserver.send("PATCH", f"{path}/printed/status", {"status": status}).code == 200
    heads, rows = apiserver.table(path)
    assert heads == ["Name", "Networks", "Age"]
    assert [row[:2] for row in rows if row[0] == "printed"] == [["printed", "1 of 2 ready"]]


def test_names_of_networks_are_unique_in_a_node(apiserver: Any) -> None:
    path = "/apis/kni.multinetwork.x-k8s.io/v1alpha1/nodenetworks"
    head = {"apiVersion": "kni.multinetwork.x-k8s.io/v1alpha1", "kind": "NodeNetwork", "metadata": {"name": "unique"}}
    assert apiserver.send("POST", path, head).code == 201
    status = {"networks": [{"name": "blue"}, {"name": "blue"}]}
    answer = apiserver.send("PATCH", f"{path}/unique/status", {"status": status})
    assert answer.causes == [("status.networks[1]", 'Duplicate value: {"name":"blue"}')], answer


def test_fields_that_selectors_may_use(apiserver: Any) -> None:
    path = "/apis/multinetwork.x-k8s.io/v1alpha1/podnetworks"
    head = {"apiVersion": "multinetwork.x-k8s.io/v1alpha1", "kind": "PodNetwork", "metadata": {"name": "selected"}}
    assert apiserver.send("POST", path, {**head, "spec": {"provider": "example.com/selected"}}).code == 201
    found = apiserver.send("GET", path, query={"fieldSelector": "spec.provider=example.com/selected"})
    assert [item["metadata"]["name"] for item in found.body["items"]] == ["selected"]
    apiserver.send("DELETE", f"{path}/selected")


BOUNDS = ("maxItems", "maxLength", "maxProperties", "enum", "pattern")


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every part of a schema."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


@pytest.mark.parametrize("kind", ["NetworkConfig", "AttachmentConfig"])
def test_rules_are_affordable_because_of_the_bounds(apiserver: Any, kind: str) -> None:
    """The API server works out at the bounds what each rule may cost, and refuses a CRD that is over its budget."""
    files = [yaml.safe_load(file.read_text()) for file in (paths.CHECKOUT / generate.CRDS).glob("*.yaml")]
    crd = next(one for one in files if one["spec"]["names"]["kind"] == kind)
    crd["spec"]["group"] = "rules.example.com"
    crd["metadata"]["name"] = f"{crd['spec']['names']['plural']}.rules.example.com"
    assert apiserver.send("POST", CRDS, crd, dry_run=True).code == 201
    endless = copy.deepcopy(crd)
    for node in nodes(endless["spec"]["versions"][0]["schema"]):
        for bound in BOUNDS:
            if not isinstance(node.get(bound), dict):
                node.pop(bound, None)
    answer = apiserver.send("POST", CRDS, endless, dry_run=True)
    assert answer.code == 422
    assert "cost" in answer.message
