"""Pods without networks are not touched, and do not need podnet."""

from collections.abc import Iterator

import pytest
from podnet_api import names
from podnet_hack.demo.world import SYSTEM, World
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

OURS = {names.NETWORKS_ANNOTATION, names.REQUIRED_PLUGINS_ANNOTATION}
NOWHERE = '{"spec":{"template":{"spec":{"nodeSelector":{"podnet.local/away":"true"}}}}}'
BACK = '{"spec":{"template":{"spec":{"nodeSelector":{"podnet.local/away":null}}}}}'


@pytest.fixture
def away(space: Space) -> Iterator[None]:
    """podnet is gone: no program of it runs."""
    system = space.world.in_namespace(SYSTEM)
    names_of = {kind: _names(system, kind) for kind in ("deployment", "daemonset")}
    replicas = {name: system.get("deployment", name)["spec"]["replicas"] for name in names_of["deployment"]}
    try:
        for name in names_of["deployment"]:
            system.kubectl("scale", "deployment", name, "--replicas=0")
        for name in names_of["daemonset"]:
            system.kubectl("patch", "daemonset", name, "--patch", NOWHERE)
        eventually(lambda: "" if not system.all_of("pods") else "podnet still runs", 60)
        yield
    finally:
        for name, count in replicas.items():
            system.kubectl("scale", "deployment", name, f"--replicas={count}")
        for name in names_of["daemonset"]:
            system.kubectl("patch", "daemonset", name, "--patch", BACK)
        for kind, listed in names_of.items():
            for name in listed:
                system.kubectl("rollout", "status", f"{kind}/{name}", "--timeout=90s", timeout=100)


def test_the_spec_is_what_was_sent(space: Space) -> None:
    sent = objects.pod("plain")
    space.make(sent)
    got = space.world.get("pod", "plain")
    assert not got["metadata"].get("annotations", {}).keys() & OURS
    assert "affinity" not in got["spec"]
    (container,) = got["spec"]["containers"]
    assert container["resources"] == {}
    assert {key: got["spec"][key] for key in sent["spec"] if key != "containers"} == {
        "terminationGracePeriodSeconds": 1
    }


@pytest.mark.usefixtures("away")
def test_they_start_while_podnet_is_away_and_others_are_refused(space: Space) -> None:
    plain = [objects.pod(f"plain-{i}", **objects.on_node(node)) for i, node in enumerate(space.world.workers())]
    space.make(*plain)
    said = space.refused(objects.pod("fancy", "blue"))
    assert "podnet-webhook" in said
    space.wait_ready(*(pod["metadata"]["name"] for pod in plain))


def _names(system: World, kind: str) -> list[str]:
    return [one["metadata"]["name"] for one in system.all_of(kind)]
