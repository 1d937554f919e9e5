"""What clients write: the list as field and as annotation, in objects and in all types of patches."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from podnet_api.errors import InvalidError
from podnet_api.proxy import bodies, carriage, carriers, patches, pointers

KEY = carriage.KEY
POD, DEPLOYMENT = carriers.POD, carriers.CARRIERS["apps", "v1", "deployments"]
CRONJOB = carriers.CARRIERS["batch", "v1", "cronjobs"]
BLUE, RED = [{"podNetworkName": "blue"}], [{"podNetworkName": "red"}]
UNSET = msgspec.UNSET
Json = dict[str, Any]


def text(listed: Any) -> str:
    return json.dumps(listed, separators=(",", ":"))


def pod(field: Any = UNSET, annotation: str | None = None, **spec: Any) -> Json:
    made: Json = {"metadata": {"name": "a"}, "spec": spec}
    if field is not UNSET:
        made["spec"]["networks"] = field
    if annotation is not None:
        made["metadata"]["annotations"] = {KEY: annotation}
    return made


REFUSED = object()


@pytest.mark.parametrize(
    ("field", "annotation", "kept", "expected"),
    [
        (BLUE, None, None, text(BLUE)),
        (BLUE, text(BLUE), None, text(BLUE)),
        (
            BLUE,
            '[ {"podNetworkName": "blue", "isDefaultGW4": false} ]',
            None,
            '[ {"podNetworkName": "blue", "isDefaultGW4": false} ]',
        ),
        (BLUE, text(RED), None, REFUSED),
        (BLUE, text(RED), text(RED), text(BLUE)),
        (BLUE, text(RED), text(BLUE), REFUSED),
        (BLUE, None, text(RED), text(BLUE)),
        (UNSET, text(RED), text(BLUE), text(RED)),
        (UNSET, text(BLUE), None, text(BLUE)),
        (UNSET, None, text(BLUE), text(BLUE)),
        (UNSET, None, None, None),
        (None, text(BLUE), text(BLUE), None),
        ([], text(BLUE), text(BLUE), None),
        ([], "[]", "[]", "[]"),
        ([], text(BLUE), None, REFUSED),
        ([], None, text(BLUE), None),
        (None, None, text(BLUE), None),
        ("blue", None, None, REFUSED),
        ({"podNetworkName": "blue"}, None, None, REFUSED),
    ],
)
def test_which_of_the_two_counts(field: Any, annotation: str | None, kept: str | None, expected: Any) -> None:
    item = pod(field, annotation)
    if expected is REFUSED:
        with pytest.raises(InvalidError) as error:
            bodies.lowered(item, POD, kept, restore=True)
        assert error.value.faults[0].path == "spec.networks"
        return
    bodies.lowered(item, POD, kept, restore=True)
    assert carriage.annotation(item, POD) == expected
    assert "networks" not in item["spec"]


def test_a_template_without_both_has_lost_its_list() -> None:
    item = {"spec": {"template": pod()}}
    assert not bodies.lowered(item, DEPLOYMENT, text(BLUE))
    assert carriage.annotation(item, DEPLOYMENT) is None


def test_faults_have_the_fields_own_path() -> None:
    item = {"spec": {"jobTemplate": {"spec": {"template": pod([*BLUE, *BLUE, {"podNetworkName": "X"}])}}}}
    with pytest.raises(InvalidError) as error:
        bodies.lowered(item, CRONJOB, None)
    paths = [fault.path for fault in error.value.faults]
    assert paths == ["spec.jobTemplate.spec.template.spec.networks[2].podNetworkName"]
    with pytest.raises(InvalidError) as error:
        bodies.lowered(pod(BLUE, hostNetwork=True), POD, None)
    assert [fault.path for fault in error.value.faults] == ["spec.networks"]


def test_what_only_reading_adds_is_taken_away() -> None:
    owned: Json = {"f:metadata": {"f:annotations": {f"f:{KEY}": {}}}}
    item = pod(BLUE, text(BLUE)) | {
        "status": {
            "podIPs": [
                {"ip": "10.0.0.1", "podNetwork": "default", "interfaceName": "eth0"},
                {"ip": "192.0.2.1", "podNetwork": "blue", "interfaceName": "net1"},
            ]
        }
    }
    item["metadata"]["managedFields"] = [
        {"manager": "a", "fieldsV1": copy.deepcopy(owned) | {"f:spec": {"f:networks": {}}}},
        {"manager": "b", "fieldsV1": {"f:spec": {"f:networks": {}, "f:nodeName": {}}}},
    ]
    assert bodies.lowered(item, POD, text(BLUE))
    assert item["status"]["podIPs"] == [{"ip": "10.0.0.1"}]
    assert [entry["fieldsV1"] for entry in item["metadata"]["managedFields"]] == [owned, {"f:spec": {"f:nodeName": {}}}]


@pytest.mark.parametrize(
    ("patch", "strategic", "expected"),
    [
        ({"spec": {"networks": BLUE}}, False, {"spec": {}, "metadata": {"annotations": {KEY: text(BLUE)}}}),
        ({"spec": {"networks": None}}, False, {"spec": {}, "metadata": {"annotations": {KEY: None}}}),
        ({"spec": {"networks": []}}, True, {"spec": {}, "metadata": {"annotations": {KEY: None}}}),
        ({"metadata": {"labels": {"a": "b"}}}, True, {"metadata": {"labels": {"a": "b"}}}),
        ({"metadata": {"annotations": {KEY: "[]"}}}, False, {"metadata": {"annotations": {KEY: "[]"}}}),
        (
            {"spec": {"networks": None}, "metadata": {"annotations": None}},
            False,
            {"spec": {}, "metadata": {"annotations": None}},
        ),
        (
            {"spec": {"$setElementOrder/networks": [1], "nodeName": "x"}},
            True,
            {"spec": {"nodeName": "x"}},
        ),
        (
            {"spec": {"$patch": "replace", "nodeName": "x"}},
            True,
            {"spec": {"$patch": "replace", "nodeName": "x"}, "metadata": {"annotations": {KEY: None}}},
        ),
        (
            {"spec": {"$retainKeys": ["networks", "x"], "networks": BLUE}},
            True,
            {"spec": {"$retainKeys": ["x"]}, "metadata": {"annotations": {KEY: text(BLUE)}}},
        ),
        (
            {"spec": {"$retainKeys": ["x"]}},
            True,
            {"spec": {"$retainKeys": ["x"]}, "metadata": {"annotations": {KEY: None}}},
        ),
        (
            {"status": {"podIPs": [{"ip": "192.0.2.1", "podNetwork": "blue"}, {"ip": "10.0.0.1"}]}},
            True,
            {"status": {"podIPs": [{"ip": "10.0.0.1"}]}},
        ),
    ],
)
def test_merge_and_strategic_patches(patch: Json, strategic: bool, expected: Json) -> None:
    before = copy.deepcopy(patch)
    assert patches.lowered(patch, POD, None, strategic=strategic) == (patch != before)
    assert patch == expected


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"networks": BLUE}, "metadata": {"annotations": {KEY: text(RED)}}},
        {"spec": {"networks": BLUE}, "metadata": {"annotations": None}},
        {"spec": {"networks": BLUE}, "metadata": None},
        {"spec": {"networks": "blue"}},
        {"spec": {"networks": [{"podNetworkName": "blue", "colour": "blue"}]}},
    ],
)
def test_patches_that_are_refused(patch: Json) -> None:
    with pytest.raises(InvalidError):
        patches.lowered(patch, POD, None, strategic=False)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([{"$patch": "replace"}, *RED], RED),
        ([{"$patch": "delete", "podNetworkName": "blue"}], None),
        ([{"$patch": "delete", "podNetworkName": "green"}, *RED], [*BLUE, *RED]),
        (
            [{"$patch": "delete", "podNetworkName": "x"}, {"podNetworkName": "blue", "interfaceName": "b0"}],
            [{"podNetworkName": "blue", "interfaceName": "b0"}],
        ),
    ],
)
def test_strategic_patches_of_the_list_that_is_there(listed: Any, expected: Any) -> None:
    patch: Json = {"spec": {"networks": listed}}
    assert patches.needs_current(patch, POD)
    patches.lowered(patch, POD, text(BLUE), strategic=True)
    assert patch["metadata"]["annotations"][KEY] == (text(expected) if expected else None)


ADD = {"op": "add", "path": f"/metadata/annotations/{KEY.replace('/', '~1')}"}
MADE = {"op": "add", "path": "/metadata/annotations", "value": {}}
GUARD = {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}


@pytest.mark.parametrize(
    ("operations", "before", "expected"),
    [
        ([{"op": "add", "path": "/spec/networks", "value": BLUE}], None, [MADE, {**ADD, "value": text(BLUE)}]),
        ([{"op": "replace", "path": "/spec/networks", "value": RED}], BLUE, [{**ADD, "value": text(RED)}]),
        ([{"op": "add", "path": "/spec/networks/-", "value": RED[0]}], BLUE, [{**ADD, "value": text([*BLUE, *RED])}]),
        (
            [{"op": "replace", "path": "/spec/networks/0/podNetworkName", "value": "red"}],
            BLUE,
            [{**ADD, "value": text(RED)}],
        ),
        ([{"op": "remove", "path": "/spec/networks"}], BLUE, [{"op": "remove", "path": ADD["path"]}]),
        ([{"op": "remove", "path": "/spec/networks/0"}], BLUE, [{"op": "remove", "path": ADD["path"]}]),
        ([{"op": "test", "path": "/spec/networks", "value": BLUE}], BLUE, []),
        (
            [{"op": "replace", "path": "/spec", "value": {"nodeName": "x", "networks": RED}}],
            BLUE,
            [{"op": "replace", "path": "/spec", "value": {"nodeName": "x"}}, {**ADD, "value": text(RED)}],
        ),
        (
            [
                {"op": "test", "path": "/spec", "value": {"nodeName": "n", "networks": BLUE}},
                {**ADD, "value": text(RED)},
            ],
            BLUE,
            [{"op": "test", "path": "/spec", "value": {"nodeName": "n"}}, {**ADD, "value": text(RED)}],
        ),
        (
            [
                {"op": "copy", "from": "/spec/networks/0", "path": "/spec/networks/1"},
                {"op": "remove", "path": "/spec/networks/0"},
            ],
            BLUE,
            [],
        ),
    ],
)
def test_json_patches(operations: list[Json], before: Any, expected: list[Json]) -> None:
    kept = text(before) if before else None
    shown = pod(before if before else UNSET, kept, nodeName="n")
    shown["metadata"]["resourceVersion"] = "7"
    assert pointers.touches(operations, POD)
    assert pointers.lowered(operations, shown, POD, kept) == [*expected, GUARD]


@pytest.mark.parametrize(
    "one",
    [
        {"op": "replace", "path": "/spec/replicas", "value": 2},
        {"op": "add", "path": "/metadata/labels/a", "value": "b"},
        {**ADD, "value": "[]"},
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "x"},
    ],
)
def test_other_json_patches_are_left_alone(one: Json) -> None:
    assert not pointers.touches([one], DEPLOYMENT)


def test_undoing_a_rollout_keeps_the_annotation_of_the_old_template() -> None:
    """kubectl's own types know no field: it writes the whole template with the annotation alone."""
    template = pod(UNSET, text(RED))
    shown = {"metadata": {"resourceVersion": "7"}, "spec": {"template": pod(BLUE, text(BLUE))}}
    operations = [{"op": "replace", "path": "/spec/template", "value": template}]
    assert pointers.lowered(operations, shown, DEPLOYMENT, text(BLUE)) == [*operations, GUARD]


