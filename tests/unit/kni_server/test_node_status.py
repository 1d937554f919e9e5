"""How networks stand on a node, as tables."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_api import core, multinetwork, names, reasons
from podnet_api.meta import ObjectMeta
from podnet_kni_server import kinds, node_status
from podnet_kni_server.datapath.model import NodeLinkState
from podnet_tests.kni_world import network_config, pod_network

UP = NodeLinkState(True, reasons.READY, "", 1500)
DOWN = NodeLinkState(False, reasons.UPLINK_DOWN, "eth1 is down")


def entry(network: multinetwork.PodNetwork, state: NodeLinkState | None, **spec: Any) -> Any:
    return node_status.entry(network, network_config("blue", **spec), state, lambda _: 3, lambda pool, version: version)


@pytest.mark.parametrize(
    ("network", "state", "spec", "reason"),
    [
        (pod_network("blue"), UP, {}, reasons.READY),
        (pod_network("blue"), DOWN, {}, reasons.UPLINK_DOWN),
        (pod_network("blue"), None, {}, reasons.SETUP_FAILED),
        (pod_network("blue", enabled=False), UP, {}, reasons.NETWORK_DISABLED),
        (pod_network("blue"), UP, {"vrf": {"table": 1}}, reasons.DATAPATH_UNSUPPORTED),
        (
            multinetwork.PodNetwork(metadata=ObjectMeta(name="blue"), spec=pod_network("blue").spec),
            UP,
            {},
            reasons.NETWORK_NOT_READY,
        ),
    ],
)
def test_the_first_obstacle_is_named(
    network: multinetwork.PodNetwork,
    state: NodeLinkState | None,
    spec: dict[str, Any],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kinds, "KINDS", {key: kind for key, kind in kinds.KINDS.items() if key != "vrf"})
    made = entry(network, state, **spec)
    assert (made.reason, made.ready) == (reason, reason == reasons.READY)
    assert made.ready or made.message


def test_counts() -> None:
    made = entry(pod_network("blue"), UP, capacity={"attachments": 7}, ipam={"ranges": [{"cidr": "fd00::/64"}]})
    assert (made.attachments.capacity, made.attachments.used) == (7, 3)
    assert (made.addresses.free4, made.addresses.free6) == (4, 6)


def test_the_summary_counts_what_is_ready() -> None:
    made = node_status.status([entry(pod_network("blue"), UP), entry(pod_network("red"), DOWN)])
    assert made.summary == "1 of 2 ready"
    assert [one.name for one in made.networks] == ["blue", "red"]


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (None, True),
        ({"matchLabels": {"zone": "a"}}, True),
        ({"matchLabels": {"zone": "b"}}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}, True),
        ({"matchExpressions": [{"key": "rack", "operator": "In", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "rack", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "zone", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_selectors(selector: dict[str, Any] | None, selected: bool) -> None:
    spec = {"nodeSelector": selector} if selector else {}
    assert node_status.selects(network_config("c", **spec), {"zone": "a"}) is selected


def test_labels_change_only_where_they_differ() -> None:
    ready, lost = entry(pod_network("blue"), UP), entry(pod_network("red"), DOWN)
    blue, red, old = (names.node_label(n) for n in ("blue", "red", "old"))
    labels = {"zone": "a", red: "ready", old: "ready"}
    changes = node_status.label_changes(labels, [ready, lost], [])
    assert changes == {blue: "ready", red: "not-ready", old: None}
    assert node_status.label_changes({blue: "ready", red: "not-ready"}, [ready, lost], []) == {}


def test_the_label_of_a_network_in_use_stays() -> None:
    old = names.node_label("old")
    assert node_status.label_changes({old: "ready"}, [], ["old"]) == {old: "not-ready"}


def test_only_our_taint_goes() -> None:
    taints = [core.Taint(key=names.NOT_READY_TAINT, effect="NoSchedule"), core.Taint(key="other", effect="NoExecute")]
    node = core.Node(metadata=ObjectMeta(name="n"), spec=core.NodeSpec(taints=taints))
    assert [t.key for t in node_status.without_taint(node)] == ["other"]
