"""CHECK on a real node: what somebody breaks by hand is repaired and reported; addresses from outside are told."""

import functools
import json
import re
from collections.abc import Callable, Iterator

import pytest
from podnet_hack.demo import world
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

DAEMON = "daemonset/podnet-kni-server"
INTERVAL = 2


@pytest.fixture(scope="module")
def looking(shared: Space) -> Iterator[Space]:
    """Every node looks every two seconds."""
    system = shared.world.in_namespace(world.SYSTEM)
    system.kubectl("set", "env", DAEMON, f"PODNET_CHECK_INTERVAL={INTERVAL}")
    system.kubectl("rollout", "status", DAEMON, "--timeout=90s", timeout=100)
    yield shared
    system.kubectl("set", "env", DAEMON, "PODNET_CHECK_INTERVAL-")
    system.kubectl("rollout", "status", DAEMON, "--timeout=90s", timeout=100)


def test_damage_is_repaired_and_reported(looking: Space) -> None:
    node, other = looking.world.workers()[:2]
    name = looking.network("net", vxlan={}, on=[node, other], ipam=objects.pool("10.140.0.0/16", "fd00:140::/64"))
    looking.make(
        objects.pod("here", name, **objects.on_node(node)), objects.pod("there", name, **objects.on_node(other))
    )
    looking.wait_ready("here", "there")
    seen = looking.world
    four, six = looking.addresses("here", name)
    netns, host = _netns(looking, node, "here"), _host_end(looking, node, "here")

    def inside(*words: str) -> str:
        return seen.on_node(node, "nsenter", f"--net={netns}", "ip", *words)

    device = _overlay(looking, node, "here")
    damages: dict[str, Callable[[], str]] = {
        "net1 was down": lambda: inside("link", "set", "net1", "down"),
        f"net1 had lost its address {four}/16": lambda: inside("address", "del", f"{four}/16", "dev", "net1"),
        "net1 had left the bridge": lambda: seen.on_node(node, "ip", "link", "set", host, "nomaster"),
    }
    for words, damage in damages.items():
        damage()
        eventually(functools.partial(_said, looking, "here", "NetworkRepaired", words), 20)
        eventually(lambda: "" if seen.ping("there", four, count=2).lost == 0 else "not reached", 10)
    assert seen.ping("there", six).lost == 0
    _lose_a_peer(looking, node, device)
    eventually(lambda: "" if seen.ping("there", four, count=2).lost == 0 else "not reached", 10)
    inside("-6", "address", "add", "2001:db8:140::7/64", "dev", "net1", "nodad")
    eventually(lambda: _observed(looking, "here", ["2001:db8:140::7/64"]), 20)
    inside("-6", "address", "del", "2001:db8:140::7/64", "dev", "net1")
    eventually(lambda: _observed(looking, "here", []), 20)


def _said(space: Space, pod: str, *words: str) -> str:
    events = space.events(pod)
    return "" if any(all(word in text for word in words) for text in events) else f"not said: {events}"


def _observed(space: Space, pod: str, wanted: list[str]) -> str:
    [entry] = world.network_status(space.world.get("pod", pod))
    return "" if entry.get("observedAddresses", []) == wanted else f"status: {entry}"


def _lose_a_peer(space: Space, node: str, device: str) -> None:
    """A forwarding entry of the overlay goes, and comes again."""
    before = _flooding(space, node, device)
    peer = before[0]
    space.world.on_node(node, "bridge", "fdb", "del", "00:00:00:00:00:00", "dev", device, "dst", peer)
    eventually(lambda: "" if _flooding(space, node, device) == before else f"no entry to {peer}", 20)


def _flooding(space: Space, node: str, device: str) -> list[str]:
    shown = json.loads(space.world.on_node(node, "bridge", "-json", "fdb", "show", "dev", device))
    return sorted(one["dst"] for one in shown if one["mac"] == "00:00:00:00:00:00" and "dst" in one)


def _overlay(space: Space, node: str, pod: str) -> str:
    """The VXLAN device of the bridge that a Pod hangs on."""
    bridge = _record(space, node, pod)["interfaces"][0]["link"]["master"]
    shown = json.loads(space.world.on_node(node, "ip", "-json", "link", "show", "master", bridge, "type", "vxlan"))
    return next(str(one["ifname"]) for one in shown if one)


def _record(space: Space, node: str, pod: str) -> objects.Object:
    texts = space.world.on_node(node, "sh", "-c", "cat /run/kni/sandboxes/*.json")
    found = [json.loads(text) for text in re.split(r"(?<=\})(?=\{)", texts.strip())]
    return next(one for one in found if (one["namespace"], one["name"]) == (space.namespace, pod))


def _netns(space: Space, node: str, pod: str) -> str:
    return str(_record(space, node, pod)["netns"])


def _host_end(space: Space, node: str, pod: str) -> str:
    return str(_record(space, node, pod)["interfaces"][0]["link"]["hostName"])
