"""Other systems before a real API server: what becomes of their objects is taken, and Pods of theirs get a warning."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
import yaml
from podnet_compat.systems import translate_objects
from podnet_hack import paths
from podnet_tests import translations

_PLURALS = {
    "PodNetwork": "podnetworks",
    "NetworkConfig": "networkconfigs",
    "PodNetworkAttachment": "podnetworkattachments",
    "AttachmentConfig": "attachmentconfigs",
    "EndpointSlice": "endpointslices",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}


def _path(item: dict[str, Any]) -> str:
    namespace = item["metadata"].get("namespace")
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{item['apiVersion']}{where}/{_PLURALS[item['kind']]}"


@pytest.mark.parametrize("example", translations.EXAMPLES, ids=lambda one: one.name)
def test_what_becomes_of_them_is_taken(apiserver: Any, example: Any) -> None:
    made = []
    for first in (example.objects[0], *example.more):
        made += translate_objects([first, *example.objects[1:]], "default").made
    for item in made:
        if "namespace" in item["metadata"]:
            item = {**item, "metadata": {**item["metadata"], "namespace": "default"}}
        answer = apiserver.send("POST", _path(item), item, query={"dryRun": "All"})
        assert answer.code == 201, answer.message


@pytest.fixture(scope="module")
def hints(apiserver: Any) -> None:
    """The policy of the manifests, once it is in force."""
    text = (paths.CHECKOUT / "hack/manifests/base/compat/hints.yaml").read_text()
    for item in yaml.safe_load_all(text):
        assert apiserver.send("POST", _path(item), item).code == 201
    for _ in itertools.repeat(None, 100):
        if _submit(apiserver, "Pod", {"cni": "weave"}):
            return
        time.sleep(0.2)
    pytest.fail("the policy never came into force")


def _submit(apiserver: Any, kind: str, annotations: dict[str, str]) -> list[str]:
    """The warnings for an object with a Pod like that."""
    pod = {
        "metadata": {"annotations": annotations, "labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    meta = {"name": "hinted", "namespace": "default"}
    if kind == "Pod":
        item = {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {**meta, "annotations": annotations}}
        answer = apiserver.send("POST", "/api/v1/namespaces/default/pods", item, query={"dryRun": "All"})
    else:
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": pod}
        item = {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": spec}
        answer = apiserver.send("POST", "/apis/apps/v1/namespaces/default/deployments", item, query={"dryRun": "All"})
    assert answer.code == 201, answer.message
    found: list[str] = answer.warnings
    return found


@pytest.mark.parametrize("kind", ["Pod", "Deployment"])
@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"danm.io/interfaces": "[]"}, "annotation danm.io/interfaces is of another multi-network system"),
        ({"cni": "weave", "danm.k8s.io/interfaces": "[]"}, "is of another multi-network system"),
        ({"networks": ' {"ports":[]}'}, "annotation networks is of another multi-network system"),
        ({"networks": "a,b"}, ""),
        ({"cni": "weave", "multinetwork.x-k8s.io/networks": "[]"}, ""),
        ({"cni": "weave", "k8s.v1.cni.cncf.io/networks": "a"}, ""),
        ({}, ""),
    ],
)
@pytest.mark.usefixtures("hints")
def test_pods_of_theirs_get_a_warning(apiserver: Any, kind: str, annotations: dict[str, str], words: str) -> None:
    warnings = _submit(apiserver, kind, annotations)
    ours = [line for line in warnings if "another multi-network system" in line]
    assert bool(ours) == bool(words)
    assert all(words in line and "podnet-compat translate FILE" in line for line in ours)
