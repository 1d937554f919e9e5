"""Datapaths that need more of a node than a bridge: what containers find of them, and nodes whose kernel lacks one."""

import json
import pathlib

import pytest
from podnet_hack.demo import world
from podnet_tests import memif, needs, objects, vhost_user
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

RANGE = "10.111.0.0/24"


def _entry(space: Space, pod: str) -> world.Object:
    (entry,) = world.network_status(space.world.get("pod", pod))
    return dict(entry)


def _npwg(space: Space, pod: str, interface: str) -> world.Object:
    text = space.world.get("pod", pod)["metadata"]["annotations"]["k8s.v1.cni.cncf.io/network-status"]
    return dict(next(entry for entry in json.loads(text) if entry.get("interface") == interface))


@pytest.fixture
def worker(space: Space) -> str:
    return space.world.workers()[0]


def test_pods_on_a_routed_network_reach_each_other_and_the_node(space: Space, worker: str) -> None:
    routed = space.network("routed", routed={}, on=[worker], ipam=objects.pool(RANGE))
    space.make(objects.pod("one", routed), objects.pod("two", routed))
    space.wait_ready("one", "two")
    (address,) = space.addresses("two", routed)
    assert space.world.interfaces("two")["net1"] == [f"{address}/32"]
    went = space.world.ping("one", address, "-Inet1")
    assert (went.lost, went.sent) == (0, 3), went.output
    refused = f"timeout 5 bash -c ': > /dev/tcp/{address}/9' 2> /dev/null; test $? -ne 124 && echo answered"
    assert space.world.on_node(worker, "sh", "-c", refused).strip() == "answered", "nobody listens, but the Pod says so"


def test_a_guest_finds_its_tap(space: Space, worker: str) -> None:
    tap = space.network("tap", tap={"owner": 107}, on=[worker], ipam=objects.pool(RANGE))
    space.make(objects.pod("guest", tap))
    space.wait_ready("guest")
    entry = _entry(space, "guest")
    (link,) = json.loads(space.world.inside("guest", "ip", "-json", "-details", "address", "show", "net1"))
    assert (link["linkinfo"]["info_kind"], link["addr_info"]) == ("tun", [])
    assert link["address"] != entry["mac"], "that is the guest's"
    assert entry["addresses"][0].startswith("10.111.0.")
    space.world.inside("guest", "sh", "-c", "test -c /dev/net/tun && : 3<>/dev/net/tun")


def test_a_guest_finds_its_macvtap(space: Space, worker: str) -> None:
    if reason := needs.missing("macvtap"):
        raise AssertionError(reason)
    macvtap = space.network("macvtap", macvtap={}, uplink={"interface": "eth0"}, on=[worker])
    space.make(objects.pod("guest", macvtap))
    space.wait_ready("guest")
    (link,) = json.loads(space.world.inside("guest", "ip", "-json", "link", "show", "net1"))
    assert link["address"] == _entry(space, "guest")["mac"]
    space.world.inside("guest", "sh", "-c", f"test -c /dev/tap{link['ifindex']} && : 3<>/dev/tap{link['ifindex']}")


def _switch(worker: str) -> world.Object:
    """A Pod that sees the node's directories, as real switches do."""
    switch = objects.pod("switch", **objects.on_node(worker))
    switch["spec"]["volumes"] = [{"name": "shared", "hostPath": {"path": "/run/kni/userspace"}}]
    switch["spec"]["containers"][0]["volumeMounts"] = [{"name": "shared", "mountPath": "/shared"}]
    return switch


def _shared(space: Space, name: str) -> str:
    """The path of what the Pod and the switch share, as the switch has it."""
    find = f"ls -d /shared/*/{name}"
    eventually(lambda: "" if space.world.inside("switch", "sh", "-c", f"{find} || true") else f"no {name}", 20)
    return space.world.inside("switch", "sh", "-c", find).strip()


def test_frames_go_between_a_switch_and_a_pod_by_vhost_user(space: Space, worker: str) -> None:
    """On net1 the Pod makes the socket, on net2 the switch."""
    on = {"on": [worker], "ipam": objects.pool(RANGE)}
    fast = space.network("fast", userspace={"type": "vhost-user"}, **on)
    back = space.network("back", userspace={"type": "vhost-user", "role": "client"}, on=[worker])
    space.make(objects.pod("user", fast, back), _switch(worker))
    space.wait_ready("user", "switch")
    source = pathlib.Path(vhost_user.__file__).read_text()
    for interface, role, other in (("net1", "server", "client"), ("net2", "client", "server")):
        told = _npwg(space, "user", interface)["device-info"]["vhost-user"]
        assert told == {"mode": role, "path": f"/run/podnet/{interface}/vhost-user.sock"}
        theirs = f"{_shared(space, interface)}/vhost-user.sock"
        with space.world.start("exec", "user", "--", "python3", "-c", source, "front", role, told["path"]) as inside:
            sent = space.world.inside("switch", "python3", "-c", source, "back", other, theirs).strip()
            assert sent == vhost_user.FRAME.hex()
            assert inside.communicate(timeout=20)[0].strip() == vhost_user.FRAME[::-1].hex()
    described = json.loads(space.world.inside("switch", "cat", f"{_shared(space, 'net1')}.json"))
    assert (described["pod"], described["network"]) == (f"{space.namespace}/user", fast)
    space.world.kubectl("delete", "pod", "user")
    left = "ls -d /shared/*/net1 /shared/*/net2 || true"
    eventually(lambda: space.world.inside("switch", "sh", "-c", left).strip(), 20)


def test_frames_go_between_a_switch_and_a_pod_by_memif(space: Space, worker: str) -> None:
    fast = space.network("fast", userspace={"type": "memif"}, on=[worker])
    space.make(objects.pod("user", fast), _switch(worker))
    space.wait_ready("user", "switch")
    told = _npwg(space, "user", "net1")["device-info"]["memif"]
    assert told["role"] == "master"
    source = pathlib.Path(memif.__file__).read_text()
    with space.world.start("exec", "user", "--", "python3", "-c", source, "master", told["path"]) as inside:
        path = _shared(space, "net1/memif.sock")
        assert space.world.inside("switch", "python3", "-c", source, "slave", path).strip() == memif.FRAME[::-1].hex()
        assert inside.communicate(timeout=20)[0].strip() == memif.FRAME.hex()


@pytest.mark.parametrize("kind", ["ipvlan", "vlan", "bond"])
def test_a_node_without_a_kind_says_so_and_is_avoided(space: Space, worker: str, kind: str) -> None:
    """Where the kernel has it, the node is ready for it."""
    specs: dict[str, world.Object] = {
        "ipvlan": {"ipvlan": {}, "uplink": {"interface": "eth0"}},
        "vlan": {"vlan": {"vid": 7, "mode": "direct"}, "uplink": {"interface": "eth0"}},
        "bond": {"bond": {"links": ["net1", "net2"]}},
    }
    network = space.network(kind, on=[worker], **specs[kind])
    if not needs.missing(kind):
        space.wait_on_nodes(network, [worker])
        return

    def said() -> str:
        entry = space.entry(worker, network)
        wanted = f"kernel lacks {kind}"
        return "" if wanted in entry.get("message", "") else f"{wanted} is not said: {entry}"

    eventually(said, 20)
    assert space.entry(worker, network)["reason"] == "KernelLacks"
    space.make(objects.pod("waits", network))
    eventually(lambda: space.waits("waits", f"kernel lacks {kind}"), 30)
