"""What users of network-resources-injector defined themselves, as a policy of the API server (docs/migration.md).

It puts the annotation of Multus on a Pod before podnet-compat is asked. That is away here, so a Pod that it is asked
about is refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from podnet_hack import paths
from podnet_tests import rendered

from .conftest import REGISTRATION

PODS = "/api/v1/namespaces/default/pods"
LABEL = "feature.pod.kubernetes.io_sriov-network"
PLURALS = {
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
}


def documented() -> list[dict[str, Any]]:
    """The policy as the documentation has it."""
    text = (paths.CHECKOUT / "docs/migration.md").read_text()
    return list(yaml.safe_load_all(text.partition("```yaml")[2].partition("```")[0]))


def ask(server: Any, labels: dict[str, str]) -> Any:
    """A Pod with these labels, which nobody keeps."""
    spec = {"containers": [{"name": "c", "image": "example.com/c:1"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "injected", "labels": labels}, "spec": spec}
    return server.send("POST", PODS, pod, query={"dryRun": "All"})


@pytest.fixture
def made(apiserver: Any) -> Iterator[list[str]]:
    """Paths of what a test made; they are deleted behind it."""
    paths_: list[str] = []
    yield paths_
    for path in paths_:
        apiserver.send("DELETE", path)


def create(server: Any, made: list[str], item: dict[str, Any]) -> None:
    """Create it."""
    path = f"{REGISTRATION}/{PLURALS[item['kind']]}"
    answer = server.send("POST", path, item)
    assert answer.code == 201, answer.message
    made.append(f"{path}/{item['metadata']['name']}")


def until(true: Any) -> None:
    """The API server learns of policies and webhooks by watches."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_policy_puts_the_annotation_before_compat_is_asked(apiserver: Any, made: list[str]) -> None:
    for item in documented():
        create(apiserver, made, item)

    def annotations(**labels: str) -> Any:
        return ask(apiserver, labels).body["metadata"].get("annotations", {})

    until(lambda: annotations(**{LABEL: "true"}) == {"k8s.v1.cni.cncf.io/networks": "sriov-net-attach-def"})
    assert annotations() == annotations(**{LABEL: "false"}) == {}
    named = ("MutatingWebhookConfiguration", "compat.multinetwork.x-k8s.io")
    [webhooks] = [one for one in rendered.overlay("local") if (one["kind"], one["metadata"]["name"]) == named]
    create(apiserver, made, webhooks)
    until(lambda: ask(apiserver, {LABEL: "true"}).code == 500)
    assert "failed calling webhook" in ask(apiserver, {LABEL: "true"}).message
    assert ask(apiserver, {}).code == 201
