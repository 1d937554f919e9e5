"""What nodes count alone: published, counted by kube-scheduler and kubelet; while the network is not ready, as much as
is in use."""

import json

from podnet_api import names
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

PATCH_ENABLED = '{"spec":{"enabled":%s}}'


def test_attachments_are_a_resource_of_the_node_that_the_kubelet_keeps(space: Space) -> None:
    node = space.world.workers()[0]
    name = space.network("counted", bridge={}, on=[node], capacity={"attachments": 2})
    resource = names.attachments_resource(config_of(space, name))
    eventually(lambda: differs(space, node, resource, "2"), 30)
    space.make(*(counted(f"pod-{i}", name, resource) for i in range(3)))
    eventually(lambda: "" if running(space) == 2 else f"{running(space)} of the Pods run")
    first, second = (f"pod-{i}" for i in range(3) if not space.not_ready(f"pod-{i}"))
    space.world.kubectl("delete", "pod", first)
    eventually(lambda: "" if running(space) == 2 else f"{running(space)} of the Pods run")
    space.world.kubectl("delete", "pod", second)
    eventually(lambda: "" if running(space) == 1 else f"{running(space)} of the Pods run")

    space.world.kubectl("patch", "podnetwork", name, "--type=merge", "--patch", PATCH_ENABLED % "false")
    eventually(lambda: differs(space, node, resource, "1"), 30)
    space.make(counted("late", name, resource))
    space.world.on_node(node, "systemctl", "restart", "kubelet")
    space.make(objects.pod("other", **objects.on_node(node)))
    space.wait_ready("other")  # so the kubelet is back, and has looked at every Pod
    assert running(space) == 1
    assert not differs(space, node, resource, "1")
    assert not space.world.get("pod", "late")["spec"].get("nodeName")
    [third] = [f"pod-{i}" for i in range(3) if not space.not_ready(f"pod-{i}")]
    space.world.kubectl("delete", "pod", third)
    eventually(lambda: differs(space, node, resource, ""), 30)
    space.world.kubectl("patch", "podnetwork", name, "--type=merge", "--patch", PATCH_ENABLED % "true")
    eventually(lambda: differs(space, node, resource, "2"), 30)
    space.wait_ready("late")


def counted(name: str, network: str, resource: str) -> objects.Object:
    """A Pod as the webhook leaves it with --hybrid."""
    made = objects.pod(name, network)
    made["spec"]["containers"][0]["resources"] = {"limits": {resource: "1"}}
    return made


def running(space: Space) -> int:
    """How many of the three Pods run."""
    return sum(not space.not_ready(f"pod-{i}") for i in range(3))


def config_of(space: Space, network: str) -> str:
    found: str = space.world.get("podnetwork", network)["spec"]["parametersRefs"][0]["name"]
    return found


def differs(space: Space, node: str, resource: str, quantity: str) -> str:
    """What the node has of ``resource``, if that is not ``quantity``."""
    found = json.loads(space.world.kubectl("get", "node", node, "--output", "json"))
    there: str = found["status"]["allocatable"].get(resource, "")
    return "" if there == quantity else f"{node} has {there!r}"
