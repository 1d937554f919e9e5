"""The webhook's answers for Pods, as tables; applying an answer and asking again changes nothing."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podnet_api import names, networks
from podnet_api.admission import Allow
from podnet_api.webhook import affinity, pods

Json = dict[str, Any]
KEY, PLUGINS = names.NETWORKS_ANNOTATION, names.REQUIRED_PLUGINS_ANNOTATION
KNOWN = {"to-red": "red", "to-default": "default"}


def pod(listed: Any, annotations: dict[str, str] | None = None, **spec: Any) -> Json:
    text = listed if isinstance(listed, str) else json.dumps(listed)
    return {
        "metadata": {"annotations": {KEY: text, **(annotations or {})}},
        "spec": {"containers": [{"name": "a"}, {"name": "b"}], **spec},
    }


def direct(name: str, **more: Any) -> Json:
    return {"podNetworkName": name, **more}


def by(name: str, **more: Any) -> Json:
    return {"podNetworkAttachmentName": name, **more}


def applied(item: Json, patch: list[Json]) -> Json:
    """``item`` after a patch of ``add`` operations, the only ones that we use."""
    made = copy.deepcopy(item)
    for step in patch:
        assert step["op"] == "add"
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        place: Any = made
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        place[last] = step["value"]
    return made


def admitted(item: Json, *, cni_shim: bool = False) -> Json:
    answer = pods.created(item, KNOWN.get, cni_shim=cni_shim)
    assert isinstance(answer, Allow), answer
    patched = applied(item, answer.patch)
    again = pods.created(patched, KNOWN.get, cni_shim=cni_shim)
    assert isinstance(again, Allow)
    assert again.patch == [], "reinvocation must change nothing"
    assert pods.final_faults(patched, KNOWN.get, cni_shim=cni_shim) == ()
    return patched


def interfaces(item: Json) -> list[str]:
    return [entry["interfaceName"] for entry in json.loads(item["metadata"]["annotations"][KEY])]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([direct("blue")], ["eth0", "net1"]),
        ([direct("blue"), direct("red")], ["eth0", "net1", "net2"]),
        ([direct("default"), direct("blue")], ["eth0", "net1"]),
        ([direct("blue"), direct("default")], ["net0", "eth0"]),
        ([direct("blue", interfaceName="fast"), direct("red")], ["eth0", "fast", "net2"]),
        ([direct("blue", interfaceName="net1"), direct("red")], ["eth0", "net1", "net2"]),
        ([by("to-red")], ["eth0", "net1"]),
        ([], ["eth0"]),
        ([direct("default")], ["eth0"]),
    ],
)
def test_every_interface_is_named(listed: list[Json], expected: list[str]) -> None:
    assert interfaces(admitted(pod(listed))) == expected


PATH = networks.PATH


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("nonsense", [PATH]),
        ([direct("blue", interfaceName="net2"), direct("red")], [f"{PATH}[1].interfaceName"]),
        ([direct("blue", interfaceName="eth0")], [f"{PATH}[0].interfaceName"]),
        ([direct("blue"), direct("red"), direct("blue")], [f"{PATH}[2].podNetworkName"]),
        ([direct("blue", isDefaultGW6=True), direct("red", isDefaultGW6=True)], [f"{PATH}[1].isDefaultGW6"]),
        ([by("to-default")], [f"{PATH}[0].podNetworkAttachmentName"]),
        ([direct("default"), by("to-default")], [f"{PATH}[1].podNetworkAttachmentName"]),
        ([direct(f"n{i}") for i in range(32)], [PATH]),
    ],
)
def test_faults_stand_where_the_user_wrote(listed: Any, expected: list[str]) -> None:
    answer = pods.created(pod(listed), KNOWN.get)
    assert isinstance(answer, tuple)
    assert [fault.path for fault in answer] == expected


def test_with_the_shim_a_network_takes_the_place_of_default() -> None:
    listed = [direct("blue", interfaceName="eth0"), direct("red")]
    answer = pods.created(pod(listed), KNOWN.get, cni_shim=True)
    assert isinstance(answer, Allow)
    assert interfaces(admitted(pod(listed), cni_shim=True)) == ["eth0", "net1"]
    both = pods.created(pod([direct("default"), *listed]), KNOWN.get, cni_shim=True)
    assert isinstance(both, tuple)
    assert {fault.path for fault in both} == {f"{PATH}[1].interfaceName"}


def test_host_network() -> None:
    refused = pods.created(pod([direct("blue")], hostNetwork=True), KNOWN.get)
    assert isinstance(refused, tuple)
    assert pods.created(pod([], hostNetwork=True), KNOWN.get) == Allow()


def test_only_default_adds_nothing_but_the_list() -> None:
    for listed in ([], [direct("default")]):
        found = admitted(pod(listed))
        assert found["spec"] == pod(listed)["spec"]
        assert PLUGINS not in found["metadata"]["annotations"]
    answer = pods.created(pod([]), KNOWN.get)
    assert isinstance(answer, Allow)
    assert answer.warnings == [pods.EMPTY_WARNING]


def test_a_pod_without_the_annotation_is_untouched() -> None:
    bare: list[Json] = [
        {},
        {"metadata": {}},
        {"metadata": {"annotations": None}},
        {"metadata": {"annotations": {"a": "b"}}},
    ]
    for item in bare:
        assert pods.created(item, KNOWN.get) == Allow()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "[kni]"),
        ("", "[kni]"),
        ("[kni]", "[kni]"),
        ("- kni\n- other", "- kni\n- other"),
        ("[other]", '["other","kni"]'),
        ("- a\n- b", '["a","b","kni"]'),
    ],
)
def test_required_plugins_are_merged(before: str | None, after: str) -> None:
    found = admitted(pod([direct("blue")], None if before is None else {PLUGINS: before}))
    assert found["metadata"]["annotations"][PLUGINS] == after


@pytest.mark.parametrize("text", ["other", "{}", "[1]", "[", "[" * 5000, "&a [*a]"])
def test_unreadable_plugins_are_a_fault(text: str) -> None:
    answer = pods.created(pod([direct("blue")], {PLUGINS: text}), KNOWN.get)
    assert isinstance(answer, tuple)
    assert [fault.path for fault in answer] == [f"metadata.annotations[{PLUGINS}]"]


def test_resources_of_the_first_container() -> None:
    item = pod([direct("blue")])
    item["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1"}, "claims": [{"name": "x"}]}
    first, second = admitted(item)["spec"]["containers"]
    assert first["resources"] == {
        "limits": {names.RESOURCE: "0", "cpu": "1"},
        "requests": {names.RESOURCE: "0"},
        "claims": [{"name": "x"}],
    }
    assert "resources" not in second


def expression(name: str) -> Json:
    return {"key": names.node_label(name), "operator": "Exists"}


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
ZONE = {"key": "zone", "operator": "In", "values": ["a"]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, [{"matchExpressions": [expression("red"), expression("blue")]}]),
        ([{"matchExpressions": [ZONE]}], [{"matchExpressions": [ZONE, expression("red"), expression("blue")]}]),
        ([{"matchFields": [ZONE]}, {"matchExpressions": [expression("blue")]}],
         [{"matchFields": [ZONE], "matchExpressions": [expression("red"), expression("blue")]},
          {"matchExpressions": [expression("blue"), expression("red")]}]),
        ([{}], [{}]),
        ([], []),
    ],
)  # fmt: skip
def test_affinity(before: list[Json] | None, after: list[Json]) -> None:
    given: Json = {"podAffinity": {"a": 1}}
    if before is not None:
        given["nodeAffinity"] = {REQUIRED: {"nodeSelectorTerms": before}, "preferred": [1]}
    kept = copy.deepcopy(given)
    made = affinity.require(given, ["red", "blue"])
    assert given == kept, "the argument must stay as it is"
    assert made["podAffinity"] == {"a": 1}
    assert made["nodeAffinity"][REQUIRED]["nodeSelectorTerms"] == after
    assert affinity.require(made, ["red", "blue"]) == made


def test_a_name_too_long_for_a_label_is_hashed() -> None:
    [term] = affinity.require(None, ["x" * 253])["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    assert len(term["matchExpressions"][0]["key"].split("/")[1]) == 63


def test_a_list_written_after_us_is_refused() -> None:
    faults = pods.final_faults(pod([direct("blue")]), KNOWN.get)
    assert [fault.path for fault in faults] == [PATH]
    assert "another webhook" in faults[0].message


ENTRY = st.fixed_dictionaries(
    {"podNetworkName": st.sampled_from(["default", "a", "b", "c"])},
    optional={"interfaceName": st.sampled_from(["eth0", "net0", "net1", "net2", "x"])},
)


@given(st.lists(ENTRY, max_size=4))
def test_an_answer_is_complete_or_a_refusal(listed: list[Json]) -> None:
    answer = pods.created(pod(listed), KNOWN.get)
    if isinstance(answer, tuple):
        assert answer
        assert listed
        return
    found = admitted(pod(listed))
    entries = json.loads(found["metadata"]["annotations"][KEY])
    assert len({entry["interfaceName"] for entry in entries}) == len(entries)
    assert [entry["podNetworkName"] for entry in entries].count("default") == 1
    assert entries[-len(listed) :] == entries[1:] or len(entries) == len(listed) or not listed
