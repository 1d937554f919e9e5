"""What a plan says of each object, and which writes move a namespace: pure parts, on objects as JSON has them.

Longer than our files are: one inventory serves every row of the plan.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from podnet_api import names as api_names
from podnet_compat import legacy, main, names
from podnet_compat import pod as pods
from podnet_compat.annotation import parse
from podnet_compat.migrate import (
    addressing,
    foreign,
    injector,
    inventory,
    kept,
    multus,
    planning,
    report,
    steps,
    takeover,
)
from podnet_compat.migrate.report import Outcome, Row
from podnet_compat.reader import Notes

Object = dict[str, Any]
BRIDGE = {"type": "bridge", "bridge": "br1", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}
BESIDE = {
    "kind": "MutatingWebhookConfiguration",
    "metadata": {"name": inventory.WEBHOOK},
    "webhooks": [{"namespaceSelector": {"matchLabels": {names.ATTACHED_BY: names.PODNET}}}],
}
CONF = {"clusterNetwork": "/host/etc/cni/net.d/10-flannel.conflist", "type": "multus-shim", "logLevel": "debug"}


def nad(name: str = "lab", config: object = BRIDGE, namespace: str = "blue", **annotations: str) -> Object:
    meta = {"name": name, "namespace": namespace, "annotations": annotations}
    return {
        "kind": legacy.KIND,
        "apiVersion": "k8s.cni.cncf.io/v1",
        "metadata": meta,
        "spec": {"config": json.dumps(config)},
    }


def pod(name: str, asked: str | None = "lab", namespace: str = "blue", owner: str = "", **more: str) -> Object:
    annotations = {**({} if asked is None else {names.NETWORKS: asked}), **more}
    meta: Object = {"name": name, "namespace": namespace, "annotations": annotations}
    if owner:
        kind, _, called = owner.partition("/")
        meta["ownerReferences"] = [
            {"kind": kind, "name": called, "controller": True, "apiVersion": "apps/v1", "uid": "u"}
        ]
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": {}}


def workload(kind: str = "Deployment", name: str = "web", asked: str = "lab", owner: str = "") -> Object:
    meta = pod(name, None, owner=owner)["metadata"]
    template = {"metadata": {"annotations": {names.NETWORKS: asked}}, "spec": {}}
    return {"kind": kind, "apiVersion": "apps/v1", "metadata": meta, "spec": {"template": template}}


def status(*ips: str, interface: str = "net1") -> str:
    return json.dumps(
        [{"name": "blue/lab", "interface": interface, "ips": list(ips)}, {"name": "cluster", "ips": ["1.1.1.1"]}]
    )


def namespace(name: str = "blue", moved: bool = False) -> Object:
    labels = {names.ATTACHED_BY: names.PODNET} if moved else {}
    return {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name, "labels": labels}}


def config_map(value: object, name: str = "multus-daemon-config") -> Object:
    meta = {"name": name, "namespace": "kube-system"}
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": meta,
        "data": {"daemon-config.json": json.dumps(value)},
    }


def sorted_(*items: Object) -> inventory.Inventory:
    return inventory.sort(items, "default")


def rows(*items: Object) -> dict[tuple[str, str], Row]:
    return {(row.kind, row.name): row for row in planning.plan(sorted_(*items)).rows}


@pytest.mark.parametrize(
    ("items", "key", "outcome", "said"),
    [
        ([nad(config={"type": "bridge"})], (legacy.KIND, "lab"), Outcome.MOVES, ""),
        ([nad()], (legacy.KIND, "lab"), Outcome.MOVES, "host-local goes on keeping its addresses"),
        ([nad(config={"type": "macvlan", "master": "e", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}})],
         (legacy.KIND, "lab"), Outcome.DIFFERS, "spec.config.ipam.type"),
        ([nad(config={"type": "ovs"})], (legacy.KIND, "lab"), Outcome.DIFFERS, "spec.config.type"),
        ([nad(config=[])], (legacy.KIND, "lab"), Outcome.REFUSED,
         "spec.config: Invalid value: []: must be a JSON object"),
        ([{**nad(), "metadata": {"name": "lab", "namespace": "blue", "labels": []}}], (legacy.KIND, "lab"),
         Outcome.REFUSED, "Expected"),
        ([nad(), pod("a")], ("Pod", "a"), Outcome.MOVES, ""),
        ([nad(), pod("a", '[{"name":"lab","gateway":["1.1.1.1"]}]')], ("Pod", "a"), Outcome.DIFFERS, "gateway"),
        ([pod("a")], ("Pod", "a"), Outcome.REFUSED,
         "cannot find a network-attachment-definition (lab) in namespace (blue)"),
        ([nad(), workload(asked="lab,")], ("Deployment", "web"), Outcome.REFUSED,
         "spec.template.metadata.annotations["),
        ([nad(), pod("a", **{names.DEFAULT_NETWORK: "blue/lab"})], ("Pod", "a"), Outcome.DECIDE, "needs the CNI shim"),
        ([nad(), pod("a", **{names.MIRROR_POD: "x"})], ("Pod", "a"), Outcome.DECIDE, "a static Pod cannot be changed"),
        ([nad(), pod("a", None, networks="[]")], ("Pod", "a"), Outcome.DIFFERS,
         "did you mean k8s.v1.cni.cncf.io/networks?"),
        ([nad(), config_map(CONF), pod("a", **{api_names.NETWORKS_ANNOTATION: "[]"})], ("Pod", "a"), Outcome.DECIDE,
         "attached by both"),
        ([nad(config={"type": "kube-ovn", "provider": "lab.blue.ovn"}), pod("a")], ("Pod", "a"), Outcome.DECIDE,
         "kube-ovn reads this key, too"),
        ([nad(config={"type": "ovn-k8s-cni-overlay", "name": "lab", "netAttachDefName": "blue/lab"}), pod("a")],
         ("Pod", "a"), Outcome.DECIDE, "ovn-kubernetes reads this key, too"),
        ([{**pod("a"), "kind": "MultiNetworkPolicy"}], ("MultiNetworkPolicy", "a"), Outcome.DECIDE,
         "enforces this policy"),
        ([nad(), pod("a"), namespace(), config_map({"defaultNetworks": ["x"]})], ("Namespace", "blue"), Outcome.DECIDE,
         "put blue into systemNamespaces"),
    ],
)  # fmt: skip
def test_each_object(items: list[Object], key: tuple[str, str], outcome: Outcome, said: str) -> None:
    row = rows(*items)[key]
    assert row.outcome is outcome, row
    assert any(said in text for text in row.said) if said else not row.said, row.said


def test_what_a_pod_becomes() -> None:
    found = rows(nad(), pod("a", '[{"name":"lab","mac":"02:00:00:00:00:01"},{"name":"lab"}]'), workload(asked="lab@x0"))
    assert found["Deployment", "web"].becomes == "default@eth0, blue.lab@x0"
    first, through, again = found["Pod", "a"].becomes.split(", ")
    assert (first, again) == ("default@eth0", "blue.lab-2@net2")
    assert through.startswith("blue.lab by lab-")


def test_what_others_made_is_said_once() -> None:
    replica = workload("ReplicaSet", "web-1", owner="Deployment/web")
    found = planning.plan(sorted_(nad(), workload(), replica, pod("web-1-a", owner="ReplicaSet/web-1")))
    assert [row.kind for row in found.rows] == ["Namespace", legacy.KIND, "Deployment", "Pod"]
    assert "web-1-a" not in report.text(found, "table")
    assert "1 Pods are like what made them" in report.text(found, "table")
    assert "web-1-a" in report.text(found, "table", whole=True)


def test_who_attaches() -> None:
    taken = {api_names.NETWORKS_ANNOTATION: "[]", names.MOVED[names.NETWORKS]: "lab"}
    done = {**pod("c"), "status": {"phase": "Succeeded"}}
    found = rows(nad(), pod("a"), pod("b", None, **taken), done, namespace(moved=True))
    assert [found["Pod", name].attached_by for name in ("a", "b")] == ["multus", "podnet"]
    assert ("Pod", "c") not in found
    assert found["Namespace", "blue"].attached_by == "podnet"
    assert found["Namespace", "blue"].said == [
        "Pods attached now: 1 by podnet, 1 by Multus",
        "those of Multus stay with it until they are made anew",
    ]


@pytest.mark.parametrize(
    ("value", "outcome", "said"),
    [
        (CONF, Outcome.MOVES, ""),
        ({"plugins": [CONF]}, Outcome.MOVES, ""),
        ({"NamespaceIsolation": True, "globalNamespaces": "b, a"}, Outcome.DECIDE, "--global-namespaces=a,b"),
        ({"namespaceIsolation": "yes"}, Outcome.DECIDE, "must be a boolean"),
        ({"readinessindicatorfile": "/x"}, Outcome.DIFFERS, "podnet waits for no file"),
        (
            {"clusterNetwork": "lab", "multusNamespace": "blue"},
            Outcome.DECIDE,
            "each node needs a CNI configuration file",
        ),
        ({"type": "multus", "delegates": [{"name": "a"}, {"name": "b"}]}, Outcome.DECIDE, "--default-networks=b "),
        ({"defaultNetworks": ["a"], "systemNamespaces": ["blue"]}, Outcome.DECIDE, "--system-namespaces=blue;"),
        ({"type": "multus", "metricsPort": 9091}, Outcome.DIFFERS, "podnet has metrics of its own"),
        ({"type": "multus", "readinesIndicatorFile": "/x"}, Outcome.DIFFERS, "did you mean 'readinessindicatorfile'?"),
    ],
)
def test_keys_of_multus(value: Object, outcome: Outcome, said: str) -> None:
    found = sorted_(nad(), config_map(value))
    [row] = [row for row in planning.plan(found).rows if row.kind == "Multus"]
    assert row.outcome is outcome, row
    assert any(said in text for text in row.said) if said else not row.said, row.said
    assert row.name == "ConfigMap kube-system/multus-daemon-config[daemon-config.json]"


@pytest.mark.parametrize(
    ("text", "outcome", "said"),
    [
        ("{}", Outcome.MOVES, []),
        ('{"features": {"enableHugePageDownApi": false}}', Outcome.MOVES, []),
        ('{"features": {"enableHugePageDownApi": true}}', Outcome.DECIDE, ["--inject-hugepages"]),
        ('{"features": {"enableHonorExistingResources": true}}', Outcome.DECIDE, ["only what is missing"]),
        ('{"user-defined-injections": {"sriov": {"op": "add"}, "b": 5}}', Outcome.DECIDE,
         ["user-defined-injections.sriov: Pods with this label", "user-defined-injections.b"]),
        ('{"user-defined-injections": [', Outcome.DECIDE, ["data[config.json]: "]),
    ],
)  # fmt: skip
def test_what_the_injector_did(text: str, outcome: Outcome, said: list[str]) -> None:
    meta = {"name": injector.NAME, "namespace": "kube-system"}
    found = rows({"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta, "data": {"config.json": text}})
    row = found["ConfigMap", injector.NAME]
    assert (row.outcome, row.namespace) == (outcome, "kube-system")
    assert [words in one for words, one in zip(said, row.said, strict=True)] == [True] * len(said)


@pytest.mark.parametrize("text", ["{", "5", "[]", '{"type": "bridge"}', '{"plugins": 5}'])
def test_other_configurations_are_not_multus(text: str) -> None:
    assert multus.find("x", text) is None


def test_a_plan_holds_pods_to_the_isolation_that_multus_has() -> None:
    items = [nad(), pod("a", "blue/lab", namespace="red")]
    assert rows(*items)["Pod", "a"].outcome is Outcome.MOVES
    assert rows(*items, config_map({"namespaceIsolation": True}))["Pod", "a"].outcome is Outcome.REFUSED
    shared = {"namespaceIsolation": True, "globalNamespaces": "blue"}
    assert rows(*items, config_map(shared))["Pod", "a"].outcome is Outcome.MOVES


DEFAULTS = {"defaultNetworks": ["all"], "systemNamespaces": ["kube-system", "red"]}


def test_a_plan_has_the_networks_that_multus_attaches_unasked() -> None:
    every = nad("all", namespace="kube-system")
    items = [nad(), every, config_map(DEFAULTS), pod("a"), pod("b", None), pod("c", "blue/lab", namespace="red")]
    found = rows(*items, workload(asked="lab"), pod("d", None, namespace="red"))
    assert found["Pod", "a"].becomes == "default@eth0, kube-system.all@net1, blue.lab@net2"
    assert found["Deployment", "web"].becomes == "default@eth0, kube-system.all@net1, blue.lab@net2"
    assert found["Pod", "b"].becomes == "default@eth0, kube-system.all@net1"
    assert found["Pod", "c"].becomes == "default@eth0, blue.lab@net1"
    assert [found["Pod", name].outcome for name in "abc"] == [Outcome.MOVES, Outcome.DECIDE, Outcome.MOVES]
    assert "blue has the label multinetwork.x-k8s.io/default-networks=kube-system.all" in found["Pod", "b"].said[0]
    assert ("Pod", "d") not in found


def test_pods_that_say_nothing_are_decided_by_the_label_of_their_namespace() -> None:
    labelled = {"name": "blue", "labels": {api_names.NAMESPACE_NETWORKS: "default_kube-system.all"}}
    items = [nad("all", namespace="kube-system"), config_map(DEFAULTS), pod("b", None)]
    found = rows(*items, {"kind": "Namespace", "apiVersion": "v1", "metadata": labelled})
    assert found["Pod", "b"].outcome is Outcome.MOVES
    own = {**pod("e", None), "spec": {"hostNetwork": True}}
    assert ("Pod", "e") not in rows(*items, own)


def test_a_default_network_without_a_nad() -> None:
    found = rows(nad(), config_map({"defaultNetworks": ["all", "/etc/cni/x.conf"]}), pod("a"))
    assert found["Pod", "a"].outcome is Outcome.REFUSED
    assert found["Pod", "a"].said[0].startswith("ConfigMap kube-system/multus-daemon-config[daemon-config.json]: ")
    said = found["Multus", "ConfigMap kube-system/multus-daemon-config[daemon-config.json]"].said
    assert ["all is no Net" in said[0], "/etc/cni/x.conf is no Net" in said[1]] == [True, True]


def test_a_moved_namespace_is_no_system_namespace_of_podnet() -> None:
    found = rows(namespace("red", moved=True), config_map(DEFAULTS))
    said = found["Multus", "ConfigMap kube-system/multus-daemon-config[daemon-config.json]"].said
    assert any("--system-namespaces=kube-system;" in text for text in said)


def test_hindrances() -> None:
    configured = sorted_(config_map({"defaultNetworks": ["a"], "systemNamespaces": ["red"]})).multus
    assert multus.hindrances(configured, "red") == []
    assert "defaultNetworks" in multus.hindrances(configured, "kube-system")[0]


def test_objects_of_other_systems() -> None:
    unknown = {"kind": "Gadget", "apiVersion": "x/v1", "metadata": {"name": "g"}}
    assert foreign.rows([nad(), pod("a"), unknown], "default") == []


# --- steps

MEMBER = pod("db-0", owner="StatefulSet/db", **{api_names.NPWG_STATUS_ANNOTATION: status("10.1.0.7")})


def test_steps_of_a_namespace() -> None:
    found = sorted_(nad(), workload("StatefulSet", "db"), MEMBER, namespace())
    [noted] = steps.record(found, "blue")
    assert noted.create
    assert noted.body == {"data": {"db-0": '[{"network":"blue/lab","interface":"net1","ips":["10.1.0.7"]}]'}}
    [label] = steps.label(found, "blue", "podnet")
    assert label.body == {"metadata": {"labels": {names.ATTACHED_BY: "podnet"}}}
    [again] = steps.restart(found, "blue", "podnet")
    assert (again.resource.plural, again.name) == ("statefulsets", "db")
    assert steps.restart(found, "blue", "multus") == []


def test_steps_that_are_done_are_not_done_again() -> None:
    noted = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": kept.NAME, "namespace": "blue"}}
    written = kept.written(kept.of_status(MEMBER["metadata"]["annotations"]))
    stamped = workload("StatefulSet", "db")
    stamped["spec"]["template"]["metadata"]["annotations"][steps.RESTARTED] = "podnet"
    found = sorted_(
        nad(**{names.ATTACH_WITH: "plugins"}),
        stamped,
        MEMBER,
        namespace(moved=True),
        {**noted, "data": {"db-0": written}},
    )
    assert steps.record(found, "blue") + steps.label(found, "blue", "podnet") == []
    assert steps.restart(found, "blue", "podnet") == []
    changed = sorted_(MEMBER, {**noted, "data": {"db-0": "[]", "db-1": "x"}})
    [step] = steps.record(changed, "blue")
    assert not step.create
    assert step.body == {"data": {"db-0": written}}


def test_only_addresses_of_members_that_multus_attached_are_noted() -> None:
    by_podnet = pod("db-1", None, owner="StatefulSet/db", **{
        api_names.NETWORKS_ANNOTATION: "[]", api_names.NPWG_STATUS_ANNOTATION: status("10.1.0.8")})  # fmt: skip
    lone = pod("a", **{api_names.NPWG_STATUS_ANNOTATION: status("10.1.0.9")})
    assert steps.record(sorted_(nad(), by_podnet, lone, pod("db-2", owner="StatefulSet/db")), "blue") == []


def test_a_deployment_is_found_through_its_replica_set() -> None:
    replica = workload("ReplicaSet", "web-1", owner="Deployment/web")
    job = workload("Job", "once")
    found = sorted_(
        nad(), workload(), replica, pod("web-1-a", owner="ReplicaSet/web-1"), job, pod("once-a", owner="Job/once")
    )
    assert [step.name for step in steps.restart(found, "blue", "podnet")] == ["web"]
    assert [one.name for one in steps.waiting(found, "blue", "podnet")] == ["web-1-a", "once-a"]


def test_refusals_of_a_namespace() -> None:
    found = sorted_(
        nad(), pod("a", "nope"), pod("b", **{names.DEFAULT_NETWORK: "lab"}), pod("c", "nope", namespace="red")
    )
    assert [text.partition(":")[0] for text in steps.refusals(found, "blue")] == ["Pod blue/a", "Pod blue/b"]
    assert [text.partition(":")[0] for text in steps.refusals(found, "blue", decided=True)] == [
        "Pod blue/a",
        "Pod blue/b",
    ]


def test_steps_back() -> None:
    noted = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": kept.NAME, "namespace": "blue"},
        "data": {"a": "[]"},
    }
    found = sorted_(nad(), pod("a"), namespace(moved=True), noted)
    [label] = steps.label(found, "blue", "multus")
    assert label.body == {"metadata": {"labels": {names.ATTACHED_BY: None}}}
    assert [step.body for step in steps.forget(found, "blue")] == [None]


def test_beside_multus_the_plugins_attach() -> None:
    found = rows(nad(), BESIDE)[legacy.KIND, "lab"]
    assert (found.outcome, found.becomes) == (
        Outcome.DIFFERS,
        "PodNetwork and NetworkConfig blue.lab, by the CNI plugins bridge",
    )
    static = nad("fixed", {"type": "bridge", "ipam": {"type": "static"}})
    used = [workload(asked="lab,fixed,own"), nad("own", **{names.ATTACH_WITH: "native"}), nad(), static]
    assert [one.metadata.name for one in steps.by_plugins(sorted_(*used, BESIDE), "blue")] == ["lab"]
    assert steps.by_plugins(sorted_(*used), "blue") == []


# --- what the webhook asks


def test_addresses_are_asked_for_where_the_pod_asks_for_none() -> None:
    notes = Notes()
    wanted = pods.Wanted(
        "Pod blue/db-0", "blue", parse('[{"name":"lab"},{"name":"lab","ips":["10.1.0.1"]}]', "blue", notes)
    )
    had = [kept.Had(network="blue/lab", interface=f"net{i}", ips=[f"10.1.0.{i + 6}/24"]) for i in (1, 2, 3)]
    asked = kept.asked_for(wanted, [*had, kept.Had(network="blue/lab", interface="net1", ips=["no"])][:3])
    assert [[str(ip) for ip in one.ips] for one in asked.selections] == [["10.1.0.7"], ["10.1.0.1"]]
    assert kept.asked_for(wanted, [kept.Had(network="red/lab", interface="net1", ips=["1.1.1.1"])]) == wanted
    assert kept.asked_for(wanted, [kept.Had(network="blue/lab", interface="net1", ips=["no"])]) == wanted


@pytest.mark.parametrize(
    "text", ["", "{", "5", "[5]", '[{"name": 5, "interface": [], "ips": "x"}]', '[{"name":"blue/lab"}]']
)
def test_a_status_that_says_nothing(text: str) -> None:
    assert kept.of_status({api_names.NPWG_STATUS_ANNOTATION: text}) == ()


@pytest.mark.parametrize(
    ("config", "types", "one", "two"),
    [
        (BRIDGE, {"host-local"}, True, False),
        ({"plugins": [{**BRIDGE, "capabilities": {"ips": True}}, {"type": "tuning"}]}, {"host-local"}, True, True),
        ({"type": "ovs", "IPAM": {"Type": "whereabouts"}}, {"whereabouts"}, True, False),
        ({"type": "bridge", "ipam": {"type": "static"}}, {"static"}, False, False),
        ({"type": "bridge", "ipam": 5, "plugins": 7}, set(), False, False),
        ([], set(), False, False),
    ],
)
def test_who_keeps_addresses(config: object, types: set[str], one: bool, two: bool) -> None:
    found = addressing.of(legacy.nad(nad(config=config)))
    assert found.types == types
    assert (found.gives(["10.1.0.2"]), found.gives(["10.1.0.2", "fd00::2"]), found.gives(["x"])) == (one, two, False)


def test_a_pod_leaves_multus_sight() -> None:
    patch = takeover.patch({names.NETWORKS: "lab", "other": "x"}, ())
    assert patch == [
        {"op": "add", "path": "/metadata/annotations/multinetwork.x-k8s.io~1legacy-networks", "value": "lab"},
        {"op": "remove", "path": "/metadata/annotations/k8s.v1.cni.cncf.io~1networks"},
    ]
    assert takeover.faults({names.NETWORKS: "a"}) == ()
    assert takeover.faults({names.NETWORKS: "a", names.MOVED[names.NETWORKS]: "b"})[0].path.endswith("/networks]")
    assert takeover.inert({"spec": {"hostNetwork": True}})
    assert takeover.inert(pod("a", **{names.MIRROR_POD: "x"}))
    assert not takeover.inert(pod("a"))


# --- the command on a directory


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "objects.yaml").write_text(yaml.safe_dump_all([nad(), {"kind": "List", "items": [workload()]}]))
    (tmp_path / "sub" / "00-multus.conf").write_text(json.dumps(CONF))
    (tmp_path / "notes.txt").write_text("no object")
    return tmp_path


def test_a_plan_of_a_directory(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["migrate", "plan", str(directory), "-o", "json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert [row["kind"] for row in made["rows"]] == ["Multus", "Namespace", legacy.KIND, "Deployment"]
    assert made["summary"] == {"moves": 4, "differs": 0, "decide": 0, "refused": 0}
    assert main.main(["migrate", "plan", str(directory), "-o", "yaml", "-n", "red"]) == 0
    assert [row["kind"] for row in yaml.safe_load(capsys.readouterr().out)["rows"]] == ["Multus"]


@pytest.mark.parametrize("command", [["migrate", "plan"], ["translate"]])
def test_a_key_that_stands_twice(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pod.yaml"
    keys = "".join(f"    {names.NETWORKS}: {name}\n" for name in "xy")
    file.write_text(f"apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations:\n{keys}")
    assert main.main([*command, str(file)]) == 2
    said = capsys.readouterr().err
    assert names.NETWORKS in said
    assert "line 7, column 5" in said or "pod.yaml:7:5" in said
    file.write_text("x: &x {a: 1}\ny: {<<: *x, a: 2}\n")  # a merged key gives way
    assert main.main([*command, str(file)]) == 0


def test_exit_statuses(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (directory / "objects.yaml").read_text()
    (directory / "objects.yaml").write_text(
        text.replace("lab", "lab") + "---\n" + yaml.safe_dump(pod("a", '[{"name":"lab","x":1}]'))
    )
    assert main.main(["migrate", "plan", str(directory)]) == 0
    assert main.main(["migrate", "plan", "--strict", str(directory)]) == 1
    (directory / "objects.yaml").write_text(text + "---\n" + yaml.safe_dump(pod("a", "nope")))
    assert main.main(["migrate", "plan", str(directory)]) == 1
    (directory / "objects.yaml").write_text("a: [")
    assert main.main(["migrate", "plan", str(directory)]) == 2
    assert "objects.yaml" in capsys.readouterr().err
    assert main.main(["migrate", "apply", "-n", "x", "--kubeconfig", str(directory / "absent")]) == 2
    for words in (["plan", "-o", "xml"], ["apply"], ["apply", "-n", "x", "-A"]):
        with pytest.raises(SystemExit) as caught:
            main.main(["migrate", *words])
        assert caught.value.code == 2


# --- whatever a directory holds

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["", "lab", "blue", "{", "[]", '{"type":"bridge"}'])
)
_KEYS = st.sampled_from(
    ["name", "namespace", "annotations", "labels", "ownerReferences", "config", "template", "metadata", "spec", "data",
     "kind", "controller", "phase", "webhooks", "namespaceSelector", "matchLabels", names.NETWORKS, "networks",
     names.DEFAULT_NETWORK, api_names.NETWORKS_ANNOTATION, api_names.NPWG_STATUS_ANNOTATION, names.ATTACH_WITH]
)  # fmt: skip
_ANYTHING = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=12
)
_PARTS = st.fixed_dictionaries(
    {"kind": st.sampled_from([legacy.KIND, "Pod", "Deployment", "CronJob", "ConfigMap", "Namespace",
                              "MultiNetworkPolicy", "MutatingWebhookConfiguration"]),
     "apiVersion": st.sampled_from(["v1", "apps/v1", "batch/v1", "k8s.cni.cncf.io/v1", ""]),
     "metadata": st.dictionaries(_KEYS, _ANYTHING, max_size=4) | _ANYTHING},
    optional={"spec": _ANYTHING, "status": _ANYTHING, "data": _ANYTHING, "template": _ANYTHING, "webhooks": _ANYTHING},
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(_PARTS, max_size=4))
def test_any_objects_make_a_plan(items: list[Object]) -> None:
    found = inventory.sort(items, "default")
    made = planning.plan(found, foreign.rows(items, "default"))
    assert report.text(made, "table")
    for name in planning.namespaces(found):
        to_do = steps.record(found, name) + steps.label(found, name, "podnet") + steps.restart(found, name, "podnet")
        assert all(step.said for step in to_do)
        assert isinstance(steps.refusals(found, name), list)
