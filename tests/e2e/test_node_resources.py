"""What nodes count alone: published, counted by kube-scheduler and kubelet, gone while the network is not ready."""

import json

from podnet_api import names
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

PATCH_ENABLED = '{"spec":{"enabled":%s}}'


def test_attachments_are_a_resource_of_the_node_that_the_kubelet_keeps(space: Space) -> None:
    node = space.world.workers()[0]
    name = space.network("counted", bridge={}, on=[node], capacity={"attachments": 1})
    resource = names.attachments_resource(config_of(space, name))
    eventually(lambda: differs(space, node, resource, "1"), 30)
    pods = [objects.pod(f"pod-{i}", name) for i in range(2)]
    for pod in pods:
        pod["spec"]["containers"][0]["resources"] = {"limits": {resource: "1"}}
    space.make(*pods)
    eventually(lambda: "" if running(space) == 1 else f"{running(space)} of the Pods run")
    space.world.kubectl("patch", "podnetwork", name, "--type=merge", "--patch", PATCH_ENABLED % "false")
    eventually(lambda: differs(space, node, resource, ""), 30)
    assert running(space) == 1
    space.world.kubectl("patch", "podnetwork", name, "--type=merge", "--patch", PATCH_ENABLED % "true")
    eventually(lambda: differs(space, node, resource, "1"), 30)


def running(space: Space) -> int:
    """How many of the two Pods run."""
    return sum(not space.not_ready(f"pod-{i}") for i in range(2))


def config_of(space: Space, network: str) -> str:
    found: str = space.world.get("podnetwork", network)["spec"]["parametersRefs"][0]["name"]
    return found


def differs(space: Space, node: str, resource: str, quantity: str) -> str:
    """What the node has of ``resource``, if that is not ``quantity``."""
    found = json.loads(space.world.kubectl("get", "node", node, "--output", "json"))
    there: str = found["status"]["allocatable"].get(resource, "")
    return "" if there == quantity else f"{node} has {there!r}"
