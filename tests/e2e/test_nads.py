"""NADs whose plugins have a native form, on a cluster as their users have them: an annotation, and packets that arrive.
Links that the nodes' kernel lacks are those of tests/netns/test_nads.py, in the VM."""

import inspect
import json
from collections.abc import Iterator

import pytest
from netns import dhcp_server
from podnet_api import names
from podnet_hack import image
from podnet_tests import needs, objects
from podnet_tests.objects import Object
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

BRIDGE, DEVICE, CABLE = "e2enads0", "pdnad0", "pdnad1"
SERVER = """
class Place:
    def inside(self, function):
        return function()
SOURCE
import time
Server(Place(), "CABLE", "10.139.0.1", ["10.139.0.77"]).start()
time.sleep(3600)
""".replace("SOURCE", inspect.getsource(dhcp_server).replace("from netns.lab import Place\n", "")).replace(
    "CABLE", CABLE
)
"""The tests' own DHCP server, in a Pod of the node."""


def _nad(name: str, **config: object) -> Object:
    spec = {"config": json.dumps({"cniVersion": "1.0.0", **config})}
    meta = {"name": name}
    return {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": meta, "spec": spec}


def _pod(name: str, asked: str, node: str) -> Object:
    made = objects.pod(name, **objects.on_node(node))
    made["metadata"]["annotations"] = {names.LEGACY_NETWORKS_ANNOTATION: asked}
    return made


def _local(subnet: str, **more: object) -> Object:
    return {"type": "host-local", "subnet": subnet, **more}


def _address(space: Space, pod: str) -> str:
    """Of net1, as Multus' consumers read it; the network must be native."""
    rows = json.loads(space.world.get("pod", pod)["metadata"]["annotations"][names.NPWG_STATUS_ANNOTATION])
    assert [row["interface"] for row in rows] == ["eth0", "net1"]
    network = rows[1]["name"].replace("/", ".")
    assert "cni" not in space.world.get("networkconfig", network)["spec"]
    return str(rows[1]["ips"][0])


def _made(space: Space, name: str) -> str:
    """Whether compat has made the network of a NAD: before that its Pods would wait for it."""
    return "" if space.world.find("podnetwork", f"{space.namespace}.{name}") else f"{name} is not made yet"


def _started(space: Space, *pods: Object) -> str:
    """Applied again until they are taken: a replica of another deployment may just have made the network otherwise."""
    space.make(*pods)
    return ""


def test_ptp(shared: Space) -> None:
    worker = shared.world.workers()[0]
    shared.make(_nad("ptp", type="ptp", ipam=_local("10.138.0.0/24")))
    eventually(lambda: _started(shared, _pod("ptp-one", "ptp", worker), _pod("ptp-two", "ptp", worker)), 60)
    shared.wait_ready("ptp-one", "ptp-two")
    went = shared.world.ping("ptp-one", _address(shared, "ptp-two"), "-Inet1")
    assert went.lost == 0, went.output


def test_macvlan(shared: Space) -> None:
    """From node to node, each with the uplink that leads to the others."""
    if reason := needs.missing("macvlan"):
        raise AssertionError(reason)
    shared.make(_nad("mv", type="macvlan", master="eth0", ipam=_local("10.140.0.0/24")))
    one, two = shared.world.workers()[:2]
    shared.make(_pod("mv-one", "mv", one), _pod("mv-two", "mv", two))
    shared.wait_ready("mv-one", "mv-two")
    went = shared.world.ping("mv-one", _address(shared, "mv-two"), "-Inet1")
    assert went.lost == 0, went.output
    # An uplink has one use: another test wants this one for ipvlan, where the kernel has that.
    shared.world.kubectl("delete", "pod/mv-one", "pod/mv-two", "net-attach-def/mv")


@pytest.fixture
def device(shared: Space) -> Iterator[str]:
    """A worker with a device at the end of a cable."""
    node = shared.world.workers()[1]
    shared.world.on_node(node, "ip", "link", "add", DEVICE, "type", "veth", "peer", "name", CABLE)
    shared.world.on_node(node, "ip", "address", "add", "10.141.0.1/24", "dev", CABLE)
    shared.world.on_node(node, "ip", "link", "set", CABLE, "up")
    yield node
    shared.world.on_node(node, "ip", "link", "delete", CABLE)


def test_host_device(shared: Space, device: str) -> None:
    ipam = {"type": "static", "addresses": [{"address": "10.141.0.5/24"}]}
    shared.make(_nad("device", type="host-device", device=DEVICE, ipam=ipam))
    shared.make(_pod("device", "device", device))
    shared.wait_ready("device")
    assert _address(shared, "device") == "10.141.0.5"
    assert shared.world.ping("device", "10.141.0.1").lost == 0
    shared.world.kubectl("delete", "pod", "device")
    eventually(lambda: "" if DEVICE in shared.world.on_node(device, "ip", "link") else "it is not back", 30)


def test_dhcp(shared: Space, device: str) -> None:
    """Of a server on the network, which the test runs on the node: it hangs on the bridge by a cable, as addresses of
    the bridge itself are podnet's."""
    shared.make(_nad("dhcp", type="bridge", bridge=BRIDGE, ipam={"type": "dhcp"}))
    eventually(lambda: _made(shared, "dhcp"), 30)
    eventually(lambda: "" if BRIDGE in shared.world.on_node(device, "ip", "link") else "no bridge", 30)
    shared.world.on_node(device, "ip", "link", "set", DEVICE, "up", "master", BRIDGE)
    shared.world.on_node(device, "ip", "address", "add", "10.139.0.1/24", "dev", CABLE)
    server = objects.pod("server", hostNetwork=True, **objects.on_node(device))
    capabilities = {"add": ["NET_RAW", "NET_ADMIN", "NET_BIND_SERVICE"]}
    server["spec"]["containers"][0] |= {
        "image": image.PROGRAMS,
        "command": ["python3", "-c", SERVER],
        "securityContext": {"runAsUser": 0, "capabilities": capabilities},
    }
    shared.make(server)
    shared.wait_ready("server")
    shared.make(_pod("client", "dhcp", device))
    shared.wait_ready("client")
    assert _address(shared, "client") == "10.139.0.77"
    assert shared.world.interfaces("client")["net1"] == ["10.139.0.77/24"]
    assert shared.world.ping("client", "10.139.0.1", "-Inet1").lost == 0
    shared.world.kubectl("delete", "pod", "client", "server")


@pytest.mark.parametrize("kind", ["vlan", "ipvlan", "bond"])
def test_what_a_kernel_lacks_is_said(shared: Space, kind: str) -> None:
    """Where it lacks nothing, the network is ready there."""
    links: list[Object] = [{"name": "net1"}, {"name": "net2"}]
    more: dict[str, Object] = {
        "vlan": {"master": "eth0", "vlanId": 7, "ipam": _local("10.142.0.0/24")},
        "ipvlan": {"master": "eth0", "ipam": _local("10.143.0.0/24")},
        "bond": {"mode": "active-backup", "miimon": "100", "links": links, "linksInContainer": True},
    }
    shared.make(_nad(f"a-{kind}", type=kind, **more[kind]))
    worker, network = shared.world.workers()[0], f"{shared.namespace}.a-{kind}"
    lacks = needs.missing(kind)
    eventually(lambda: _says(shared, worker, network, lacks), 30)


def _says(space: Space, node: str, network: str, lacks: str) -> str:
    entry = space.entry(node, network)
    right = lacks in str(entry.get("message")) if lacks else entry.get("ready")
    return "" if entry and right else f"{node} says {entry}, and not {lacks or 'ready'}"
