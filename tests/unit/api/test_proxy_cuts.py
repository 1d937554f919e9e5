"""Pods that are cut say the same as Pods that are taken apart, whatever stands in them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from podnet_api import names
from podnet_api.proxy import cuts, shown
from podnet_api.proxy.carriers import POD

KEY, SAID = names.NETWORKS_ANNOTATION, names.STATUS_ANNOTATION
LIST = json.dumps([{"podNetworkName": "blue"}, {"podNetworkName": "red", "interfaceName": 'ü"\\'}])
ATTACHED = json.dumps([{"network": "blue", "interface": "net1", "addresses": ["192.0.2.1/24", "2001:db8::1/64"]}])
TRAPS = (
    '},"spec":{"',
    '"annotations":{"' + KEY + '":"[]"',
    '},{"manager":"x"',
    ',"subresource":"x"}',
    '"podIPs":[{"ip":"1.1.1.1"}]',
    "}]",
    "\\",
    '\\"',
)
Json = dict[str, Any]


def compact(item: Any) -> bytes:
    """As kube-apiserver writes it."""
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode()


def owner(manager: str, subresource: str = "", *owned: str, **more: Any) -> Json:
    """An entry of managedFields in the order of its Go type."""
    fields: Json = {"f:metadata": {"f:annotations": {".": {}, "f:spec": {}, **{f"f:{key}": {} for key in owned}}}}
    entry = {"manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields | more}
    return entry | ({"subresource": subresource} if subresource else {})


OWNERS: tuple[list[Json], ...] = (
    [],
    [owner("a", "", KEY, **{"f:spec": {"f:nodeName": {}}})],
    [owner("a", "status", KEY)],
    [owner("a", "", "other"), owner(TRAPS[2], "status", KEY), owner("c", "", KEY, **{"f:status": {}})],
    [owner("a", "", KEY, **{"f:spec": {'k:{"name":"}]},{"}': {"f:spec": {}}}}), owner("b", "status", SAID)],
)
ANNOTATIONS: tuple[dict[str, str], ...] = (
    {KEY: LIST},
    {KEY: LIST, SAID: ATTACHED},
    {SAID: ATTACHED},
    {KEY: "no list", SAID: "neither"},
    {KEY: "[]"},
    {"spec": "{}", "annotations": "{", KEY: LIST},
    {f"trap-{n}": trap for n, trap in enumerate(TRAPS)} | {KEY: LIST, SAID: ATTACHED, "z": TRAPS[3]},
)
CLAIM = {"metadata": {"annotations": {KEY: "[]"}}, "spec": {"x": "y"}}
SPECS: tuple[Json, ...] = (
    {"containers": []},
    {"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": CLAIM}}], "containers": [{"args": list(TRAPS)}]},
)
STATUSES: tuple[Json, ...] = ({}, {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "message": TRAPS[4]})


def pod(annotations: dict[str, str], owners: list[Json], spec: Json, status: Json) -> Json:
    """A Pod in the order of its Go type."""
    metadata: Json = {"name": "a", "labels": {"spec": "x", "annotations": "y", KEY: "z"}, "annotations": annotations}
    return {"metadata": metadata | ({"managedFields": owners} if owners else {}), "spec": spec, "status": status}


@pytest.mark.parametrize("kinds", [{}, {"kind": "Pod", "apiVersion": "v1"}], ids=["item", "object"])
@pytest.mark.parametrize("annotations", ANNOTATIONS)
def test_the_same_as_taken_apart(annotations: dict[str, str], kinds: Json) -> None:
    for owners, spec, status in itertools.product(OWNERS, SPECS, STATUSES):
        raw = compact(kinds | pod(annotations, owners, spec, status))
        apart = b"{ " + raw[1:]
        assert cuts.pod(apart) is None, "a blank is not kube-apiserver's"
        assert json.loads(cuts.pod(raw) or b"") == json.loads(shown.one(apart, POD))


@pytest.mark.parametrize("annotations", ANNOTATIONS)
def test_an_event_says_the_same(annotations: dict[str, str]) -> None:
    for owners, spec, status in itertools.product(OWNERS, SPECS, STATUSES):
        item = {"kind": "Pod", "apiVersion": "v1"} | pod(annotations, owners, spec, status)
        raw = compact({"type": "MODIFIED", "object": item})
        cut = cuts.pod(raw)
        assert cut == shown.event(raw, POD)
        assert json.loads(cut or b"") == json.loads(shown.event(b"{ " + raw[1:], POD))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        compact({"metadata": {"annotations": {KEY: LIST}}}),
        compact({"metadata": {"annotations": {KEY: LIST}}, "spec": {}}),
        compact({"spec": {}, "metadata": {"annotations": {KEY: LIST}}}),
        compact({"metadata": {"annotations": {KEY: LIST}, "managedFields": [{"f:" + KEY: {}}]}, "spec": {"a": 1}}),
        compact({"kind": "Table", "rows": [{"object": pod({KEY: LIST}, [], {"a": 1}, {})}]}),
    ],
)
def test_what_looks_otherwise_is_left_alone(raw: bytes) -> None:
    assert cuts.pod(raw) is None


def test_every_piece_of_a_pod_that_was_cut_off_goes_through() -> None:
    raw = compact(pod(ANNOTATIONS[-1], OWNERS[3], SPECS[1], STATUSES[1]))
    for end in range(len(raw)):
        assert shown.one(raw[:end], POD).startswith(raw[: min(end, 20)])


def test_indented_pods_have_their_addresses() -> None:
    raw = json.dumps(pod(ANNOTATIONS[1], OWNERS[1], SPECS[0], STATUSES[1]), indent=2).encode()
    assert [entry["ip"] for entry in json.loads(shown.whole(raw, POD))["status"]["podIPs"]] == [
        "10.0.0.1",
        "fd00::1",
        "192.0.2.1",
        "2001:db8::1",
    ]


def dated(**annotations: str) -> Json:
    """An item of a list as kube-apiserver writes it: its uid and version come before the rest."""
    item = pod(annotations, OWNERS[1], SPECS[0], STATUSES[1])
    head = {"name": "a", "uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {**item, "metadata": head | item["metadata"]}


def test_what_is_remembered_is_said_again() -> None:
    raw = compact(dated(**{KEY: LIST, SAID: ATTACHED}))
    first = cuts.pod(raw)
    assert first == cuts.pod(raw)
    assert json.loads(first or b"") == json.loads(shown.one(b"{ " + raw[1:], POD))


@pytest.mark.parametrize("changed", [("blue", "grey"), ("192.0.2.1", "192.0.2.7"), ("10.0.0.1", "10.0.0.9")])
def test_nothing_is_remembered_of_what_has_changed(changed: tuple[str, str]) -> None:
    """Even where uid, version and length are the same, as after a cluster's backup was restored."""
    raw = compact(dated(**{KEY: LIST, SAID: ATTACHED}))
    assert cuts.pod(raw)
    other = raw.replace(changed[0].encode(), changed[1].encode())
    assert (other != raw, len(other)) == (True, len(raw))
    assert json.loads(cuts.pod(other) or b"") == json.loads(shown.one(b"{ " + other[1:], POD))


def test_no_more_is_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "REMEMBERED", 10)
    monkeypatch.setattr(cuts, "_remembered", {})
    for number in range(50):
        item = dated(**{KEY: LIST})
        item["metadata"]["uid"] = str(number)
        assert cuts.pod(compact(item))
    assert len(cuts._remembered) == 10
