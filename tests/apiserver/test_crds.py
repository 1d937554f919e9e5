"""The CRDs alone, before a real API server: every example that they can judge, and what they print."""

from __future__ import annotations

from typing import Any


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
