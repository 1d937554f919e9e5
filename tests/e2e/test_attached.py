"""Pods land where their networks are, reach each other over them and nobody else, and say what they have."""

import dataclasses
import ipaddress
import json

import pytest
from podnet_api import names
from podnet_hack.demo import world
from podnet_tests import objects
from podnet_tests.space import Space

RANGES = {"blue": ("10.101.0.0/16", "fd00:101::/64"), "green": ("10.102.0.0/16",)}


@dataclasses.dataclass(frozen=True)
class Town:
    """Blue spans two workers, green is on the third; two Pods on each."""

    space: Space
    workers: list[str]
    blue: str
    green: str

    def pods(self, network: str) -> tuple[str, str]:
        """The two Pods of a network; those of blue in the order of the workers."""
        found = sorted(self.space.pods(network), key=lambda pod: str(pod["spec"]["nodeName"]))
        one, other = (str(pod["metadata"]["name"]) for pod in found)
        return one, other

    def real(self, network: str) -> str:
        """The full name of a network."""
        return {"blue": self.blue, "green": self.green}[network]


@pytest.fixture(scope="module")
def town(shared: Space) -> Town:
    workers = shared.world.workers()
    blue = shared.network("blue", vxlan={}, on=workers[:2], ipam=objects.pool(*RANGES["blue"]))
    green = shared.network("green", bridge={}, on=workers[2:], ipam=objects.pool(*RANGES["green"]))
    apart = {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "blue"}},
    }
    shared.make(
        objects.deployment("blue", 2, blue, topologySpreadConstraints=[apart]),
        objects.deployment("green", 2, green),
    )
    shared.wait_deployed("blue", 2)
    shared.wait_deployed("green", 2)
    return Town(shared, workers, blue, green)


def test_networks_are_ready_on_the_nodes_that_they_select(town: Town) -> None:
    assert town.space.nodes_with(town.blue) == sorted(town.workers[:2])
    assert town.space.nodes_with(town.green) == sorted(town.workers[2:])


def test_pods_land_where_their_network_is(town: Town) -> None:
    places = {app: sorted(pod["spec"]["nodeName"] for pod in town.space.pods(app)) for app in ("blue", "green")}
    assert places == {"blue": sorted(town.workers[:2]), "green": [town.workers[2]] * 2}


@pytest.mark.parametrize(("network", "version"), [("blue", 4), ("blue", 6), ("green", 4)])
def test_replicas_reach_each_other_over_the_network(town: Town, network: str, version: int) -> None:
    one, other = town.pods(network)
    listed = town.space.addresses(other, town.real(network))
    address = next(text for text in listed if ipaddress.ip_address(text).version == version)
    went = town.space.world.ping(one, address, "-Inet1")
    assert went.lost == 0, went.output
    assert went.sent > 0, went.output


@pytest.mark.parametrize(("here", "there"), [("blue", "green"), ("green", "blue")])
def test_the_wrong_network_does_not_answer(town: Town, here: str, there: str) -> None:
    address = town.space.addresses(town.pods(there)[0], town.real(there))[0]
    went = town.space.world.ping(town.pods(here)[0], address, "-Inet1", seconds=2)
    assert went.received == 0, went.output


def test_the_kernel_has_what_the_status_says(town: Town) -> None:
    name = town.pods("blue")[0]
    pod = town.space.world.get("pod", name)
    (entry,) = world.network_status(pod)
    assert (entry["network"], entry["interface"]) == (town.blue, "net1")
    assert town.space.world.interfaces(name)["net1"] == entry["addresses"]
    families = [ipaddress.ip_interface(text).network for text in entry["addresses"]]
    assert families == [ipaddress.ip_network(cidr) for cidr in RANGES["blue"]]
    link = json.loads(town.space.world.inside(name, "ip", "-json", "link", "show", "dev", "net1"))[0]
    assert (link["address"], link["mtu"]) == (entry["mac"], entry["mtu"])


def test_existing_tools_find_the_network_status(town: Town) -> None:
    pod = town.space.world.get("pod", town.pods("blue")[0])
    first, second = json.loads(pod["metadata"]["annotations"][names.NPWG_STATUS_ANNOTATION])
    (ours,) = world.network_status(pod)
    assert (first["interface"], first["default"], first["ips"]) == ("eth0", True, [pod["status"]["podIP"]])
    assert (second["interface"], second["mac"]) == ("net1", ours["mac"])
    assert second["ips"] == world.addresses(pod, town.blue)


def test_the_condition_says_that_all_is_attached(town: Town) -> None:
    pod = town.space.world.get("pod", town.pods("green")[0])
    condition = world.condition(pod, names.NETWORKS_READY)
    assert (condition["status"], condition["reason"]) == ("True", "NetworksAttached")
    assert town.green in condition["message"]


def test_processes_find_their_networks_in_a_file(town: Town) -> None:
    name = town.pods("blue")[0]
    file = json.loads(town.space.world.inside(name, "cat", "/etc/podnet/networks.json"))
    assert file == world.network_status(town.space.world.get("pod", name))
    write = "echo x 2> /dev/null > /etc/podnet/networks.json || echo refused"
    assert town.space.world.inside(name, "sh", "-c", write).strip() == "refused"


def test_processes_find_their_networks_in_their_environment(town: Town) -> None:
    """From the first instruction on: a program that the kubelet starts has the same as the container's own."""
    name = town.pods("blue")[0]
    lines = town.space.world.inside(name, "sh", "-c", "tr '\\0' '\\n' < /proc/1/environ").splitlines()
    own = dict(line.split("=", 1) for line in lines if line.startswith("PODNET_"))
    [entry] = world.network_status(town.space.world.get("pod", name))
    addresses = [text.partition("/")[0] for text in entry["addresses"]]
    told = own["PODNET_INTERFACES"], own["PODNET_NET1_NETWORK"], int(own["PODNET_NET1_MTU"])
    assert told == ("net1", town.blue, entry["mtu"])
    assert [own[key] for key in ("PODNET_NET1_IPV4", "PODNET_NET1_IPV6") if key in own] == addresses


def test_the_node_counts_what_it_carries(town: Town) -> None:
    entry = town.space.entry(town.workers[2], town.green)
    assert (entry["ready"], entry["reason"], entry["attachments"]["used"]) == (True, "Ready", 2)
    assert entry["attachments"]["capacity"] > 2


def test_a_network_in_use_is_kept_until_its_pods_are_gone(town: Town) -> None:
    town.space.world.kubectl("delete", "podnetwork", town.green, "--wait=false")
    kept = town.space.world.get("podnetwork", town.green)
    assert "deletionTimestamp" in kept["metadata"]
    assert names.IN_USE_FINALIZER in kept["metadata"]["finalizers"]
    assert all(not town.space.not_ready(pod) for pod in town.pods("green"))
    town.space.world.kubectl("delete", "deployment", "green", "--wait=false")
    town.space.world.kubectl("wait", "--for=delete", f"podnetwork/{town.green}", "--timeout=30s")
