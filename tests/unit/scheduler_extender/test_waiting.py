"""What is done to waiting Pods, step by step, on a clock that the test moves."""

from __future__ import annotations

import pytest
from podnet_api import names, reasons
from podnet_scheduler_extender import waiting
from podnet_scheduler_extender.fake import Cluster

FIVE = {"cidr": "10.0.0.0/24", "start": "10.0.0.10", "end": "10.0.0.14"}


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    for name in ("blue", "green"):
        made.config(name)
        made.network(name)
    made.config("pool", FIVE)
    made.network("pool")
    made.node("a", "blue", "pool")
    made.node("b", "green", "pool")
    return made


def sweep(cluster: Cluster, after: float = 0.0, most: int = 20) -> list[tuple[str, str, str]]:
    cluster.clock.now += after
    actions = cluster.sweep(most)
    return [(action.do.value, action.pod.metadata.name, action.reason) for action in actions]


def test_a_pod_for_disjoint_networks_is_told_once(cluster: Cluster) -> None:
    cluster.pod("both", ["blue", "green"])
    assert sweep(cluster) == []
    cluster.unschedulable("both", ["blue", "green"])
    assert sweep(cluster) == [("say", "both", reasons.NO_NODE_WITH_NETWORKS)]
    assert sweep(cluster, 100) == []
    cluster.unschedulable("both", ["blue", "green"])
    assert sweep(cluster, 100) == []


def test_a_pod_is_woken_when_its_network_comes(cluster: Cluster) -> None:
    cluster.unschedulable("early", ["late"])
    assert sweep(cluster) == [("say", "early", reasons.NETWORK_NOT_FOUND)]
    cluster.config("late")
    cluster.network("late", ready=False)
    assert sweep(cluster) == []  # the next text waits
    assert sweep(cluster, 5) == [("say", "early", reasons.NETWORK_NOT_READY)]
    cluster.network("late")
    cluster.node("a", "late")
    assert sweep(cluster) == [("wake", "early", "")]
    assert sweep(cluster) == []


def test_the_sixth_pod_is_woken_when_one_of_five_goes(cluster: Cluster) -> None:
    for number in range(5):
        cluster.pod(f"p{number}", ["pool"], node="a")
        cluster.block("pool", f"10.0.0.{10 + number}/32", "a")
    cluster.unschedulable("six", ["pool"])
    assert cluster.fitting("six", ["pool"], ["a", "b"]) == []
    assert sweep(cluster) == [("say", "six", reasons.NO_ADDRESSES_LEFT)]
    cluster.remove_pod("p3")
    assert sweep(cluster) == [("wake", "six", "")]
    assert cluster.fitting("six", ["pool"], ["a", "b"]) == ["a"]
    cluster.pod("six", ["pool"], node="a")
    assert sweep(cluster, 100) == []
    assert len(cluster.extender.waiting) == 0


def test_a_pod_refused_for_a_pod_in_flight_is_woken_when_that_ends(cluster: Cluster) -> None:
    cluster.node("a", "blue", capacity=1)
    assert cluster.fitting("first", ["blue"], ["a"]) == ["a"]
    assert cluster.fitting("second", ["blue"], ["a"]) == []
    assert cluster.extender.next_due() == 30
    cluster.clock.now += 31
    cluster.unschedulable("second", ["blue"])  # it fits already when the watch shows that it waits
    assert sweep(cluster) == [("wake", "second", "")]


def test_a_pod_that_stays_pending_is_touched_ever_more_rarely(cluster: Cluster) -> None:
    cluster.unschedulable("p", ["blue", "green"])
    sweep(cluster)
    cluster.node("a", "blue", "green")
    assert sweep(cluster) == [("wake", "p", "")]
    for pause in (2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0):
        assert sweep(cluster, pause - 0.5) == []
        found = sweep(cluster, 0.5)
        if found == [("clear", "p", "")]:
            found = sweep(cluster)
        assert found == [("wake", "p", "")]


def test_a_condition_that_is_no_longer_true_is_cleared(cluster: Cluster) -> None:
    cluster.unschedulable("p", ["blue", "green"])
    sweep(cluster)
    cluster.node("a", "blue", "green")
    assert [sweep(cluster, pause)[0][0] for pause in (0, 2, 4)] == ["wake", "wake", "clear"]


