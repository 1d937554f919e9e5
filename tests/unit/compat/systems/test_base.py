"""What all translators share: names, lists of Pods, the run over a directory, and the walk that proves them."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_api import kni
from podnet_api.errors import InvalidError
from podnet_compat.reader import Notes
from podnet_compat.systems import base, translate_objects
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.registry import Kind, System
from podnet_tests import fieldwalk
from podnet_tests.fieldwalk import Example

POD = base.source({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "namespace": "a"}})


@pytest.mark.parametrize(
    ("name", "namespace", "made"),
    [
        ("net_API", "", "net-api"),
        ("red", "a", "a.red"),
        ("default", "", "other-default"),
        ("default", "a", "a.default"),
        ("x" * 300, "", ""),
    ],
)
def test_names(name: str, namespace: str, made: str) -> None:
    notes = Notes()
    found = base.network_name("other", "p", name, namespace, notes)
    assert not notes.faults
    assert found == made or (made == "" and len(found) == 253)


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "a..b", "ä"])
def test_names_that_cannot_be(name: str) -> None:
    notes = Notes()
    assert base.network_name("other", "p", name, "", notes) == ""
    assert [fault.path for fault in notes.faults] == ["p"]


def test_a_network_named_again_is_a_further_podnetwork() -> None:
    listing = base.Listing(POD, Notes(), adds=True)
    listing.add("x[0]", "red", "net1", kni.AttachmentConfigSpec(mac="02:00:00:00:00:01"), origin="red")
    listing.add("x[1]", "red", "net2", kni.AttachmentConfigSpec(mac="02:00:00:00:00:02"), origin="red")
    made = listing.made()
    assert [(n.pod_network_name, n.pod_network_attachment_name, n.is_default_gw4) for n in made.listed] == [
        ("default", "", True),
        ("", "p-0", False),
        ("", "p-1", False),
    ]
    assert [pair.attachment.spec.pod_network_name for pair in made.pairs] == ["red", "red-2"]
    assert kni.config_name(made.networks[0]) == "red"


def test_a_pod_without_a_name_shares_attachments_by_content() -> None:
    pod = Source("", "Pod", "a", "", {})
    names = []
    for _ in range(2):
        listing = base.Listing(pod, Notes(), adds=False)
        listing.add("x", "red", "eth0", kni.AttachmentConfigSpec(mac="02:00:00:00:00:01"))
        names.append(listing.made().pairs[0].name)
    assert names[0] == names[1]
    assert names[0].startswith("red-")


def test_every_fault_of_a_list_is_told() -> None:
    listing = base.Listing(POD, Notes(), adds=True)
    listing.add("x[0]", "net-api", "eth0", origin="net_api")
    listing.add("x[1]", "net-api", "far-too-long-a-name", origin="net-api")
    with pytest.raises(InvalidError) as caught:
        listing.made()
    assert [fault.path for fault in caught.value.faults] == ["x[0]", "x[1]", "x[1]"]
    assert "as 'net_api' does" in str(caught.value)


def _careless(origin: Source, _: Objects) -> Made:
    """Translates mtu, refuses vid, warns of note, and loses the rest."""
    notes = Notes()
    spec = origin.part("spec", notes)
    mtu = spec.integer("mtu")
    spec.refuse("vid")
    spec.ignore("note", why="nobody reads it")
    name = base.network_name("careless", "metadata.name", origin.name, origin.namespace, notes)
    return base.native(origin, name, kni.NetworkConfigSpec(bridge=kni.Bridge(), mtu=mtu or None), notes)


CARELESS = System("careless", False, kinds=(Kind("x.org", "Net", _careless),))


def net(name: str = "red", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "x.org/v1", "kind": "Net", "metadata": {"name": name, "namespace": "a"}, "spec": spec}


def test_the_walk_finds_what_vanishes() -> None:
    good = Example("good", [net(mtu=1400, note="x")], refused=[(("spec", "vid"), 5)], systems=[CARELESS])
    assert fieldwalk.walk(good) == []
    lost = Example("lost", [net(mtu=1400, deep={"list": [1]})], fields=frozenset({"spec.other"}), systems=[CARELESS])
    assert fieldwalk.walk(lost) == [
        "lost: spec.deep.list[0] removed: nothing changes and no message names it",
        "lost: spec.deep.list[0] changed: nothing changes and no message names it",
        "lost: the example has no spec.other",
    ]
    [line] = fieldwalk.walk(Example("kept", [net(mtu=1400)], refused=[(("spec", "note"), "x")], systems=[CARELESS]))[
        -1:
    ]
    assert "spec.note = 'x': no error names it" in line


def test_two_sources_of_one_name_are_an_error() -> None:
    outcome = translate_objects([net("red_1", mtu=1400), net("red-1", mtu=1500)], "a", [CARELESS])
    assert [item["metadata"]["name"] for item in outcome.made] == ["a.red-1", "a.red-1"]
    assert len(outcome.errors) == 2
    assert "Net a/red_1 becomes PodNetwork a.red-1, too" in outcome.errors[0]


def test_what_belongs_to_nobody_is_given_back_and_broken_metadata_refused() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    broken = {"apiVersion": "x.org/v1", "kind": "Net", "metadata": {"name": 5}}
    outcome = translate_objects([service, broken], "a", [CARELESS])
    assert outcome.rest == [service]
    assert "cannot accept an object of kind 'Net'" in outcome.errors[0]
