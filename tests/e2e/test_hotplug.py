"""The list of a running Pod is edited: interfaces and addresses come and go, and nothing else moves."""

import functools
import json
import time

import pytest
from podnet_api import names
from podnet_hack.demo import world
from podnet_tests import kni_process, objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually


class Place:
    """One node with two networks that Pods are plugged into."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.node, self.other = space.world.workers()[:2]
        self.blue = space.network("blue", bridge={}, on=[self.node], ipam=objects.pool("10.137.0.0/16"))
        self.green = space.network(
            "green", bridge={}, on=[self.node], ipam=objects.pool("10.138.0.0/16", "fd00:138::/64")
        )
        space.wait_on_nodes(self.blue, [self.node])
        space.wait_on_nodes(self.green, [self.node])

    def pod(self, name: str, *networks: str | objects.Object) -> str:
        """A Pod on the node that is ready."""
        self.space.make(objects.pod(name, *networks, **objects.on_node(self.node)))
        self.space.wait_ready(name)
        return name

    def edit(self, pod: str, *networks: str | objects.Object) -> None:
        """Gives a running Pod another list."""
        text = f"{names.NETWORKS_ANNOTATION}={objects.listed(*networks)}"
        self.space.world.kubectl("annotate", "pod", pod, "--overwrite", text)

    def has(self, pod: str, *interfaces: str) -> str:
        """Why it is not so that a Pod has exactly these interfaces, and its status and file say so."""
        in_kernel = {name for name in self.space.world.interfaces(pod) if name not in ("lo", "eth0")}
        found = self.space.world.get("pod", pod)
        status = world.network_status(found)
        file = json.loads(self.space.world.inside(pod, "cat", "/etc/podnet/networks.json"))
        ready = world.condition(found, names.NETWORKS_READY)
        if (in_kernel, [one["interface"] for one in status], file) != (set(interfaces), list(interfaces), status):
            return f"{pod} has {in_kernel}, its status is {status}, its file {file}, its condition {ready}"
        return "" if ready["status"] == "True" else f"its condition is {ready}"


@pytest.fixture(scope="module")
def place(shared: Space) -> Place:
    return Place(shared)


def test_interfaces_come_and_go(place: Place) -> None:
    peer = place.pod("peer", place.blue, place.green)
    pod = place.pod("plugged", place.blue)
    seen = place.space.world
    before = seen.interfaces(pod)["net1"]
    blue, green = (place.space.addresses(peer, network)[0] for network in (place.blue, place.green))
    running = seen.start("exec", pod, "--", "ping", "-n", "-q", "-c200", "-i0.05", blue)
    time.sleep(0.5)
    place.edit(pod, place.blue, place.green)
    eventually(lambda: place.has(pod, "net1", "net2"), 20)
    assert seen.ping(pod, green).lost == 0
    assert len(seen.interfaces(pod)["net2"]) == 2, "both families"
    place.edit(pod, place.blue)
    eventually(lambda: place.has(pod, "net1"), 20)
    output, _ = running.communicate(timeout=60)
    assert world.read_ping(output).lost == 0, "the entry that did not change was not touched"
    assert seen.interfaces(pod)["net1"] == before
    events = " ".join(place.space.events(pod))
    assert f"NetworksChanged: attached net2 to {place.green}" in events
    assert f"NetworksChanged: detached net2 from {place.green}" in events
    assert seen.get("pod", pod)["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_pod_that_had_none_and_one_that_loses_all(place: Place) -> None:
    pod = place.pod("late")
    place.edit(pod, place.blue)
    eventually(lambda: "" if "net1" in place.space.world.interfaces(pod) else "no net1", 20)
    place.edit(pod, "default")
    eventually(lambda: "" if set(place.space.world.interfaces(pod)) == {"lo", "eth0"} else "still there", 20)


def test_a_default_route_comes_and_goes_back(place: Place) -> None:
    ranges = [{"cidr": "10.141.0.0/24", "gateway": "10.141.0.1"}]
    out = place.space.network("out", bridge={"gateway": True}, on=[place.node], ipam={"ranges": ranges})
    place.space.wait_on_nodes(out, [place.node])
    pod, seen = place.pod("routed", place.blue), place.space.world

    def default() -> str:
        found = json.loads(seen.inside(pod, "ip", "-json", "route", "show", "default"))
        return str(found[0]["gateway"]) if found else "nowhere"

    before = default()
    place.edit(pod, place.blue, {"podNetworkName": out, "isDefaultGW4": True})
    eventually(lambda: place.has(pod, "net1", "net2"), 20)
    assert default() == "10.141.0.1"
    place.edit(pod, place.blue, out)
    eventually(lambda: "" if default() == before else f"the default route leads to {default()}", 20)
    eventually(lambda: place.has(pod, "net1", "net2"), 20)


def test_addresses_come_and_go_in_place(place: Place) -> None:
    place.space.make(
        *objects.attachment("one", place.blue, addresses=["10.137.9.1"]),
        *objects.attachment("two", place.blue, addresses=["10.137.9.1", "fd00:137::1/64"]),
        *objects.attachment("three", place.blue, addresses=["10.137.9.3"]),
    )
    by = [{"podNetworkAttachmentName": name, "interfaceName": "data"} for name in ("one", "two", "three")]
    pod, seen = place.pod("addressed", by[0]), place.space.world
    index = seen.inside(pod, "cat", "/sys/class/net/data/ifindex")
    changes = ((by[1], ["10.137.9.1/16", "fd00:137::1/64"]), (by[2], ["10.137.9.3/16"]), (by[0], ["10.137.9.1/16"]))
    for entry, wanted in changes:
        place.edit(pod, entry)
        eventually(functools.partial(_lacks, place, pod, "data", wanted), 20)
        eventually(lambda: place.has(pod, "data"), 20)
    assert seen.inside(pod, "cat", "/sys/class/net/data/ifindex") == index, "the link stayed"


def _lacks(place: Place, pod: str, interface: str, addresses: list[str]) -> str:
    found = place.space.world.interfaces(pod)[interface]
    return "" if found == addresses else f"{interface} has {found}"


def test_a_network_that_the_node_lacks_is_refused_there_and_tried_again(place: Place) -> None:
    """The Pod cannot move. When the network comes to its node, the Pod gets it."""
    far = place.space.network("far", bridge={}, on=[place.other], ipam=objects.pool("10.139.0.0/16"))
    pod = place.pod("reaching", place.blue)
    place.edit(pod, place.blue, far)
    eventually(lambda: _said(place, pod, "NetworkChangeFailed", far), 20)
    condition = world.condition(place.space.world.get("pod", pod), names.NETWORKS_READY)
    assert condition["status"] == "False"
    assert "net1" in place.space.world.interfaces(pod)
    assert place.space.addresses(pod, place.blue), "what it has is still reported"
    place.space.make(objects.config(far, bridge={}, on=[place.node], ipam=objects.pool("10.139.0.0/16")))
    eventually(lambda: place.has(pod, "net1", "net2"), 30)


def _said(place: Place, pod: str, *words: str) -> str:
    events = place.space.events(pod)
    return "" if any(all(word in text for word in words) for text in events) else f"not said: {events}"


def test_a_list_that_is_wrong_is_refused_at_once(place: Place) -> None:
    pod = place.pod("checked", place.blue)
    with pytest.raises(Exception, match="at most once"):
        place.edit(pod, place.blue, place.blue)
    eventually(lambda: place.has(pod, "net1"), 5)


def test_an_edit_survives_kill_9_and_the_lists_of_the_runtime(place: Place) -> None:
    """The runtime tells the list of the sandbox's birth after every restart; what was edited since must stay."""
    pod = place.pod("kept", place.blue)
    place.edit(pod, place.green)
    eventually(lambda: place.has(pod, "net2"), 20)
    kni_process.send(place.space.world, place.node, kni_process.pid(place.space.world, place.node), "KILL")
    place.edit(pod, place.green, place.blue)  # while nobody listens
    eventually(lambda: place.has(pod, "net2", "net3"), 40)
    place.space.world.kubectl("delete", "pod", pod, "--now")
    eventually(lambda: _detached(place), 20)


def _detached(place: Place) -> str:
    """No checkpoint is left of a Pod that is gone."""
    texts = place.space.world.on_node(place.node, "sh", "-c", "cat /run/kni/sandboxes/*.json")
    gone = f'"namespace":"{place.space.namespace}","name":"kept"' in texts
    return "the record is still there" if gone else ""
