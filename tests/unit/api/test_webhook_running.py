"""The list of a Pod that exists: edited, checked, made explicit without moving an interface."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from podnet_api import names
from podnet_api.admission.review import Allow
from podnet_api.webhook import pods, running

KEY = names.NETWORKS_ANNOTATION
KNOWN = {"fast": "blue", "stock": "default"}
Json = dict[str, Any]


def direct(name: str, interface: str = "", **more: Any) -> Json:
    return {"podNetworkName": name} | ({"interfaceName": interface} if interface else {}) | more


def pod(listed: Any, **spec: Any) -> Json:
    text = listed if isinstance(listed, str) else json.dumps(listed)
    plugins = {names.REQUIRED_PLUGINS_ANNOTATION: "[kni]"}
    return {"metadata": {"name": "p", "annotations": {KEY: text} | plugins}, "spec": spec}


OLD = pod([direct("default", "eth0"), direct("blue", "net1"), direct("green", "net2", isDefaultGW4=True)])


def edited(listed: Any, old: Json = OLD) -> list[tuple[str, str]]:
    """(network, interface) of each entry after the edit."""
    new = pod(listed)
    answer = running.updated(new, old, KNOWN.get)
    assert isinstance(answer, Allow), answer
    for step in answer.patch:
        key = step["path"].removeprefix("/metadata/annotations/").replace("~1", "/")
        new["metadata"]["annotations"][key] = step["value"]
    assert running.final_faults(new, old, KNOWN.get) == (), "what we made is what we accept"
    entries = json.loads(new["metadata"]["annotations"][KEY])
    return [(e.get("podNetworkName") or e["podNetworkAttachmentName"], e["interfaceName"]) for e in entries]


@pytest.mark.parametrize(
    ("listed", "made"),
    [
        ([direct("blue"), direct("green")], [("default", "eth0"), ("blue", "net1"), ("green", "net2")]),
        ([direct("green"), direct("blue")], [("default", "eth0"), ("green", "net2"), ("blue", "net1")]),
        ([direct("red"), direct("green")], [("default", "eth0"), ("red", "net3"), ("green", "net2")]),
        ([direct("green"), direct("red")], [("default", "eth0"), ("green", "net2"), ("red", "net3")]),
        ([direct("blue", "net2"), direct("red")], [("default", "eth0"), ("blue", "net2"), ("red", "net3")]),
        ([direct("blue", "net5"), direct("green")], [("default", "eth0"), ("blue", "net5"), ("green", "net2")]),
        ([{"podNetworkAttachmentName": "fast"}], [("default", "eth0"), ("fast", "net3")]),
        ([], [("default", "eth0")]),
    ],
)  # fmt: skip
def test_interfaces_do_not_move(listed: list[Json], made: list[tuple[str, str]]) -> None:
    assert edited(listed) == made


def test_a_list_as_the_manifest_has_it_changes_nothing() -> None:
    """What kubectl apply writes back."""
    old = pod([direct("default", "eth0"), direct("blue", "net1")])
    new = pod([direct("blue")])
    answer = running.updated(new, old, KNOWN.get)
    assert isinstance(answer, Allow)
    [step] = answer.patch
    assert json.loads(step["value"]) == json.loads(old["metadata"]["annotations"][KEY])


def test_a_pod_without_a_list_gets_its_first() -> None:
    old: Json = {"metadata": {"name": "p", "annotations": {}}, "spec": {}}
    assert edited([direct("blue")], old) == [("default", "eth0"), ("blue", "net1")]
    new = pod([direct("blue")])
    del new["metadata"]["annotations"][names.REQUIRED_PLUGINS_ANNOTATION]
    answer = running.updated(new, old, KNOWN.get)
    assert isinstance(answer, Allow)
    assert answer.patch[-1]["value"] == f"[{names.NRI_PLUGIN_NAME}]", "a new sandbox must not start without us"


def test_no_list_any_more_and_the_same_list() -> None:
    gone = copy.deepcopy(OLD)
    del gone["metadata"]["annotations"][KEY]
    assert running.updated(gone, OLD, KNOWN.get) == Allow()
    assert running.updated(OLD, copy.deepcopy(OLD), KNOWN.get) == Allow()


@pytest.mark.parametrize(
    ("listed", "word"),
    [
        ("nonsense", "JSON list"),
        ([direct("blue"), direct("blue")], "at most once"),
        ([direct("blue", "net1"), direct("red", "net1")], ""),
        ([direct("blue", isDefaultGW4=True), direct("red", isDefaultGW4=True)], "at most one"),
        ([direct("blue", "a/b")], "must not contain"),
        ([{"podNetworkAttachmentName": "stock"}], "network default"),
        ([direct("blue", interfaceNam="x")], "unknown field"),
        ([direct("blue"), 7], "must be an object"),
    ],
)
def test_the_same_faults_as_at_creation(listed: Any, word: str) -> None:
    for ask in (running.updated, running.final_faults):
        faults = ask(pod(listed), OLD, KNOWN.get)
        assert not isinstance(faults, Allow)
        assert faults
        assert word in " ".join(fault.message for fault in faults)


def test_a_pod_on_the_hosts_network_has_none() -> None:
    assert running.updated(pod([direct("blue")], hostNetwork=True), pod("[]", hostNetwork=True), KNOWN.get) != Allow()


def test_only_what_comes_needs_permission() -> None:
    new = pod([direct("blue"), direct("red"), {"podNetworkAttachmentName": "fast"}])
    assert [name for _, name in running.coming(new, OLD, KNOWN.get)] == ["red"]
    assert [name for _, name in pods.wanted(OLD, KNOWN.get)] == ["blue", "green"]


def test_what_a_later_webhook_wrote_is_refused() -> None:
    [fault] = running.final_faults(pod([direct("red")]), OLD, KNOWN.get)
    assert "another webhook" in fault.message