@pytest.mark.parametrize(
    "one",
    [
        {"op": "move", "from": "/spec/networks", "path": "/metadata/x"},
        {"op": "move", "from": "/metadata/x", "path": "/spec/networks"},
        {"op": "copy", "from": "/spec/networks", "path": "/metadata/x"},
    ],
)
def test_the_list_is_not_moved_about(one: Json) -> None:
    with pytest.raises(InvalidError):
        pointers.within(one, POD)


def test_operations_that_do_not_fit() -> None:
    for one in (
        {"op": "remove", "path": "/spec/networks"},
        {"op": "test", "path": "/spec/networks", "value": RED},
        {"op": "what", "path": "/spec/networks"},
        {"op": "add", "path": "/spec/networks"},
        {"path": "/spec/networks"},
    ):
        with pytest.raises(pointers.PointerError):
            pointers.lowered([one], pod(), POD, None)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"spec":{},"spec":{}}', "duplicate"),
        (b'{"a": NaN}', "NaN"),
        (b"[" * 100_000, "nested"),
        (b"a: &b [1]\nc: *b", "aliases"),
        (b"just text", "no object"),
        (b"a: [", "cannot read"),
        (b"\xff\xfe", "cannot read"),
    ],
)
def test_unreadable_bodies(body: bytes, word: str) -> None:
    with pytest.raises(bodies.UnreadableError, match=word):
        bodies.decode(body)


def test_yaml_is_read_as_kubernetes_reads_it() -> None:
    body = b"date: 2026-01-02\ntime: 12:30\nnumber: 12\nfraction: 0.5\nyes: yes\ntext: 'a'\n"
    body += b"mode: 0o644\nold: 0644\nnone: ~\n"
    assert bodies.decode(body) == {
        "date": "2026-01-02",
        "time": "12:30",
        "number": 12,
        "fraction": 0.5,
        True: True,
        "text": "a",
        "mode": 420,
        "old": 420,
        "none": None,
    }
