"""What breaks: the KNI server, an uplink, an attach. Pods that run stay whole; Pods that start wait."""

import json
import re
import time
from collections.abc import Callable

from podnet_api import names
from podnet_hack.demo import world
from podnet_hack.demo.world import SYSTEM, World
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

INTERVAL = 0.05
DAEMONS = "daemonset/podnet-kni-server"
BURST = 12
"""Pods that start together: so many that some are on their way when the kill comes."""


def test_kill_9_of_the_kni_server_with_starts_in_flight(space: Space) -> None:
    node, other = space.world.workers()[:2]
    name = space.network("net", vxlan={}, on=[node, other], ipam=objects.pool("10.130.0.0/16", "fd00:130::/64"))
    here, there = objects.on_node(node), objects.on_node(other)
    space.make(objects.pod("here", name, **here), objects.pod("there", name, **there))
    space.wait_ready("here", "there")
    before = space.world.get("pod", "here")
    ended = _ping_meanwhile(space, "there", space.addresses("here", name)[0], seconds=15)
    report = {"command": ["sh", "-c", "ip -json address show dev net1; exec sleep infinity"]}
    space.make(*(_reporting(objects.pod(f"burst-{i}", name, **here), report) for i in range(BURST)))
    eventually(lambda: "" if _placed(space) else "no Pod is placed", 20)
    kill_kni_server(space.world, node)
    burst = [f"burst-{i}" for i in range(BURST)]
    assert any(space.not_ready(pod) for pod in burst), "the kill came too late"
    space.wait_ready(*burst)
    for pod in burst:
        first_line = json.loads(space.world.kubectl("logs", pod))[0]
        assert [a["local"] for a in first_line["addr_info"] if a["scope"] == "global"] == space.addresses(pod, name)
        assert set(space.world.interfaces(pod)) >= {"eth0", "net1"}
    assert world.network_status(space.world.get("pod", "here")) == world.network_status(before)
    ended()


def test_a_rolling_restart_disturbs_no_running_pod(space: Space) -> None:
    node, other = space.world.workers()[:2]
    name = space.network("net", vxlan={}, on=[node, other], ipam=objects.pool("10.131.0.0/16"))
    space.make(objects.pod("here", name, **objects.on_node(node)), objects.pod("there", name, **objects.on_node(other)))
    space.wait_ready("here", "there")
    before = [space.world.interfaces(pod) for pod in ("here", "there")]
    ended = _ping_meanwhile(space, "there", space.addresses("here", name)[0], seconds=20)
    system = space.world.in_namespace(SYSTEM)
    system.kubectl("rollout", "restart", DAEMONS)
    system.kubectl("rollout", "status", DAEMONS, "--timeout=120s", timeout=130)
    assert [space.world.interfaces(pod) for pod in ("here", "there")] == before
    ended()


def test_a_node_is_tainted_until_its_kni_server_is_ready(space: Space) -> None:
    node = space.world.workers()[2]
    path = "jsonpath={.spec.taints[*].key}{'\\n'}"
    watch = space.world.start("get", "node", node, "--watch", f"--output={path}")
    try:
        kill_kni_server(space.world, node)
        eventually(lambda: "" if _serves(space.world, node) else f"the KNI server of {node} is not ready", 60)
        eventually(lambda: _taints(space, node), 10)
    finally:
        watch.kill()
    seen, _ = watch.communicate()
    assert names.NOT_READY_TAINT in seen


def test_an_uplink_that_goes_down_takes_its_network_along(space: Space) -> None:
    node, other = space.world.workers()[:2]
    name = space.network("up", macvlan={}, uplink={"interface": "eth1"}, antiSpoof=False, on=[node, other])
    space.wait_on_nodes(name, [node, other])
    try:
        space.world.on_node(node, "ip", "link", "set", "eth1", "down")
        gone = space.wait_on_nodes(name, [other], 10)
        assert space.entry(node, name)["reason"] == "UplinkDown"
    finally:
        space.world.on_node(node, "ip", "link", "set", "eth1", "up")
    space.wait_on_nodes(name, [node, other], 10)
    assert gone < 3.0, f"the label went only after {gone:.1f} s"


