"""--hybrid on a real cluster: kube-scheduler and kubelet count, and the extender tells all the same what is missing."""

import json
from collections.abc import Iterator

import pytest
from podnet_api import names, reasons
from podnet_hack.demo import world
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

WEBHOOK = "deployment/podnet-webhook"
ARGS = "/spec/template/spec/containers/0/args"


@pytest.fixture
def hybrid(space: Space) -> Iterator[Space]:
    """A space whose Pods the webhook makes with --hybrid."""
    system = space.world.in_namespace(world.SYSTEM)
    [container] = system.get("deployment", "podnet-webhook")["spec"]["template"]["spec"]["containers"]
    before = container.get("args", [])
    for args in ([*before, "--hybrid"], before):
        patch = [{"op": "add", "path": ARGS, "value": args}]
        system.kubectl("patch", WEBHOOK, "--type=json", "--patch", json.dumps(patch))
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=90s", timeout=100)
        if args is not before:
            yield space


def tried(space: Space, network: str) -> objects.Object:
    """What the webhook makes of a Pod; for a moment one that is on its way out may still answer."""
    made = json.dumps(objects.pod("tried", network))
    flags = ("--dry-run=server", "--output=json", "--filename=-")
    found: objects.Object = json.loads(space.world.kubectl("create", *flags, stdin=made))
    return found


def asked(pod: objects.Object) -> dict[str, str]:
    """What of podnet a Pod asks the scheduler for."""
    [container] = pod["spec"]["containers"]
    own = (names.RESOURCE, names.ATTACHMENTS_PREFIX)
    return {key: value for key, value in container["resources"]["requests"].items() if key.startswith(own)}


def test_nodes_count_and_nobody_is_asked(hybrid: Space) -> None:
    space, node = hybrid, hybrid.world.workers()[0]
    name = space.network("counted", bridge={}, on=[node], capacity={"attachments": 2})
    resource = names.attachments_resource(name)
    space.wait_on_nodes(name, [node])
    eventually(lambda: "" if asked(tried(space, name)) == {resource: "1"} else "nodes do not count yet", 30)
    pods = [f"pod-{number}" for number in range(3)]
    for pod in pods[:2]:
        space.make(objects.pod(pod, name))
        assert asked(space.world.get("pod", pod)) == {resource: "1"}
        assert "affinity" not in space.world.get("pod", pod)["spec"]
    space.wait_ready(*pods[:2])
    assert {space.world.get("pod", pod)["spec"]["nodeName"] for pod in pods[:2]} == {node}
    space.make(objects.pod(pods[2], name))
    eventually(lambda: space.waits(pods[2], reasons.NO_ATTACHMENTS_LEFT), 30)
    space.world.kubectl("delete", "pod", pods[0], "--wait=false")
    space.wait_ready(pods[2])


def test_the_extender_is_asked_where_addresses_are_of_all_nodes(hybrid: Space) -> None:
    space = hybrid
    name = space.network("pooled", vxlan={}, ipam=objects.pool("10.137.0.0/28"))
    space.make(objects.pod("pooled", name))
    assert asked(space.world.get("pod", "pooled"))[names.RESOURCE] == "0"
    space.wait_ready("pooled")
