"""What stands on other interfaces of the Pod comes after them: bonds, and masters inside the Pod."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_api.errors import InvalidError
from podnet_compat import legacy
from podnet_compat import pod as pods
from podnet_compat.systems import base, npwg
from podnet_tests.foreign_objects import NETWORKS, nad, pod

BOND = {"type": "bond", "linksInContainer": True, "miimon": "100", "mode": "active-backup"}
MACVLAN = {"type": "macvlan", "master": "eth1"}
NADS: dict[str, Any] = {
    "one": MACVLAN,
    "two": MACVLAN,
    "bond": {**BOND, "links": [{"name": "net1"}, {"name": "net2"}]},
    "plugins": {**BOND, "links": [{"name": "net1"}, {"name": "net2"}], "allSlavesActive": 1},
    "node": {**BOND, "links": [{"name": "x1"}, {"name": "x2"}], "linksInContainer": False},
    "inside": {"type": "vlan", "master": "net1", "vlanId": 5, "linkInContainer": True},
    "chain": {"cniVersion": "1.0.0", "plugins": [
        {"type": "ipvlan", "master": "eth0", "linkInContainer": True}, {"type": "tuning"}]},
}  # fmt: skip


def translate(text: str) -> list[str]:
    """The interfaces of a Pod that selects ``text``."""
    found = {("a", name): legacy.nad(nad(name, config)) for name, config in NADS.items()}
    wanted = npwg.read(base.source(pod({NETWORKS: text})))
    made = pods.translate(wanted, lambda space, name: found.get((space, name)))
    return [entry.interface_name for entry in made.networks]


@pytest.mark.parametrize(
    "text", ["one,two,bond@b0", "one,two,plugins@b0", "two,one,bond", "one,inside", "chain", "node@b0"]
)
def test_in_order(text: str) -> None:
    assert translate(text)[0] == "eth0"


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("bond@b0,one@net1,two@net2", "[0]", '"net1": interface b0 is made of net1, which comes behind it'),
        ("one,bond@b0,two@net2", "[1]", '"net2": interface b0 is made of net2, which comes behind it'),
        ("plugins@b0,one@net1,two@net2", "[0]", "is made of net1, which comes behind it: list it before"),
        ("one,bond@b0", "[1]", "is made of net2, which no entry of the list attaches"),
        ("inside@v5,one@net1", "[0]", "interface v5 is made of net1, which comes behind it"),
        ("inside@net1", "[0]", "interface net1 is made of net1, which no entry of the list attaches"),
    ],
)
def test_out_of_order(text: str, path: str, words: str) -> None:
    """Case 15 of the field notes."""
    with pytest.raises(InvalidError) as caught:
        translate(text)
    assert any(fault.path == f"metadata.annotations[{NETWORKS}]{path}" for fault in caught.value.faults)
    assert words in str(caught.value)
