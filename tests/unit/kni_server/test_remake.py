"""Sandboxes that were made while the shim was away: ended once, and nothing else is."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Iterator

import pytest
from podnet_api import core
from podnet_api.meta import ObjectMeta
from podnet_kni_server import events, remake
from podnet_kni_server.records import Sandbox
from podnet_tests import kni_world

PRIMARY = {"podNetworkName": "blue", "interfaceName": "eth0"}


class Node:
    """Sandboxes, what is known of them, and what is said."""

    def __init__(self) -> None:
        self.sandboxes: dict[str, Sandbox] = {}
        self.attached: set[str] = set()
        self.phase = "Pending"
        self.said = events.Events(self)
        self.remaker = remake.Remaker(lambda: self.sandboxes, self.attached.__contains__, self._pod, self.said)

    async def event(self, about: core.Pod | core.Node, type_: str, reason: str, message: str, component: str) -> None:
        raise AssertionError("nobody writes")

    def _pod(self, namespace: str, name: str) -> core.Pod:
        status = core.PodStatus(phase=self.phase)
        return core.Pod(metadata=ObjectMeta(namespace=namespace, name=name, uid=f"uid-{name}"), status=status)

    def look(self) -> list[str]:
        """What is said after a look."""
        self.remaker.look()
        words = [event.message for event in self.said._waiting]
        self.said._waiting.clear()
        return words


@pytest.fixture
def pause() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def node(pause: subprocess.Popen[bytes]) -> Node:
    """One stuck sandbox; the word in its id stands in every process's cgroup."""
    made = Node()
    stuck = dataclasses.replace(kni_world.sandbox(PRIMARY, id=":"), pid=pause.pid)
    made.sandboxes = {stuck.id: stuck}
    return made


def test_it_is_ended_once(node: Node, pause: subprocess.Popen[bytes]) -> None:
    assert node.look() == [f"{remake._WHY}: ended it, the kubelet makes it anew"]
    assert pause.wait(5) == -9
    assert node.look() == []


def test_others_are_left_alone(node: Node, pause: subprocess.Popen[bytes]) -> None:
    node.phase = "Running"
    assert node.look() == []
    node.phase = "Pending"
    node.attached.add(":")
    assert node.look() == []
    node.attached.clear()
    own = kni_world.sandbox({"podNetworkName": "blue"}, id=":").annotations
    node.sandboxes[":"] = dataclasses.replace(node.sandboxes[":"], annotations=own)
    assert node.look() == []
    assert pause.poll() is None


@pytest.mark.parametrize("pid", [0, os.getpid()])
def test_what_cannot_be_ended_is_said(node: Node, pid: int) -> None:
    stuck = dataclasses.replace(node.sandboxes.pop(":"), id="no-such-cgroup", pid=pid)
    node.sandboxes[stuck.id] = stuck
    [words] = node.look()
    assert words.endswith("delete the Pod")
