"""The manifests say what the programs say, and give away no more than these need."""

from typing import Any

import pytest
import yaml
from podnet_api.webhook import configurations
from podnet_hack import paths

BASE = paths.CHECKOUT / "hack/manifests/base"
Object = dict[str, Any]


def objects(kind: str = "") -> list[Object]:
    """The objects of the manifests, of one kind or of all."""
    found = [one for path in sorted(BASE.rglob("*.yaml")) for one in yaml.safe_load_all(path.read_text()) if one]
    return [one for one in found if not kind or one["kind"] == kind]


@pytest.mark.parametrize(
    "wanted", [configurations.mutating(), configurations.validating()], ids=lambda one: one["kind"]
)
def test_webhooks_are_what_the_program_registers(wanted: Object) -> None:
    (found,) = (one for one in objects(wanted["kind"]) if one["metadata"]["name"] == wanted["metadata"]["name"])
    assert found == wanted


def test_no_role_gives_away_everything() -> None:
    for role in [*objects("ClusterRole"), *objects("Role")]:
        for rule in role["rules"]:
            assert "*" not in [*rule["verbs"], *rule.get("resources", ()), *rule.get("apiGroups", ())], role


def test_every_program_has_an_account_of_its_own() -> None:
    accounts = {one["metadata"]["name"] for one in objects("ServiceAccount")}
    used = [one["spec"]["template"]["spec"]["serviceAccountName"] for one in workloads()]
    assert sorted(used) == sorted(accounts)
    bindings = [*objects("ClusterRoleBinding"), *objects("RoleBinding")]
    assert {subject["name"] for one in bindings for subject in one["subjects"]} >= accounts


def test_no_program_is_privileged_and_only_the_kni_server_has_capabilities() -> None:
    for one in workloads():
        context = one["spec"]["template"]["spec"]["containers"][0]["securityContext"]
        assert not context.get("privileged")
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"]["drop"] == ["ALL"]
        added = context["capabilities"].get("add", [])
        kni_server = one["metadata"]["name"] == "podnet-kni-server"
        assert added == (["NET_ADMIN", "SYS_ADMIN", "NET_RAW"] if kni_server else [])


def test_programs_that_pods_wait_for_start_on_nodes_that_are_not_ready_for_networks() -> None:
    for one in workloads():
        tolerated = one["spec"]["template"]["spec"]["tolerations"]
        assert any(t.get("key") in {None, "multinetwork.x-k8s.io/kni-not-ready"} for t in tolerated), one["metadata"]


def workloads() -> list[Object]:
    """Everything that runs programs."""
    return [*objects("Deployment"), *objects("DaemonSet")]
