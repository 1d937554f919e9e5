"""Resources of a Pod for the devices that its NADs name."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_compat import injection

VF = "intel.com/vf"
ONE = {"requests": {VF: "1"}, "limits": {VF: "1"}}


def pod(*resources: dict[str, Any] | None, **spec: Any) -> dict[str, Any]:
    """A Pod whose containers ask for these."""
    containers = [{"name": f"c{i}", **({"resources": one} if one else {})} for i, one in enumerate(resources)]
    return {"spec": {"containers": containers, **spec}}


@pytest.mark.parametrize(
    ("item", "count", "expected"),
    [
        (pod(None), 1, ONE),
        (pod({"limits": {"cpu": "1"}}), 2, {"limits": {"cpu": "1", VF: "2"}, "requests": {VF: "2"}}),
        (pod(ONE), 1, None),
        (pod(ONE), 3, {"requests": {VF: "3"}, "limits": {VF: "3"}}),
        (pod(None, ONE), 1, None),
        (pod(None, ONE), 2, ONE),
        (pod({"limits": {VF: 1}}), 1, None),
        (pod(), 1, None),
        (pod(None), 0, None),
    ],
)
def test_the_first_container_asks_for_what_no_other_does(item: dict[str, Any], count: int, expected: Any) -> None:
    steps = injection.patch(item, {VF: count})
    assert (steps[0]["value"] if steps else None) == expected


def test_labels_and_annotations_are_files_in_every_container() -> None:
    volume, first, second = injection.patch(pod(None, None), {VF: 1})[1:]
    assert volume["path"] == "/spec/volumes"
    assert [item["path"] for item in volume["value"][0]["downwardAPI"]["items"]] == ["labels", "annotations"]
    assert (first["path"], second["path"]) == (
        "/spec/containers/0/volumeMounts",
        "/spec/containers/1/volumeMounts",
    )
    assert first["value"] == [{"name": "podnetinfo", "mountPath": "/etc/podnetinfo", "readOnly": True}]


def test_what_the_pod_has_of_its_own_stays() -> None:
    item = pod(None, volumes=[{"name": "data"}])
    item["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/etc/podnetinfo/"}]
    [volume] = injection.patch(item, {VF: 1})[1:]
    assert (volume["path"], volume["value"]["name"]) == ("/spec/volumes/-", "podnetinfo")
    assert len(injection.patch(pod(None, volumes=[{"name": "podnetinfo"}]), {VF: 1})) == 1


def test_huge_pages_are_told_to_the_container_that_has_them() -> None:
    pages = {"requests": {"hugepages-1Gi": "2Gi", "hugepages-2Mi": "0"}, "limits": {"hugepages-1Gi": "2Gi"}}
    item = pod(pages, None)
    volume, _, own, _ = injection.patch(item, {VF: 1}, pages=True)[1:]
    told = {one["path"]: one["resourceFieldRef"] for one in volume["value"][0]["downwardAPI"]["items"][2:]}
    assert told == {
        f"hugepages_1G_{kind}_c0": {"containerName": "c0", "resource": f"{kind}s.hugepages-1Gi", "divisor": "1Mi"}
        for kind in ("request", "limit")
    }
    assert (own["path"], own["value"]) == ("/spec/containers/0/env", [{"name": "CONTAINER_NAME", "value": "c0"}])
    item["spec"]["containers"][0]["env"] = [{"name": "CONTAINER_NAME", "value": "mine"}]
    assert not any("env" in step["path"] for step in injection.patch(item, {VF: 1}, pages=True))
    assert len(injection.patch(item, {VF: 1})[1]["value"][0]["downwardAPI"]["items"]) == 2
