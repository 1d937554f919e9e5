"""What clients read: the list beside its annotation, in objects, lists, tables and watches, however they are cut."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from podnet_api import names
from podnet_api.proxy import answers, carriage, carriers, openapi, ownership, podips, shown, streams
from podnet_api.proxy.carriers import Carrier

KEY = carriage.KEY
BLUE = [{"podNetworkName": "blue"}]
TEXT = json.dumps(BLUE)
POD, DEPLOYMENT = carriers.POD, carriers.CARRIERS["apps", "v1", "deployments"]
STATEFULSET = carriers.CARRIERS["apps", "v1", "statefulsets"]
Json = dict[str, Any]
TRAP = '},{"metadata":{"name":"x"}},"' + KEY


def compact(item: Any) -> bytes:
    """As kube-apiserver writes it."""
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode()


def inner(text: str | None = TEXT, **spec: Any) -> Json:
    """A Pod or a pod template."""
    annotations = {"trap": TRAP} | ({KEY: text} if text is not None else {})
    return {"metadata": {"name": "a", "annotations": annotations}, "spec": spec}


def outer(carrier: Carrier, item: Json) -> Json:
    """The object of a kind around its template."""
    for key in reversed(carrier.template):
        item = {key: item}
    return item if carrier.is_pod else {"metadata": {"name": "b", "annotations": {KEY: "[]"}}, **item}


@pytest.mark.parametrize("carrier", carriers.CARRIERS.values(), ids=lambda one: one.kind)
@pytest.mark.parametrize("spec", [{}, {"containers": [{"name": "ü<&>"}]}])
def test_every_kind(carrier: Carrier, spec: Json) -> None:
    before, after = outer(carrier, inner(**spec)), outer(carrier, inner(networks=BLUE, **spec))
    assert shown.one(compact(before), carrier) == compact(after)


@pytest.mark.parametrize("text", [None, "no list", '{"a":1}', '"blue"', "[" * 100_000])
def test_what_is_no_list_is_not_shown(text: str | None) -> None:
    raw = compact(inner(text))
    assert shown.one(raw, POD) == raw


def test_an_annotation_over_many_lines_stays_on_one() -> None:
    found = shown.one(compact(inner(json.dumps(BLUE, indent=2))), POD)
    assert b"\n" not in found
    assert json.loads(found)["spec"]["networks"] == BLUE


def test_only_metadata_is_no_pod() -> None:
    raw = compact({"kind": "PartialObjectMetadata", "metadata": inner()["metadata"]})
    assert shown.one(raw, POD) == raw


def test_ownership_follows_the_annotation() -> None:
    owned = {"f:metadata": {"f:annotations": {f"f:{KEY}": {}}}, "f:spec": {"f:nodeName": {}}}
    other: Json = {"f:spec": {"f:x": {}}}
    item = inner()
    item["metadata"]["managedFields"] = [{"fieldsV1": owned}, {"fieldsV1": other}]
    found = json.loads(shown.one(compact(item), POD))["metadata"]["managedFields"]
    assert found == [{"fieldsV1": owned | {"f:spec": {"f:nodeName": {}, "f:networks": {}}}}, {"fieldsV1": other}]


STATUS = json.dumps(
    [
        {"network": "blue", "interface": "net1", "addresses": ["192.0.2.1/24", "192.0.2.2/24", "2001:db8::1/64"]},
        {"network": "red", "interface": "net2", "addresses": ["no address"]},
        {"network": "l2", "interface": "net3", "addresses": []},
    ]
)
DEFAULT = {"podNetwork": "default", "interfaceName": "eth0"}


def test_addresses_one_per_family_and_network() -> None:
    item = inner()
    item["metadata"]["annotations"][names.STATUS_ANNOTATION] = STATUS
    item["status"] = {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}
    found = json.loads(shown.one(compact(item), POD))["status"]["podIPs"]
    assert found == [
        {"ip": "10.0.0.1", **DEFAULT},
        {"ip": "fd00::1", **DEFAULT},
        {"ip": "192.0.2.1", "podNetwork": "blue", "interfaceName": "net1"},
        {"ip": "2001:db8::1", "podNetwork": "blue", "interfaceName": "net1"},
    ]
    assert podips.stripped(found) == item["status"]["podIPs"]


def test_no_addresses_before_the_kubelets() -> None:
    assert podips.shown(b"[]", STATUS) == b"[]"
    assert podips.shown(b'[{"ip":"10.0.0.1"}]', "no list") == compact([{"ip": "10.0.0.1", **DEFAULT}])


def cut(raw: bytes, rewriter: streams.Rewriter, seed: int) -> bytes:
    """What comes out when ``raw`` comes in pieces."""
    chance = random.Random(seed)
    out, at = [], 0
    while at < len(raw):
        size = chance.choice((1, 7, 100, 1000, 10_000))
        out.append(rewriter.feed(raw[at : at + size]))
        at += size
    return b"".join([*out, rewriter.end()])


def mixed(count: int, seed: int) -> tuple[list[Json], list[Json]]:
    """Pods with and without a list, as they are and as they are shown."""
    chance = random.Random(seed)
    listed = [chance.random() < 0.4 for _ in range(count)]
    before = [inner(TEXT if has else None, n=i) for i, has in enumerate(listed)]
    return before, [inner(TEXT, networks=BLUE, n=i) if has else inner(None, n=i) for i, has in enumerate(listed)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_lists(count: int, seed: int) -> None:
    before, after = mixed(count, seed)
    head = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}}
    raw, expected = (compact(head | {"items": items}) + b"\n" for items in (before, after))
    assert cut(raw, streams.rewriter(POD, watch=False, collection=True, table=False), seed) == expected
    assert json.loads(cut(raw, streams.rewriter(STATEFULSET, watch=False, collection=True, table=False), seed))


@pytest.mark.parametrize("seed", range(4))
def test_tables_with_objects(seed: int) -> None:
    before, after = mixed(20, seed)
    head = {"kind": "Table", "columnDefinitions": []}
    raw, expected = (
        compact(head | {"rows": [{"cells": ["a", 1], "object": item} for item in items]}) + b"\n"
        for items in (before, after)
    )
    assert cut(raw, streams.rewriter(POD, watch=False, collection=True, table=True), seed) == expected


@pytest.mark.parametrize("seed", range(8))
def test_watches(seed: int) -> None:
    before, after = mixed(20, seed)
    extra = [{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "5"}}}, {"type": "ERROR", "object": {}}]
    raw, expected = (
        b"".join(compact(one) + b"\n" for one in [*({"type": "ADDED", "object": item} for item in items), *extra])
        for items in (before, after)
    )
    assert cut(raw, streams.rewriter(POD, watch=True, collection=True, table=False), seed) == expected


def test_an_event_is_not_held_back() -> None:
    watch = streams.Watch(POD)
    line = compact({"type": "ADDED", "object": inner(None)}) + b"\n"
    assert watch.feed(line[:10]) == b""
    assert watch.feed(line[10:]) == line


def test_a_watch_of_tables() -> None:
    table = {"kind": "Table", "rows": [{"cells": [], "object": inner()}]}
    found = json.loads(streams.Watch(POD).feed(compact({"type": "ADDED", "object": table}) + b"\n"))
    assert found["object"]["rows"][0]["object"]["spec"]["networks"] == BLUE


def test_little_is_kept_of_a_long_list() -> None:
    """Memory: a list goes through; what is kept is no more than an item."""
    items = streams.Items(POD)
    body = compact({"kind": "PodList", "items": [inner(pad="x" * 5000) for _ in range(500)]})
    kept = 0
    for at in range(0, len(body), 10_000):
        items.feed(body[at : at + 10_000])
        kept = max(kept, len(items._rest))
    assert kept < 12_000


@pytest.mark.parametrize("indent", [1, 2, 4])
def test_indented_answers(indent: int) -> None:
    body = json.dumps({"kind": "PodList", "items": [inner(), inner(None)]}, indent=indent).encode()
    found = cut(body, streams.Items(POD), 0)
    assert found.startswith(b"{\n")
    assert [item["spec"].get("networks") for item in json.loads(found)["items"]] == [BLUE, None]


@pytest.mark.parametrize("cut_at", [30, 200, 300, -3])
def test_what_is_cut_off_goes_on_as_it_is(cut_at: int) -> None:
    body = compact({"kind": "PodList", "items": [inner()]})[:cut_at]
    assert cut(body, streams.Items(POD), 0) in {
        body,
        body.replace(b'"spec":{}', b'"spec":{"networks":' + compact(BLUE) + b"}"),
    }


def test_a_statefulset_with_claims() -> None:
    """Its inner array has elements that begin like items of a list."""
    claims = [{"metadata": {"name": name, "annotations": {KEY: TEXT}}, "spec": {}} for name in "abc"]
    before, after = (
        {"metadata": {}, "spec": {"template": one, "claims": claims}} for one in (inner(), inner(networks=BLUE))
    )
    rewriter = streams.rewriter(STATEFULSET, watch=False, collection=True, table=False)
    assert cut(compact({"items": [before, before]}), rewriter, 0) == compact({"items": [after, after]})


def test_what_the_api_server_says() -> None:
    for text in (f"spec.template.metadata.annotations[{KEY}][1].podNetworkName", f".metadata.annotations.{KEY}"):
        assert "spec.networks" in ownership.told(text)
        assert KEY not in ownership.told(text)
    body = compact(
        {
            "kind": "Status",
            "message": f"metadata.annotations[{KEY}]: x",
            "details": {"causes": [{"field": f".metadata.annotations.{KEY}"}]},
        }
    )
    found = json.loads(answers.told(body))
    assert found["message"] == "spec.networks: x"
    assert found["details"]["causes"] == [{"field": ".spec.networks"}]
    assert answers.told(b"no json") == b"no json"


def test_openapi() -> None:
    index = {
        "paths": {p: {"serverRelativeURL": f"/openapi/v3/{p}?hash=A"} for p in ("api/v1", "apis/apps/v1", "apis/x/v1")}
    }
    found = {
        k: v["serverRelativeURL"].partition("=")[2]
        for k, v in json.loads(openapi.index(compact(index)))["paths"].items()
    }
    assert found == {"api/v1": openapi.hashed("A"), "apis/apps/v1": openapi.hashed("A"), "apis/x/v1": "A"}
    core = "io.k8s.api.core.v1."
    document: Json = {
        "components": {"schemas": {f"{core}PodSpec": {"properties": {}}, f"{core}PodIP": {"properties": {}}}}
    }
    schemas = json.loads(openapi.document(compact(document)))["components"]["schemas"]
    assert schemas[f"{core}PodSpec"]["properties"]["networks"]["x-kubernetes-list-type"] == "atomic"
    assert set(schemas[f"{core}PodIP"]["properties"]) == {"podNetwork", "interfaceName"}
    assert json.loads(openapi.document(b'{"components":{}}')) == {"components": {}}
