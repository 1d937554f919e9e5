"""Addresses that stay with whom they belong to: members of StatefulSets, and those asked for by number."""

import json

from podnet_hack.demo.world import Object
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually


def stateful_set(name: str, replicas: int, *networks: str | Object, **spec: object) -> Object:
    """A StatefulSet of Pods with networks."""
    made = objects.deployment(name, replicas, *networks, **spec)
    made["kind"] = "StatefulSet"
    made["spec"] |= {"serviceName": name, "podManagementPolicy": "Parallel"}
    return made


def test_members_keep_their_addresses_on_another_node(space: Space) -> None:
    node, other = space.world.workers()[:2]
    ipam = objects.pool("10.160.0.0/24", "fd00:160::/64", sticky=True)
    name = space.network("kept", vxlan={}, on=[node, other], ipam=ipam)
    members = [f"db-{i}" for i in range(3)]
    space.make(stateful_set("db", 3, name, **objects.on_node(node)))
    space.wait_ready(*members)
    before = {pod: space.addresses(pod, name) for pod in members}
    assert len({address for found in before.values() for address in found}) == 6
    moved = {"spec": {"template": {"spec": objects.on_node(other)}}}
    space.world.kubectl("patch", "statefulset", "db", "--type=merge", f"--patch={json.dumps(moved)}")
    eventually(lambda: "; ".join(filter(None, (_not_on(space, pod, other) for pod in members))), 120)
    assert {pod: space.addresses(pod, name) for pod in members} == before
    blocks = [b["spec"] for b in space.world.all_of("ipblocks") if b["spec"]["networkConfig"] == name]
    assert {b["holder"]["pod"] for b in blocks if "holder" in b} == set(members)
    assert {b["nodeName"] for b in blocks if "holder" in b} == {other}


def _not_on(space: Space, pod: str, node: str) -> str:
    found = space.world.find("pod", pod)
    if found is None or found["spec"].get("nodeName") != node:
        return f"Pod {pod} is not on {node}"
    return space.not_ready(pod)


def test_addresses_apart_from_the_range_go_to_any_node(space: Space) -> None:
    """Three Pods on three nodes with addresses of one small subnet, which no block of a node may hinder."""
    ipam = {"ranges": [{"cidr": "10.161.0.0/24", "start": "10.161.0.64"}]}
    name = space.network("fixed", vxlan={}, ipam=ipam)
    workers = space.world.workers()[:3]
    pods = []
    for number, node in enumerate(workers):
        attachment = f"fixed-{number}"
        space.make(*objects.attachment(attachment, name, addresses=[f"10.161.0.{10 + number}"]))
        entry = {"podNetworkAttachmentName": attachment}
        pods.append(objects.pod(f"pod-{number}", entry, **objects.on_node(node)))
    space.make(*pods)
    space.wait_ready(*(f"pod-{i}" for i in range(len(workers))))
    for number in range(len(workers)):
        assert [a.partition("/")[0] for a in space.addresses(f"pod-{number}", name)] == [f"10.161.0.{10 + number}"]
    twin = {"podNetworkAttachmentName": "fixed-0"}
    space.make(objects.pod("twin", twin, **objects.on_node(workers[1])))
    eventually(lambda: "" if "static address in use by another Pod" in space.said("twin") else space.said("twin"), 40)
    assert space.not_ready("twin")