def test_a_kubelet_that_restarts_spares_pods_whose_network_is_not_ready(space: Space) -> None:
    """The kubelet checks node affinity again when it starts: what it asks for must still be there."""
    node = space.world.workers()[2]
    name = space.network("net", bridge={}, on=[node])
    space.make(objects.pod("before", name))
    space.wait_ready("before")
    space.world.kubectl("patch", "podnetwork", name, "--type=merge", "--patch", '{"spec":{"enabled":false}}')
    space.wait_on_nodes(name, [])
    space.world.on_node(node, "systemctl", "restart", "kubelet")
    space.make(objects.pod("later", **objects.on_node(node)))
    space.wait_ready("later")  # so the kubelet is back, and has looked at every Pod
    assert not space.not_ready("before")


def test_an_attach_that_fails_says_why_and_leaves_nothing(space: Space) -> None:
    """Past the scheduler: a Pod bound by hand to a node where the only address is taken."""
    node = space.world.workers()[0]
    subnet = {"cidr": "10.133.0.0/24", "start": "10.133.0.9", "end": "10.133.0.9"}
    name = space.network("one", bridge={}, on=[node], ipam={"ranges": [subnet]})
    space.make(objects.pod("first", name, **objects.on_node(node)))
    space.wait_ready("first")
    ports = _ports(space.world, node)
    space.make(objects.pod("second", name, nodeName=node))
    eventually(lambda: _event(space, "second", "FailedCreatePodSandBox", "address", name), 30)
    assert world.condition(space.world.get("pod", "second"), names.NETWORKS_READY)["status"] == "False"
    assert _ports(space.world, node) <= ports
    assert [block["spec"]["cidr"] for block in space.blocks(name)] == ["10.133.0.9/32"]
    space.world.kubectl("delete", "pod", "first", "--wait=false")
    space.wait_ready("second")


def kill_kni_server(seen: World, node: str) -> None:
    """kill -9 of the process on the node."""
    server = seen.kni_server(node)
    assert server is not None
    container = server["status"]["containerStatuses"][0]["containerID"].split("//")[1]
    tasks = seen.on_node(node, "ctr", "--namespace=k8s.io", "tasks", "list")
    found = re.search(rf"^{container}\s+(\d+)", tasks, re.MULTILINE)
    assert found is not None, tasks
    seen.on_node(node, "kill", "-9", found[1])
    eventually(lambda: "" if _restarted(seen, node, server) else "it was not restarted", 30)


def _restarted(seen: World, node: str, before: objects.Object) -> bool:
    now = seen.kni_server(node)
    if now is None:
        return False
    counts = [one["status"]["containerStatuses"][0]["restartCount"] for one in (before, now)]
    return bool(counts[1] > counts[0])


def _serves(seen: World, node: str) -> bool:
    server = seen.kni_server(node)
    return server is not None and world.is_ready(server)


def _reporting(pod: objects.Object, more: objects.Object) -> objects.Object:
    pod["spec"]["containers"][0] |= more
    return pod


def _placed(space: Space) -> bool:
    return any(p["spec"].get("nodeName") for p in space.pods() if p["metadata"]["name"].startswith("burst"))


def _ping_meanwhile(space: Space, pod: str, address: str, seconds: int) -> Callable[[], None]:
    """Starts a ping; what is returned waits for its end and fails if anything was lost."""
    count = int(seconds / INTERVAL)
    running = space.world.start("exec", pod, "--", "ping", "-n", "-q", f"-c{count}", f"-i{INTERVAL}", address)
    time.sleep(0.5)

    def ended() -> None:
        output, _ = running.communicate(timeout=seconds + 30)
        went = world.read_ping(output)
        assert (went.sent, went.lost) == (count, 0), output

    return ended


def _taints(space: Space, node: str) -> str:
    keys = [taint["key"] for taint in space.world.get("node", node)["spec"].get("taints", ())]
    return f"node {node} has the taint" if names.NOT_READY_TAINT in keys else ""


def _ports(seen: World, node: str) -> set[str]:
    """The node's ends of the links that podnet made to Pods."""
    links = json.loads(seen.on_node(node, "ip", "-json", "link", "show"))
    return {link["ifname"] for link in links if link and link["ifname"].startswith("pnv")}


def _event(space: Space, pod: str, reason: str, *words: str) -> str:
    events = [text for text in space.events(pod) if text.startswith(reason)]
    good = any(all(word in text for word in words) for text in events)
    return "" if good else f"no Event {reason} of {pod} says {words}: {space.events(pod)}"
