"""A Pod whose default route leads over a network with name servers finds them in its resolv.conf."""

from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

DNS = {"nameservers": ["10.133.0.1"], "search": ["corp.example"], "options": ["edns0"]}
FILE = "/etc/resolv.conf"


def test_the_file_has_the_cluster_and_the_network(space: Space) -> None:
    ipam = {"ranges": [{"cidr": "10.133.0.0/24", "gateway": "10.133.0.1"}], "scope": "node"}
    net = space.network("dns", bridge={"gateway": True, "ipMasq": True}, ipam=ipam, dns=DNS)
    leads = {"podNetworkName": net, "isDefaultGW4": True}
    own = {"nameservers": ["192.0.2.53"]}
    space.make(
        objects.pod("beside", net),
        objects.pod("leading", leads),
        objects.pod("nodes", leads, dnsPolicy="Default"),
        objects.pod("itself", leads, dnsPolicy="None", dnsConfig=own),
    )
    space.wait_ready("beside", "leading", "nodes", "itself")
    beside, leading, nodes, itself = (_lines(space, pod) for pod in ("beside", "leading", "nodes", "itself"))
    cluster = next(line for line in beside if line.startswith("nameserver"))
    assert "corp.example" not in " ".join(beside), "its default route leads elsewhere"
    assert [line for line in leading if line.startswith("nameserver")] == [cluster, "nameserver 10.133.0.1"]
    assert next(line for line in leading if line.startswith("search")).split()[-1] == "corp.example"
    assert "ndots:5 edns0" in " ".join(leading)
    assert next(line for line in nodes if line.startswith("nameserver")) == "nameserver 10.133.0.1"
    assert [line for line in itself if line.startswith("nameserver")] == ["nameserver 192.0.2.53"]


def test_a_container_that_starts_again_has_it_still(space: Space) -> None:
    ipam = {"ranges": [{"cidr": "10.134.0.0/24", "gateway": "10.134.0.1"}], "scope": "node"}
    net = space.network("dns", bridge={"gateway": True}, ipam=ipam, dns=DNS)
    pod = objects.pod("again", {"podNetworkName": net, "isDefaultGW4": True})
    pod["spec"]["containers"][0]["command"] = ["sleep", "10"]
    space.make(pod)
    space.wait_ready("again")
    before = _lines(space, "again")
    eventually(lambda: "" if _restarts(space, "again") else "not started again", 60)
    space.wait_ready("again")
    assert _lines(space, "again") == before
    assert "nameserver 10.133.0.1" in before


def _restarts(space: Space, pod: str) -> int:
    return int(space.world.get("pod", pod)["status"]["containerStatuses"][0]["restartCount"])


def _lines(space: Space, pod: str) -> list[str]:
    return space.world.inside(pod, "cat", FILE).splitlines()
