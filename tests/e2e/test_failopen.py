"""NRI fails open: the seven ways in which a Pod could start without its networks, each of them tried.

In every case no container of a Pod that names networks runs without them, and it starts with them once the fault is
over; Pods without networks are not held up. The Pods are bound to the node by hand, past the scheduler and the taint.
What the hook cannot close (it is not asked, or its answer comes too late) NRI's default validator closes.
"""

import itertools
import json
import time
from collections.abc import Iterator

import pytest
from podnet_api import names
from podnet_hack.demo import world
from podnet_tests import kni_process, objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually, never

DAEMON = "daemonset/podnet-kni-server"
TELLS = {"command": ["sh", "-c", "ip link show dev net1 > /dev/null && echo with || echo WITHOUT; exec sleep infinity"]}
HELD = 4.0
"""Seconds for which a Pod is watched that must not start."""

_numbers = itertools.count(1)


class Place:
    """One node, and Pods bound to it."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.node = space.world.workers()[1]
        self.network = space.network("net", bridge={}, on=[self.node], ipam=objects.pool("10.136.0.0/16"))
        space.wait_on_nodes(self.network, [self.node])
        self.made: list[str] = []

    def pod(self, *networks: str, **spec: object) -> str:
        """Makes a Pod on the node that says in its first line whether it has its network."""
        made = objects.pod(f"pod-{next(_numbers)}", *networks, nodeName=self.node, **spec)
        made["spec"]["containers"][0] |= TELLS
        self.space.make(made)
        self.made.append(made["metadata"]["name"])
        return self.made[-1]

    @property
    def pid(self) -> str:
        """The KNI server's process."""
        eventually(lambda: "" if kni_process.pid(self.space.world, self.node) else "no KNI server", 30)
        return kni_process.pid(self.space.world, self.node)

    def sandboxed(self, pod: str) -> str:
        """Whether the runtime has begun with a Pod."""
        ours = f'labels."io.kubernetes.pod.name"=={pod}'
        found = self.space.world.on_node(self.node, "ctr", "--namespace=k8s.io", "containers", "list", "--quiet", ours)
        return "" if found.strip() else f"{pod} has no sandbox"

    def held(self, pod: str) -> None:
        """It does not start, and Pods without networks do."""
        never(lambda: f"{pod} runs" if world.runs_container(self.space.world.get("pod", pod)) else "", HELD)

    def starts(self, pod: str) -> None:
        """It starts, with its network from the first instruction on, and never did without."""
        self.space.wait_ready(pod)
        found = self.space.world.get("pod", pod)
        assert self.space.world.kubectl("logs", pod) == "with\n"
        assert found["status"]["containerStatuses"][0]["restartCount"] == 0
        assert self.space.addresses(pod, self.network)


@pytest.fixture(scope="module")
def place(shared: Space) -> Place:
    return Place(shared)


@pytest.fixture
def absent(place: Place) -> Iterator[None]:
    """The node has no KNI server; other nodes keep theirs."""
    system = place.space.world.in_namespace(world.SYSTEM)
    before = system.get("daemonset", "podnet-kni-server")["spec"]
    elsewhere = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": [place.node]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [elsewhere]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    patch = {"updateStrategy": {"type": "OnDelete"}, "template": {"spec": {"affinity": affinity}}}
    system.kubectl("patch", DAEMON, "--type=merge", "--patch", json.dumps({"spec": patch}))
    eventually(lambda: "it is still there" if place.space.world.kni_server(place.node) else "", 40)
    yield
    _put_back(place, before)


def _put_back(place: Place, before: objects.Object) -> None:
    system = place.space.world.in_namespace(world.SYSTEM)
    patch = {"updateStrategy": before["updateStrategy"], "template": {"spec": {"affinity": None}}}
    system.kubectl("patch", DAEMON, "--type=merge", "--patch", json.dumps({"spec": patch}))
    eventually(lambda: "" if _serves(place) else f"no KNI server on {place.node}", 60)


def _serves(place: Place) -> bool:
    server = place.space.world.kni_server(place.node)
    return server is not None and world.is_ready(server)


def _denied(place: Place, pod: str) -> str:
    """That the default validator refused a container, for want of our plugin."""
    events = " ".join(place.space.events(pod))
    wanted = "required plugin"
    return "" if wanted in events and names.NRI_PLUGIN_NAME in events else f"{pod} was not refused: {events}"


def test_1_absent_and_2_connecting_late(place: Place, absent: None) -> None:
    """The sandbox is made while nobody listens; then the server comes, and finds it by Synchronize."""
    pod, plain = place.pod(place.network), place.pod()
    eventually(lambda: _denied(place, pod), 40)
    place.held(pod)
    place.space.wait_ready(plain)
    _put_back(place, {"updateStrategy": {"type": "RollingUpdate"}})
    place.starts(pod)


def test_3_hanging(place: Place) -> None:
    pid = place.pid
    kni_process.send(place.space.world, place.node, pid, "STOP")
    try:
        pod, plain = place.pod(place.network), place.pod()
        eventually(lambda: _denied(place, pod), 40)
        place.held(pod)
        place.space.wait_ready(plain)
    finally:
        kni_process.send(place.space.world, place.node, pid, "CONT")
    place.starts(pod)


def test_4_answering_late(place: Place) -> None:
    """Every answer in these seconds comes when the runtime has given up on it."""
    pid = place.pid
    pods = []
    for _ in range(3):
        kni_process.send(place.space.world, place.node, pid, "STOP")
        pods.append(place.pod(place.network))
        time.sleep(2.3)
        kni_process.send(place.space.world, place.node, pid, "CONT")
        time.sleep(0.2)
    for pod in pods:
        place.starts(pod)


def test_5_crashing_in_a_request(place: Place) -> None:
    """Stopped first, so that it is certain that the runtime waits for an answer when the process dies."""
    pid = place.pid
    kni_process.send(place.space.world, place.node, pid, "STOP")
    pod = place.pod(place.network)
    eventually(lambda: place.sandboxed(pod), 20)
    kni_process.send(place.space.world, place.node, pid, "KILL")
    place.starts(pod)


def test_6_the_socket_cut(place: Place) -> None:
    """Again and again while Pods start: the server lives, and its connection does not."""
    number = kni_process.on_host(place.node) if place.pid else 0
    if not number:
        pytest.skip("the nodes of this cluster are on another machine")
    pods = []
    for _ in range(4):
        pods.append(place.pod(place.network))
        eventually(lambda: "" if kni_process.cut_nri(number) else "not connected", 10)
        time.sleep(0.3)
    for pod in pods:
        place.starts(pod)
    assert kni_process.on_host(place.node) == number, "it was the connection that was lost, not the server"


def test_7_the_runtime_restarted(place: Place) -> None:
    before = place.pod(place.network)
    place.starts(before)
    place.space.world.on_node(place.node, "systemctl", "restart", "--no-block", "containerd")
    pods = [place.pod(place.network) for _ in range(3)]
    for pod in pods:
        place.starts(pod)
    assert place.space.world.get("pod", before)["status"]["containerStatuses"][0]["restartCount"] == 0
    assert "net1" in place.space.world.interfaces(before)
