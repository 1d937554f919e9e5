"""A cluster as the demo and the tests see it: objects by kubectl, Pods and nodes from within.

Everything goes through the programs that a person would use, so that whatever is seen here can be seen by hand.
"""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
from collections.abc import Sequence
from typing import Any

from podnet_api import names, networks

from podnet_hack import errors, paths, proxied
from podnet_hack.localcluster import cluster, engine

SYSTEM = "podnet-system"
EXAMPLES = paths.CHECKOUT / "examples"
KNI_SERVER = "app.kubernetes.io/name=podnet-kni-server"
Object = dict[str, Any]

_LOST = re.compile(r"(\d+) packets transmitted, (\d+) received")


@dataclasses.dataclass(frozen=True)
class Ping:
    """How a ping went."""

    sent: int
    received: int
    output: str

    @property
    def lost(self) -> int:
        """How many packets were not answered."""
        return self.sent - self.received


class World:
    """One cluster, looked at from one namespace; with ``kubeconfig``, by another way than the administrator's."""

    def __init__(self, name: str, namespace: str = "default", kubeconfig: pathlib.Path | None = None) -> None:
        where = engine.find_existing()
        if where is None:
            raise errors.NotReadyError(f"cannot reach the nodes of the cluster {name}: no container engine answers")
        self.name = name
        self.namespace = namespace
        self.engine = where
        self._kubeconfig = kubeconfig or cluster.kubeconfig(name)

    @property
    def env(self) -> dict[str, str]:
        """What a shell needs to run the same commands."""
        places = [str(cluster.kubectl_program().parent), self.engine.env.get("PATH", os.environ["PATH"])]
        ours = {"KUBECONFIG": str(self._kubeconfig), "PATH": os.pathsep.join(places)}
        return {**self.engine.env, **ours}

    def kubectl(self, *argv: str, stdin: str | None = None, timeout: float | None = 60) -> str:
        """Runs kubectl in the namespace; a CommandError carries what it said."""
        way = (f"--kubeconfig={self._kubeconfig}", f"--namespace={self.namespace}")
        return cluster.kubectl(self.name, *way, *argv, stdin=stdin, timeout=timeout)

    def get(self, kind: str, name: str) -> Object:
        """One object."""
        found: Object = json.loads(self.kubectl("get", kind, name, "--output=json"))
        return found

    def find(self, kind: str, name: str) -> Object | None:
        """One object, or None."""
        text = self.kubectl("get", kind, name, "--output=json", "--ignore-not-found")
        return json.loads(text) if text else None

    def all_of(self, kind: str, *argv: str) -> Sequence[Object]:
        """The objects of a kind; ``argv`` are kubectl's flags, e.g. a selector."""
        found: list[Object] = json.loads(self.kubectl("get", kind, "--output=json", *argv))["items"]
        return found

    def apply(self, *objects: Object) -> None:
        """Applies objects."""
        self.kubectl("apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def apply_file(self, path: pathlib.Path) -> None:
        """Applies a file."""
        self.kubectl("apply", "--filename", str(path))

    def inside(self, pod: str, *argv: str, timeout: float | None = 60) -> str:
        """Runs a program in a Pod's first container."""
        return self.kubectl("exec", pod, "--", *argv, timeout=timeout)

    def interfaces(self, pod: str) -> dict[str, list[str]]:
        """The interfaces of a Pod as its kernel has them: name -> addresses with prefix, link-local left out."""
        links = json.loads(self.inside(pod, "ip", "-json", "address", "show"))
        return {
            link["ifname"]: [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a.get("scope") == "global"]
            for link in links
            if link
        }

    def ping(self, pod: str, address: str, *flags: str, count: int = 3, seconds: int = 5) -> Ping:
        """Pings from within a Pod; packets that are lost are counted, not raised."""
        try:
            argv = ("ping", "-n", "-q", f"-c{count}", "-i0.2", f"-w{seconds}", *flags, address)
            output = self.inside(pod, *argv, timeout=seconds + 20)
        except errors.CommandError as error:
            output = error.output
        return read_ping(output)

    def on_node(self, node: str, *argv: str) -> str:
        """Runs a program on a node."""
        return self.engine.run("exec", node, *argv)

    def workers(self) -> list[str]:
        """The names of the worker nodes."""
        return [name for name in cluster.nodes(self.engine, self.name) if not name.endswith("-control-plane")]

    def in_namespace(self, namespace: str) -> "World":
        """The same cluster, looked at from another namespace."""
        return World(self.name, namespace, self._kubeconfig)

    def through_proxy(self) -> "World":
        """The same, as podnet-proxy shows it: with ``spec.networks``."""
        return World(self.name, self.namespace, proxied.kubeconfig(self.name))

    def kni_server(self, node: str) -> Object | None:
        """The Pod of the KNI server of a node."""
        flags = ("--selector", KNI_SERVER, f"--field-selector=spec.nodeName={node}")
        return next(iter(self.in_namespace(SYSTEM).all_of("pods", *flags)), None)

    def start(self, *argv: str) -> "subprocess.Popen[str]":
        """Starts kubectl and does not wait for it."""
        words = [str(cluster.kubectl_program()), f"--namespace={self.namespace}", *argv]
        env = os.environ | self.env
        pipe = subprocess.PIPE
        return subprocess.Popen(words, env=env, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def read_ping(output: str) -> Ping:
    """What ping said at its end."""
    found = _LOST.search(output)
    if found is None:
        return Ping(0, 0, output)
    return Ping(int(found[1]), int(found[2]), output)


def network_status(pod: Object) -> list[Object]:
    """What podnet reports of a Pod's networks; empty as long as it is not attached."""
    text = pod["metadata"].get("annotations", {}).get(names.STATUS_ANNOTATION)
    return json.loads(text) if text else []


def addresses(pod: Object, network: str) -> list[str]:
    """A Pod's addresses on a network, without prefix."""
    return [
        address.split("/")[0]
        for entry in network_status(pod)
        if entry["network"] == network
        for address in entry.get("addresses", ())
    ]


def condition(item: Object, kind: str) -> Object:
    """A condition of an object, or an empty one."""
    found = [one for one in item.get("status", {}).get("conditions", ()) if one["type"] == kind]
    return found[0] if found else {"type": kind, "status": "", "reason": "", "message": ""}


def is_ready(pod: Object) -> bool:
    """Whether a Pod runs, is ready and stays."""
    gone = "deletionTimestamp" in pod["metadata"]
    return not gone and condition(pod, "Ready")["status"] == "True"


def runs_container(pod: Object) -> bool:
    """Whether any container of a Pod has started."""
    states = pod.get("status", {}).get("containerStatuses", ())
    return any("running" in one.get("state", {}) for one in states)


def wanted_interfaces(pod: Object) -> list[str]:
    """The interfaces that a Pod's list of networks asks for, beside the cluster's own."""
    text = pod["metadata"].get("annotations", {}).get(names.NETWORKS_ANNOTATION)
    if not text:
        return []
    listed = networks.parse(text)
    return [name for name in networks.interface_names(listed) if name != names.DEFAULT_INTERFACE]
