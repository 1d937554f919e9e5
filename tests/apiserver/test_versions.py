"""From v1alpha1 to v1beta1 as docs/api-review.md plans it: same fields, conversion by the API server, stored anew.

Done on a copy of the CRD in a group of its own, so that no other test meets it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from podnet_hack import generate, paths

GROUP = "versions.example.com"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAME = f"podnetworks.{GROUP}"
OLD, NEW = (f"/apis/{GROUP}/{version}/podnetworks" for version in ("v1alpha1", "v1beta1"))


@pytest.fixture
def crd(apiserver: Any) -> Iterator[dict[str, Any]]:
    """The definition with v1alpha1 alone, as it is shipped."""
    made = yaml.safe_load((paths.CHECKOUT / generate.CRDS / "podnetworks_multinetwork.x-k8s.io.yaml").read_text())
    made["metadata"] = {"name": NAME}
    made["spec"]["group"] = GROUP
    # kube-apiserver 1.36 refuses versions whose selectable fields are the same and whose schemas are not.
    made["spec"]["versions"][0].pop("selectableFields")
    assert apiserver.send("POST", CRDS, made).code == 201
    eventually(lambda: apiserver.send("GET", OLD).code == 200)
    yield made
    apiserver.send("DELETE", f"{CRDS}/{NAME}")
    eventually(lambda: apiserver.send("GET", f"{CRDS}/{NAME}").code == 404)


def eventually(check: Any, seconds: float = 15) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def both(crd: dict[str, Any], *, stored: str) -> list[dict[str, Any]]:
    """The versions of the definition when both are served."""
    [alpha] = copy.deepcopy(crd["spec"]["versions"])
    beta = copy.deepcopy(alpha) | {"name": "v1beta1", "storage": stored == "v1beta1"}
    return [beta, alpha | {"storage": stored == "v1alpha1", "deprecated": stored == "v1beta1"}]


def change(server: Any, versions: list[dict[str, Any]]) -> None:
    answer = server.send("PATCH", f"{CRDS}/{NAME}", {"spec": {"versions": versions}})
    assert answer.code == 200, answer.message


def test_the_way_to_the_next_version(apiserver: Any, crd: dict[str, Any]) -> None:
    spec = {"provider": "example.com/x", "enabled": False}
    body = {"apiVersion": f"{GROUP}/v1alpha1", "kind": "PodNetwork", "metadata": {"name": "blue"}, "spec": spec}
    assert apiserver.send("POST", OLD, body).code == 201

    change(apiserver, both(crd, stored="v1alpha1"))  # step 1: served beside each other
    seen = eventually(lambda: apiserver.send("GET", f"{NEW}/blue").body.get("spec"))
    assert seen == spec

    change(apiserver, both(crd, stored="v1beta1"))  # step 2: stored anew, the old one deprecated
    whole = apiserver.send("GET", f"{NEW}/blue").body
    eventually(lambda: apiserver.send("PUT", f"{NEW}/blue", whole).code == 200)
    old = apiserver.send("GET", f"{OLD}/blue")
    assert old.body["spec"] == spec
    assert any("deprecated" in warning for warning in old.warnings)

    status = {"status": {"storedVersions": ["v1beta1"]}}  # step 3: nothing is stored in the old one
    assert apiserver.send("PATCH", f"{CRDS}/{NAME}/status", status).code == 200
    [beta] = [one for one in both(crd, stored="v1beta1") if one["name"] == "v1beta1"]
    change(apiserver, [beta])  # step 4: the old one goes
    eventually(lambda: apiserver.send("GET", f"{OLD}/blue").code == 404)
    assert apiserver.send("GET", f"{NEW}/blue").body["spec"] == spec


def test_a_field_of_the_next_version_survives_a_reader_of_the_old_one(apiserver: Any, crd: dict[str, Any]) -> None:
    """Why v1beta1 may only add optional fields that v1alpha1 gets as well: without conversion by a webhook, what one
    schema does not know is pruned when it is written through that version."""
    versions = both(crd, stored="v1beta1")
    properties = versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    properties["comment"] = {"type": "string", "maxLength": 63, "description": "New."}
    change(apiserver, versions)
    spec = {"provider": "example.com/x", "comment": "hello"}
    body = {"apiVersion": f"{GROUP}/v1beta1", "kind": "PodNetwork", "metadata": {"name": "red"}, "spec": spec}
    eventually(lambda: apiserver.send("POST", NEW, body).code == 201)
    assert "comment" not in apiserver.send("GET", f"{OLD}/red").body["spec"]
    old = apiserver.send("GET", f"{OLD}/red").body
    assert apiserver.send("PUT", f"{OLD}/red", old).code == 200
    assert "comment" not in apiserver.send("GET", f"{NEW}/red").body["spec"], "lost by a round trip"
