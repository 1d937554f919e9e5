"""From Multus to podnet and back on a real cluster, namespace by namespace, while Pods of both talk on one wire.

Multus is a stand-in on one node that attaches by the annotation, with the CNI plugins themselves. What is deployed
beside it are the webhook's configuration and the policy of the component ``beside-multus``; both go at the end.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from podnet_api import names
from podnet_hack import deploy, errors, image, paths
from podnet_hack.demo import world
from podnet_tests import multus, objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

OVERLAY = paths.CHECKOUT / "hack/manifests/overlays/beside-multus"
POLICY = "one-server.compat.multinetwork.x-k8s.io"
MIGRATION = "podnet-compat-migration"
GONE = (
    ("validatingadmissionpolicybinding", POLICY),
    ("validatingadmissionpolicy", POLICY),
    ("clusterrolebinding", MIGRATION),
    ("clusterrole", MIGRATION),
)
OURS = {"compat.multinetwork.x-k8s.io", "podnet-compat", POLICY, MIGRATION}
KINDS = {
    "MutatingWebhookConfiguration",
    "Deployment",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
NETWORKS, STATUS = names.LEGACY_NETWORKS_ANNOTATION, names.NPWG_STATUS_ANNOTATION


class Town:
    """Two namespaces, one node and one network."""

    def __init__(self, space: Space) -> None:
        self.first = space
        self.second = Space(space.world.in_namespace(f"{space.namespace}-b"))
        self.world = space.world
        self.node = space.world.workers()[0]
        self.conf = f"migration-{space.namespace}"

    def open(self) -> None:
        self.second.open()
        ipam = {"type": "host-local", "subnet": "10.139.0.0/24"}
        config = {"cniVersion": "1.0.0", "name": self.conf, "type": "bridge", "bridge": "e2emig0", "ipam": ipam}
        body = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": "lab"}}
        self.world.apply({**body, "spec": {"config": json.dumps(config)}})

    def close(self) -> None:
        """Pods first: who attached them has to be there when they go. Then the NAD: when podnet-compat starts anew, as
        it does next, it takes away what it had made of it."""
        for one in (self.first, self.second):
            one.world.kubectl("delete", "statefulset,pod", "--all", "--grace-period=1")
        eventually(lambda: " ".join(self.leases()), 30)
        self.world.kubectl("delete", "network-attachment-definitions", "--all")
        self.second.close()
        self.world.on_node(self.node, "ip", "link", "delete", "e2emig0")

    def leases(self) -> list[str]:
        """The addresses that the store of host-local has given."""
        listing = f"ls /var/lib/cni/networks/{self.conf} 2>/dev/null || true"
        return [one for one in self.world.on_node(self.node, "sh", "-c", listing).split() if one[0].isdigit()]

    def pod(self, name: str, asked: str = "lab") -> objects.Object:
        made = objects.pod(name, **objects.on_node(self.node))
        made["metadata"]["annotations"] = {NETWORKS: asked}
        return made

    def member(self, name: str) -> objects.Object:
        """A StatefulSet of one Pod."""
        template = self.pod(name)
        del template["apiVersion"], template["kind"]
        template["metadata"] = {"annotations": {NETWORKS: "lab"}, "labels": {"app": name}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
        return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}

    def migrate(self, *words: str, status: int = 0) -> str:
        """Runs the program; what it said."""
        argv = [sys.executable, "-m", "podnet_compat.main", "migrate", *words]
        done = subprocess.run(argv, env=self.world.env, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def made_anew(self, pod: str) -> None:
        """A Pod of a StatefulSet is deleted and comes back."""
        before = self.world.get("pod", pod)["metadata"]["uid"]
        self.world.kubectl("delete", "pod", pod, "--grace-period=1")

        def probe() -> str:
            found = self.world.find("pod", pod)
            new = found is not None and found["metadata"]["uid"] != before and world.is_ready(found)
            return "" if new else f"{pod} is not there anew: {self.first.said(pod) if found else 'gone'}"

        eventually(probe, 60)


@pytest.fixture(scope="module")
def town(shared: Space) -> Iterator[Town]:
    made = Town(shared)
    try:
        multus.install(made.world, made.node)
        _apply(shared, OVERLAY)
        made.open()
        yield made
        made.close()
    finally:
        multus.remove(made.world, made.node)
        _apply(shared, deploy.MANIFESTS)
        for kind, name in GONE:
            made.world.kubectl("delete", kind, name, "--ignore-not-found")
        eventually(lambda: _still_held(made.world), 30)


def _still_held(where: world.World) -> str:
    """Whether Pods are still held to the policy: the API server forgets one a moment after it is gone."""
    pod = objects.pod("both")
    pod["metadata"]["annotations"] = {NETWORKS: "[]", names.NETWORKS_ANNOTATION: "[]"}
    try:
        where.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
    except errors.CommandError as error:
        return error.output if POLICY in error.output else ""
    return ""


def _apply(space: Space, overlay: Path) -> None:
    """The objects of ``overlay`` that belong to running beside Multus."""
    found = deploy.rendered(space.world.name, overlay)
    chosen = [one for one in found if one["metadata"]["name"] in OURS and one["kind"] in KINDS]
    flags = ("--server-side", "--force-conflicts", "--field-manager=podnet-deploy", "--filename=-")
    system = space.world.in_namespace(world.SYSTEM)
    system.kubectl("apply", *flags, stdin=yaml.safe_dump_all(chosen))
    system.kubectl("rollout", "status", "deployment/podnet-compat", "--timeout=60s", timeout=70)


class Pings:
    """A container of a Pod that pings an address as long as it runs."""

    def __init__(self, space: Space, pod: str, container: str) -> None:
        self._space, self._words = space, ("logs", pod, f"--container={container}")

    def _logs(self) -> list[str]:
        return self._space.world.kubectl(*self._words).splitlines()

    def answered(self, since: float) -> str:
        """ "" when something was answered after a moment of the clock that all share."""
        lines = self._logs()
        times = [float(line[1:].split("]")[0]) for line in lines if line.startswith("[") and "bytes from" in line]
        return "" if times and times[-1] > since else f"nothing is answered; the last lines are {lines[-3:]}"

    def lost(self) -> tuple[int, int]:
        """How many were sent before the last answer, and how many of these were not answered."""
        found = [int(number) for line in self._logs() for number in re.findall(r"bytes from .* icmp_seq=(\d+)", line)]
        return max(found), max(found) - len(set(found))


def _pinging(**addresses: str) -> list[objects.Object]:
    """Containers that ping, by name."""
    command = ("ping", "-n", "-D", "-i0.1")
    return [{"name": name, "image": image.TEST, "command": [*command, address]} for name, address in addresses.items()]


def _annotations(space: Space, pod: str) -> dict[str, str]:
    found: dict[str, str] = space.world.get("pod", pod)["metadata"].get("annotations", {})
    return found


def _address(space: Space, pod: str) -> str:
    """The one address of net1, as consumers of the network-status read it."""
    listed = json.loads(_annotations(space, pod).get(STATUS, "[]"))
    found: list[str] = [ip for one in listed if one["interface"] == "net1" for ip in one["ips"]]
    return found[0] if found else ""


def _by_podnet(space: Space, pod: str) -> bool:
    keys = _annotations(space, pod)
    return names.NETWORKS_ANNOTATION in keys and NETWORKS not in keys


def _wait(*wanted: tuple[Space, str]) -> None:
    for space, pod in wanted:
        space.wait_ready(pod)
        eventually(lambda space=space, pod=pod: "" if _address(space, pod) else "no status", 20)  # type: ignore[misc]


def _plan(town: Town, namespace: str) -> dict[str, str]:
    """Pod -> who attaches it."""
    rows = json.loads(town.migrate("plan", "--namespace", namespace, "--output", "json"))["rows"]
    return {row["name"]: row.get("attachedBy", "") for row in rows if row["kind"] == "Pod"}


def _interfaces(space: Space, pods: Sequence[str]) -> None:
    for pod in pods:
        assert sorted(set(space.world.interfaces(pod)) - {"lo"}) == ["eth0", "net1"], pod


def test_namespaces_move_one_by_one_and_back(town: Town) -> None:
    first, second = town.first, town.second
    elsewhere = f"{first.namespace}/lab"
    first.make(town.member("db"), town.pod("keeper"))
    _wait((first, "db-0"), (first, "keeper"))
    kept = _address(first, "db-0")
    peer = town.pod("peer", elsewhere)
    peer["spec"]["containers"] += _pinging(steady=_address(first, "keeper"), moving=kept)
    second.make(peer)
    _wait((second, "peer"))
    assert _plan(town, first.namespace) == {"db-0": "multus", "keeper": "multus"}
    steady, moving = Pings(second, "peer", "steady"), Pings(second, "peer", "moving")

    town.migrate("apply", "--namespace", first.namespace, "--dry-run", "server")
    assert names.GROUP not in str(town.world.get("namespace", first.namespace)["metadata"]["labels"])
    said = town.migrate("apply", "--namespace", first.namespace)
    assert "2 Pods stay with multus until they are made anew: db-0, keeper" in said
    assert "attaches its new Pods" not in town.migrate("apply", "--namespace", first.namespace)

    town.made_anew("db-0")
    _wait((first, "db-0"))
    assert _by_podnet(first, "db-0")
    assert _address(first, "db-0") == kept
    # The peer knows the address by its former MAC until its neighbour table asks again: 15 to 45 s, and 8 s of probes.
    eventually(lambda: moving.answered(time.time() - 1), 75)
    assert _plan(town, first.namespace) == {"db-0": "podnet", "keeper": "multus"}

    first.make(town.pod("new"))
    second.make(town.pod("old", elsewhere))
    _wait((first, "new"), (second, "old"))
    assert _by_podnet(first, "new")
    assert not _by_podnet(second, "old")
    everybody = [(first, "db-0"), (first, "keeper"), (first, "new"), (second, "peer"), (second, "old")]
    assert len({_address(space, pod) for space, pod in everybody}) == len(everybody)
    assert sorted(town.leases()) == sorted(_address(space, pod) for space, pod in everybody)
    assert first.world.ping("new", _address(second, "old")).lost == 0
    _interfaces(first, ["db-0", "keeper", "new"])

    town.migrate("apply", "--namespace", second.namespace)
    second.make(town.pod("newer", elsewhere))
    _wait((second, "newer"))
    assert _by_podnet(second, "newer")

    town.migrate("rollback", "--namespace", first.namespace, "--namespace", second.namespace)
    town.made_anew("db-0")
    _wait((first, "db-0"))
    assert not _by_podnet(first, "db-0")
    assert second.world.ping("peer", _address(first, "db-0")).lost == 0
    attached = sorted(multus.attached(town.world, town.node))
    names_of = [f"{first.namespace}/{pod} net1" for pod in ("db-0", "db-0", "keeper")]
    assert attached == sorted([*names_of, *(f"{second.namespace}/{pod} net1" for pod in ("peer", "old"))])
    sent, lost = steady.lost()
    assert sent > 100
    assert lost == 0


def test_no_pod_can_ask_both(town: Town) -> None:
    both = town.pod("both")
    both["metadata"]["annotations"][names.NETWORKS_ANNOTATION] = '[{"podNetworkName":"default"}]'
    assert "would be attached by both" in town.first.refused(both)
