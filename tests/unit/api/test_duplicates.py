"""Pods of several nodes with one MAC address."""

from __future__ import annotations

import json

import pytest
from podnet_api import core, names
from podnet_api.controller import duplicates
from podnet_api.meta import ObjectMeta


def pod(name: str, node: str, *interfaces: tuple[str, str], phase: str = "Running", text: str = "") -> core.Pod:
    status = text or json.dumps([{"network": network, "mac": mac} for network, mac in interfaces])
    meta = ObjectMeta(name=name, namespace="n", uid=name, annotations={names.STATUS_ANNOTATION: status})
    return core.Pod(metadata=meta, spec=core.PodSpec(node_name=node), status=core.PodStatus(phase=phase))


A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"


@pytest.mark.parametrize(
    ("pods", "told"),
    [
        ([pod("p", "x", ("blue", A)), pod("q", "y", ("blue", A.upper()))], {"p", "q"}),
        ([pod("p", "x", ("blue", A)), pod("q", "y", ("blue", B))], set()),
        ([pod("p", "x", ("blue", A)), pod("q", "y", ("green", A))], set()),
        ([pod("p", "x", ("blue", A)), pod("q", "x", ("blue", A))], set()),
        ([pod("p", "x", ("local", A)), pod("q", "y", ("local", A))], set()),
        ([pod("p", "x", ("blue", A)), pod("q", "y", ("blue", A), phase="Succeeded")], set()),
        ([pod("p", "x", ("blue", A)), pod("q", "y", text="[{")], set()),
        ([pod("p", "x", ("blue", A)), pod("q", "y", ("blue", ""))], set()),
    ],
)
def test_who_is_told(pods: list[core.Pod], told: set[str]) -> None:
    assert {p.metadata.name for p, _ in duplicates.of(pods, lambda name: name != "local")} == told


def test_the_sentence_names_the_other() -> None:
    found = {
        p.metadata.name: text
        for p, text in duplicates.of([pod("p", "x", ("blue", A)), pod("q", "y", ("blue", A))], lambda _: True)
    }
    assert found["p"] == f"{A} on PodNetwork blue is also that of Pod n/q on node y"
