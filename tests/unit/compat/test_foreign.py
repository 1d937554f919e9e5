"""Pods of other systems at admission, against an API server in memory; the manifests that have us asked about them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from podnet_api import names as api_names
from podnet_api import networks
from podnet_api.admission import Allow, Deny, Request
from podnet_api.errors import PodnetError
from podnet_compat import legacy, main, names, systems
from podnet_compat import store as stores
from podnet_compat.foreign.reading import ROUNDS, Known, Reading
from podnet_compat.foreign.watching import Watched
from podnet_compat.foreign.webhook import Foreign, chosen
from podnet_compat.maker import HeldError
from podnet_compat.systems import recognised
from podnet_compat.systems.base import Objects
from podnet_hack import paths
from podnet_tests import danm_examples, foreign_live

Item = dict[str, Any]
ROOT = "/apis/danm.io/v1/namespaces/a/danmnets"
KEY = "danm.io/interfaces"
LIST = api_names.NETWORKS_ANNOTATION


def ask(entries: Any, others: dict[str, str] | None = None, *, key: str = KEY, dry_run: bool = False) -> Request:
    text = entries if isinstance(entries, str) else json.dumps(entries)
    item = {"metadata": {"generateName": "web-", "annotations": {key: text, **(others or {})}}, "spec": {}}
    return Request("1", "CREATE", "me", "a", "web-", item, None, dry_run)


def put(api: Any, name: str, **options: Any) -> None:
    spec = {"NetworkID": name, "Options": {"host_device": "ens4", "cidr": "10.0.0.0/24", **options}}
    api.put(f"{ROOT}/{name}", metadata={"name": name, "namespace": "a"}, spec=spec)


@pytest.fixture
def hook(api: Any, store: stores.Store) -> Foreign:
    put(api, "n")
    return foreign_live.hook(store, "danm, genie, knitter")


def listed(answer: Allow | Deny) -> list[tuple[str, str, str]]:
    assert isinstance(answer, Allow), answer
    [step] = answer.patch
    assert step["path"] == "/metadata/annotations/multinetwork.x-k8s.io~1networks"
    found = networks.parse(step["value"])
    return [(n.pod_network_name, n.pod_network_attachment_name, n.interface_name) for n in found]


async def test_a_pod_gets_its_list_and_what_that_needs(api: Any, hook: Foreign) -> None:
    assert listed(await hook.mutate_pod(ask([{"network": "n", "ip": "dynamic"}]))) == [("a.n", "", "eth0")]
    assert api.names("podnetworks") == ["a.n"]
    assert api.names("networkconfigs") == ["a.n"]
    # a second Pod finds them, and writes nothing
    before = len(api.requests)
    assert listed(await hook.mutate_pod(ask([{"network": "n", "ip": "dynamic"}])))
    assert len(api.requests) == before


async def test_replicas_share_an_attachment(api: Any, hook: Foreign) -> None:
    entries = [{"network": "n", "ip": "dynamic"}, {"network": "n", "ip": "10.0.0.9"}]
    first, second = [listed(await hook.mutate_pod(ask(entries))) for _ in range(2)]
    assert first == second
    assert api.names("podnetworkattachments") == [first[1][1]]
    assert api.names("podnetworks") == ["a.n", "a.n-2"]


async def test_the_naming_scheme_is_read_where_the_installer_wrote_it(api: Any, hook: Foreign) -> None:
    put(api, "x", container_prefix="ext")
    entries = [{"network": "n", "ip": "dynamic"}, {"network": "x", "ip": "dynamic"}]
    assert [name for _, _, name in listed(await hook.mutate_pod(ask(entries)))] == ["eth0", "ext1"]
    path = "/api/v1/namespaces/kube-system/configmaps/danm-installer-config"
    api.put(path, metadata={"name": "danm-installer-config"}, data={"cni_naming_scheme": "legacy"})
    assert [name for _, _, name in listed(await hook.mutate_pod(ask(entries)))] == ["eth0", "ext"]


async def test_plugins_of_genie(api: Any, hook: Foreign) -> None:
    assert listed(await hook.mutate_pod(ask("weave,flannel", key="cni"))) == [
        ("weave", "", "eth0"),
        ("flannel", "", "eth1"),
    ]
    assert api.names("networkconfigs") == ["flannel", "weave"]


async def test_a_dry_run_makes_nothing(api: Any, hook: Foreign) -> None:
    assert listed(await hook.mutate_pod(ask([{"network": "n", "ip": "10.0.0.9"}], dry_run=True)))
    assert api.requests == []


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([{"network": "gone"}], "the requested network gone of type DanmNet in namespace a does not exist"),
        ([{"network": "n", "clusterNetwork": "n"}], "invalid number of network references:2"),
    ],
)
async def test_the_reason_why_not(hook: Foreign, entries: Any, words: str) -> None:
    answer = await hook.mutate_pod(ask(entries))
    assert isinstance(answer, Deny)
    assert words in answer.message
    assert answer.faults[0].path == f"metadata.annotations[{KEY}][0]"


async def test_a_list_that_is_there_stays(api: Any, hook: Foreign) -> None:
    answer = await hook.mutate_pod(ask([{"network": "n"}], {LIST: '[{"podNetworkName":"default"}]'}))
    assert answer == Allow()
    assert api.requests == []


async def test_pods_of_others_are_left_alone_with_a_word(hook: Foreign) -> None:
    answer = await hook.mutate_pod(ask("weave", {"k8s.v1.cni.cncf.io/networks": "x"}, key="cni"))
    assert isinstance(answer, Allow)
    assert answer.patch == []
    assert "metadata.annotations[cni]: has no effect" in answer.warnings[0]


async def test_a_network_of_the_same_name_from_elsewhere_is_in_the_way(api: Any, hook: Foreign) -> None:
    api.put("/apis/danm.io/v1/namespaces/a/tenantnetworks/n", metadata={"name": "n", "namespace": "a"},
            spec={"NetworkID": "n", "Options": {"host_device": "ens4", "cidr": "10.0.0.0/24"}})  # fmt: skip
    await hook.mutate_pod(ask([{"network": "n", "ip": "dynamic"}]))
    with pytest.raises(HeldError, match="was made from DanmNet a/n; rename one of them"):
        await hook.mutate_pod(ask([{"tenantNetwork": "n", "ip": "dynamic"}]))


async def test_what_the_administrator_made_is_not_touched(api: Any, store: stores.Store, hook: Foreign) -> None:
    spec = {"provider": "multinetwork.x-k8s.io/kni"}
    api.put("/apis/multinetwork.x-k8s.io/v1alpha1/podnetworks/a.n", metadata={"name": "a.n"}, spec=spec)
    assert listed(await hook.mutate_pod(ask([{"network": "n", "ip": "dynamic"}])))
    assert api.objects["/apis/multinetwork.x-k8s.io/v1alpha1/podnetworks/a.n"]["spec"] == spec


async def test_objects_that_lead_to_ever_more_end(store: stores.Store) -> None:
    def work(objects: Objects) -> None:
        for number in range(2 * ROUNDS):
            if objects.get("danm.io", "DanmNet", f"n{number}", "a") is None and not _known(objects, number):
                return

    def _known(objects: Objects, number: int) -> bool:
        return isinstance(objects, Known) and ("danm.io", "DanmNet", "a", f"n{number}") not in objects.wanted

    with pytest.raises(PodnetError, match="lead to ever more"):
        await Reading(store, systems.SYSTEMS, Watched(store.client, ())).run(work, Known({}))


def test_systems_and_settings_by_name() -> None:
    assert [system.name for system in chosen("genie,danm,genie", systems.SYSTEMS)] == ["genie", "danm"]
    assert chosen("", systems.SYSTEMS) == ()
    with pytest.raises(PodnetError, match="cannot translate Pods of unknown: known are"):
        chosen("unknown", systems.SYSTEMS)
    assert systems.settings(["danm.namingScheme=legacy"]) == {"danm.namingScheme": "legacy"}
    for broken in ("legacy", "danm.namingScheme", "x.y=1"):
        with pytest.raises(systems.SettingError, match=f"cannot read --set {broken}"):
            systems.settings([broken])


def test_the_command_takes_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pods.yaml"
    nets = [danm_examples.network("DanmNet", name, "a", host_device="e", container_prefix="ext") for name in "nm"]
    file.write_text(yaml.safe_dump_all([*nets, danm_examples.pod([{"network": "n"}, {"network": "m"}], "a")]))
    assert main.main(["translate", "--set", "danm.namingScheme=legacy", str(file)]) == 0
    assert "interfaceName: ext\n" in capsys.readouterr().out
    assert main.main(["translate", "--set", "colour=red", str(file)]) == 2


def test_a_service_stays_beside_its_endpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "service.yaml"
    net = danm_examples.network("DanmNet", "n", "a", host_device="e", cidr="10.0.0.0/24")
    front = danm_examples.pod([{"network": "n", "ip": "10.0.0.9"}], "a", labels={"app": "front"})
    file.write_text(yaml.safe_dump_all([danm_examples.SERVICE, net, front]))
    assert main.main(["translate", str(file)]) == 0
    kinds = [item["kind"] for item in yaml.safe_load_all(capsys.readouterr().out)]
    assert {"Service", "EndpointSlice", "PodNetwork", "Pod"} < set(kinds)
    assert "DanmNet" not in kinds


async def test_genies_status_goes_with_the_network_status(hook: Foreign) -> None:
    rows = [{"interface": "eth0", "ips": ["10.0.0.5"]}, {"interface": "eth1", "ips": ["10.1.0.5"]}]
    annotations = {"cni": "a,b", api_names.NPWG_STATUS_ANNOTATION: json.dumps(rows)}
    request = Request("1", "UPDATE", "me", "a", "p", {"metadata": {"annotations": annotations}}, None, False)
    answer = await hook.genie_status(request)
    assert isinstance(answer, Allow)
    [step] = answer.patch
    assert (step["op"], step["path"]) == ("add", "/metadata/annotations/multi-ip-preferences")
    annotations["multi-ip-preferences"] = step["value"]
    assert await hook.genie_status(request) == Allow()
    assert await hook.genie_status(Request("1", "UPDATE", "me", "a", "p", {}, None, False)) == Allow()


COMPONENTS = ["compat-systems", "compat-systems-npwg"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_component_covers_what_its_systems_need(component: str) -> None:
    directory = paths.CHECKOUT / "hack/manifests/components" / component
    deployment, webhooks, *_ = yaml.safe_load((directory / "kustomization.yaml").read_text())["patches"]
    [flag] = yaml.safe_load(deployment["patch"])
    named = chosen(flag["value"].removeprefix("--systems="), systems.SYSTEMS)
    [webhook] = yaml.safe_load(webhooks["patch"])
    condition = webhook["value"]["matchConditions"][0]["expression"]
    keys = {key for system in named for key in (*system.keys, *system.carries)}
    assert all(f"'{key}'" in condition for key in keys)
    items = yaml.safe_load_all((directory / "rbac.yaml").read_text())
    rules = [rule for item in items for rule in item.get("rules", [])]
    watched = {pair for rule in rules if "watch" in rule["verbs"] for pair in _named(rule)}
    read = {pair for rule in rules if "resources" in rule and rule["verbs"] == ["get"] for pair in _named(rule)}
    kinds = [kind for system in named for kind in system.kinds if kind.plural and kind.group != legacy.GROUP]
    assert watched == {(kind.group, kind.plural) for kind in kinds if kind.watched}
    assert read == {(kind.group, kind.plural) for kind in kinds if kind.kind == "ConfigMap"}


def _named(rule: Item) -> set[tuple[str, str]]:
    return {(group, plural) for group in rule["apiGroups"] for plural in rule.get("resources", [])}


def test_the_components_have_every_system_that_has_pods() -> None:
    """But for those whose Pods come to us as Multus' own, or are refused, or are only named."""
    named: list[str] = []
    for component in COMPONENTS:
        text = (paths.CHECKOUT / "hack/manifests/components" / component / "kustomization.yaml").read_text()
        named += re.findall(r"--systems=([\w,-]+)", text)[0].split(",")
    left = {"kubevirt", "galaxy", "recognised"}
    assert sorted([*named, *left]) == sorted(system.name for system in systems.SYSTEMS if system.pods)


def test_hints_are_given_for_every_key_of_another_system() -> None:
    """Those of Multus, and ``networks``, are told by podnet-compat itself."""
    text = (paths.CHECKOUT / "hack/manifests/base/compat/hints.yaml").read_text()
    expression = next(iter(yaml.safe_load_all(text)))["spec"]["variables"][1]["expression"]
    keys = {key for system in systems.SYSTEMS for key in system.keys} - {names.NETWORKS, *names.HISTORIC}
    starts = {start for known in recognised.KNOWN for start in known.keys}
    told = re.findall(r"'([^']*)'", expression)
    assert [key for key in sorted(keys) if not any(key.startswith(one) for one in told)] == []
    assert starts <= set(told)