def test_a_filter_that_keeps_refusing_what_seems_to_fit_does_not_spin(cluster: Cluster) -> None:
    cluster.unschedulable("p", ["blue"])
    touched = 0
    for _ in range(1000):
        cluster.extender.waiting.refused("p", None)
        touched += len(sweep(cluster, 0.1))
    assert touched <= 7


def test_a_pod_that_waits_for_something_else_is_left_alone(cluster: Cluster) -> None:
    cluster.unschedulable("p", ["blue"])
    assert sweep(cluster) == []
    assert sweep(cluster, 1000) == []
    assert cluster.extender.next_due() is None


def test_after_a_restart_the_condition_says_what_was_said(cluster: Cluster) -> None:
    cluster.unschedulable("p", ["blue", "green"])
    [action] = cluster.sweep()
    said = {"type": names.NETWORKS_READY, "status": "False", "reason": action.reason, "message": action.message}
    fresh = Cluster()
    for name in ("blue", "green"):
        fresh.config(name)
        fresh.network(name)
    fresh.node("a", "blue")
    fresh.node("b", "green")
    fresh.unschedulable("p", ["blue", "green"], conditions=[said])
    assert sweep(fresh) == []
    fresh.node("a", "blue", "green")
    assert sweep(fresh) == [("wake", "p", "")]


def test_a_write_that_failed_is_done_again(cluster: Cluster) -> None:
    cluster.unschedulable("p", ["blue", "green"])
    for _ in range(3):
        [action] = cluster.sweep()
        assert action.do.value == "say"
        cluster.extender.waiting.failed(action)
    cluster.node("a", "blue", "green")
    for _ in range(3):
        [action] = cluster.sweep()
        assert action.do.value == "wake"
        cluster.extender.waiting.failed(action)


def test_waking_goes_before_saying_and_a_sweep_is_bounded(cluster: Cluster) -> None:
    cluster.unschedulable("wake-me", ["blue", "green"])
    sweep(cluster)
    cluster.node("a", "blue", "green")
    for number in range(30):
        cluster.unschedulable(f"p{number}", ["nowhere"])
    first = sweep(cluster)
    assert (first[0], len(first)) == (("wake", "wake-me", ""), 20)
    assert len(sweep(cluster)) == 11
    assert sweep(cluster) == []


def test_pods_in_flight_finished_or_leaving_are_not_told(cluster: Cluster) -> None:
    cluster.unschedulable("flying", ["blue"])
    assert cluster.fitting("flying", ["blue"], ["a"]) == ["a"]
    cluster.unschedulable("done", ["nowhere"], phase="Failed")
    cluster.unschedulable("bound", ["nowhere"], node="a")
    assert sweep(cluster) == []
    cluster.unschedulable("gone", ["nowhere"])
    sweep(cluster)
    cluster.remove_pod("gone")
    assert sweep(cluster) == []
    assert len(cluster.extender.waiting) == 0


def test_a_pod_made_anew_under_the_same_name_starts_afresh(cluster: Cluster) -> None:
    cluster.unschedulable("p", ["nowhere"])
    sweep(cluster)
    cluster.remove_pod("p")
    cluster.unschedulable("p", ["nowhere"])
    assert sweep(cluster) == [("say", "p", reasons.NETWORK_NOT_FOUND)]


def test_thousands_are_looked_at_in_steps_and_who_goes_meanwhile_is_left_out(cluster: Cluster) -> None:
    count = 3 * waiting.STEP
    for number in range(count):
        cluster.unschedulable(f"p{number}", ["nowhere"])
    steps = cluster.extender.sweep(count)
    assert next(steps) == []
    cluster.remove_pod("p0")
    cluster.pod("p1", ["nowhere"], node="a")
    cluster.remove_pod(f"p{count - 1}")
    cluster.unschedulable("late", ["nowhere"])
    *quiet, actions = steps
    assert quiet == [[]] * (count // waiting.STEP - 2)
    assert {action.pod.metadata.name for action in actions} == {f"p{number}" for number in range(2, count - 1)}
    assert sweep(cluster) == [("say", "late", reasons.NETWORK_NOT_FOUND)]
