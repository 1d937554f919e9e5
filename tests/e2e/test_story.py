"""The story of a Pod that waits and then runs, as its user reads it: kubectl describe, and kubectl podnet why."""

import contextlib
import io
import json
import re

import pytest
from podnet_api import plugin
from podnet_hack.localcluster import cluster as clusters
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually


def why(space: Space, pod: str, *flags: str) -> str:
    """What the plugin prints."""
    out = io.StringIO()
    kubeconfig = str(clusters.kubeconfig(space.world.name))
    with contextlib.redirect_stdout(out):
        plugin.main(["why", pod, "--namespace", space.namespace, "--kubeconfig", kubeconfig, *flags])
    return out.getvalue()


@pytest.fixture(autouse=True)
def kubectl_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin is run by kubectl, so kubectl is there."""
    monkeypatch.setenv("PATH", str(clusters.kubectl_program().parent), prepend=":")


def test_a_pod_tells_its_story_in_order(space: Space) -> None:
    missing = space.name("later")
    space.make(objects.pod("patient", missing))
    reasons = ("NetworkNotFound", "Scheduled", "Started")

    def told() -> str:
        text = space.world.kubectl("describe", "pod", "patient")
        return text.partition("Events:")[2]

    eventually(lambda: "" if "NetworkNotFound" in told() else told(), 30)
    assert missing in told()
    assert f"PodNetwork {missing} does not exist" in why(space, "patient")
    space.network("later", bridge={}, ipam=objects.pool("10.139.0.0/24"))
    space.wait_ready("patient")
    eventually(lambda: "" if all(word in told() for word in reasons) else told(), 30)
    places = [told().index(word) for word in reasons]
    assert places == sorted(places), told()
    whole = space.world.kubectl("describe", "pod", "patient")
    # That all went well is a condition and no Event, which would be a second write for each Pod.
    assert re.search(r"multinetwork\.x-k8s\.io/NetworksReady\s+True", whole)
    assert "10.139.0." in whole
    report = json.loads(why(space, "patient", "--output", "json"))
    assert report["pod"] == f"{space.namespace}/patient"


def test_a_question_without_an_answer_is_an_error(space: Space) -> None:
    space.make(objects.pod("plain"))
    with pytest.raises(SystemExit, match="no Pod of this name has networks"):
        why(space, "plain")
