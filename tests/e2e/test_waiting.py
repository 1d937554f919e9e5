"""A Pod that cannot have its networks waits and says why, and starts when it can."""

from podnet_api import names, reasons
from podnet_hack.demo import world
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually, never

PATCH_ENABLED = '{"spec":{"enabled":%s}}'


def test_a_pod_for_two_networks_that_no_node_has_together(space: Space) -> None:
    workers = space.world.workers()
    one = space.network("one", vxlan={}, on=workers[:2])
    two = space.network("two", bridge={}, on=workers[2:])
    space.make(objects.pod("both", one, two))
    eventually(lambda: space.waits("both", reasons.NO_NODE_WITH_NETWORKS, one, two, *workers), 30)
    condition = world.condition(space.world.get("pod", "both"), names.NETWORKS_READY)
    assert (condition["status"], condition["reason"]) == ("False", reasons.NO_NODE_WITH_NETWORKS)


def test_a_pod_for_what_does_not_exist_starts_when_it_does(space: Space) -> None:
    late, other = space.name("late"), space.network("other", bridge={})
    by_attachment = {"podNetworkAttachmentName": "mine"}
    space.make(objects.pod("early", late), objects.pod("by-attachment", by_attachment))
    eventually(lambda: space.waits("early", reasons.NETWORK_NOT_FOUND, late), 30)
    eventually(lambda: space.waits("by-attachment", reasons.ATTACHMENT_NOT_FOUND, "mine"), 30)
    space.network("late", bridge={})
    space.make(*objects.attachment("mine", other, mac="02:00:00:00:00:77"))
    space.wait_ready("early", "by-attachment")
    assert "02:00:00:00:00:77" in space.world.inside("by-attachment", "ip", "link", "show", "dev", "net1")


def test_a_disabled_network_takes_nobody_in_and_throws_nobody_out(space: Space) -> None:
    name = space.network("net", bridge={})
    space.make(objects.pod("before", name))
    space.wait_ready("before")
    space.world.kubectl("patch", "podnetwork", name, "--type=merge", "--patch", PATCH_ENABLED % "false")
    eventually(lambda: _ready_is(space, name, "False", reasons.ADMINISTRATIVELY_DISABLED), 20)
    space.make(objects.pod("after", name))
    eventually(lambda: space.waits("after", reasons.NETWORK_DISABLED, name), 30)
    assert not space.not_ready("before")
    space.world.kubectl("patch", "podnetwork", name, "--type=merge", "--patch", PATCH_ENABLED % "true")
    space.wait_ready("after")


def test_a_pool_for_five_pods(space: Space) -> None:
    subnet = {"cidr": "10.105.0.0/24", "start": "10.105.0.11", "end": "10.105.0.15"}
    name = space.network("small", vxlan={}, ipam={"ranges": [subnet]})
    space.make(*(objects.pod(f"pod-{i}", name) for i in range(1, 6)))
    space.wait_ready(*(f"pod-{i}" for i in range(1, 6)))
    given = {address for i in range(1, 6) for address in space.addresses(f"pod-{i}", name)}
    assert given == {f"10.105.0.{last}" for last in range(11, 16)}
    space.make(objects.pod("pod-6", name))
    eventually(lambda: space.waits("pod-6", reasons.NO_ADDRESSES_LEFT), 30)
    never(lambda: space.waits("pod-6"), 2)
    space.world.kubectl("delete", "pod", "pod-3", "--wait=false")
    space.wait_ready("pod-6")
    assert set(space.addresses("pod-6", name)) < given


def test_a_node_with_room_for_one(space: Space) -> None:
    node = space.world.workers()[0]
    name = space.network("narrow", bridge={}, on=[node], capacity={"attachments": 1})
    space.make(objects.pod("first", name))
    space.wait_ready("first")
    space.make(objects.pod("second", name))
    eventually(lambda: space.waits("second", reasons.NO_ATTACHMENTS_LEFT), 30)
    space.world.kubectl("delete", "pod", "first", "--wait=false")
    space.wait_ready("second")


def _ready_is(space: Space, network: str, status: str, reason: str) -> str:
    found = world.condition(space.world.get("podnetwork", network), "Ready")
    return "" if (found["status"], found["reason"]) == (status, reason) else f"Ready is {found}"
