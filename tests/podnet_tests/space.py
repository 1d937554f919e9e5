"""A namespace of a real cluster with networks of its own, and statements about the Pods in it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from podnet_api import names
from podnet_hack import errors
from podnet_hack.demo import world
from podnet_hack.demo.world import Object, World

from podnet_tests import objects
from podnet_tests.waiting import eventually

START_SECONDS = 90


class Space:
    """Where one test works. ``close`` takes everything away that was made through it."""

    def __init__(self, seen: World) -> None:
        self.world = seen
        self._made: list[tuple[str, str]] = []
        self._vni = sum(seen.namespace.encode()) * 100 % 1_000_000

    @property
    def namespace(self) -> str:
        """The namespace's name."""
        return self.world.namespace

    def open(self) -> None:
        """Makes the namespace, and waits until Pods may be made in it."""
        self.world.kubectl("create", "namespace", self.namespace)
        eventually(lambda: "" if self.world.find("serviceaccount", "default") else "no service account", 20)

    def close(self) -> None:
        """Deletes Pods first, then networks; does not wait for the end of it, which the last test looks at."""
        self.world.kubectl("delete", "namespace", self.namespace, "--wait=false")
        for kind, name in reversed(self._made):
            self.world.kubectl("delete", kind, name, "--ignore-not-found", "--wait=false")

    def name(self, short: str) -> str:
        """A name for a cluster-scoped object that no other test has."""
        return f"{short}-{self.namespace}"

    def vni(self) -> int:
        """A VXLAN identifier that no other network has."""
        self._vni += 1
        return self._vni

    def network(self, short: str, **spec: Any) -> str:
        """Makes a network; its name. ``on``: the nodes that carry it; a vxlan without a number gets one."""
        name = self.name(short)
        if spec.get("vxlan") == {}:
            spec["vxlan"] = {"vni": self.vni()}
        self.make(objects.config(name, **spec), objects.network(name))
        return name

    def make(self, *made: Object) -> None:
        """Applies objects; cluster-scoped ones are taken away at the end."""
        for one in made:
            if one["kind"] in {"PodNetwork", "NetworkConfig"}:
                self._made.append((one["kind"], one["metadata"]["name"]))
        self.world.apply(*made)

    def refused(self, *made: Object) -> str:
        """What the API server says when it refuses objects; fails when it takes them."""
        with pytest.raises(errors.CommandError) as caught:
            self.make(*made)
        return caught.value.output

    def pods(self, app: str = "") -> Sequence[Object]:
        """The Pods here, without those on their way out."""
        flags = (f"--selector=app={app}",) if app else ()
        return [pod for pod in self.world.all_of("pods", *flags) if "deletionTimestamp" not in pod["metadata"]]

    def on(self, app: str, node: str) -> str:
        """The name of a Deployment's Pod on a node."""
        return next(str(pod["metadata"]["name"]) for pod in self.pods(app) if pod["spec"].get("nodeName") == node)

    def wait_ready(self, *pods: str, seconds: float = START_SECONDS) -> None:
        """Waits until all these Pods are ready and attached."""
        eventually(lambda: "; ".join(filter(None, (self.not_ready(pod) for pod in pods))), seconds)

    def wait_deployed(self, app: str, count: int, seconds: float = START_SECONDS) -> None:
        """Waits until a Deployment has so many Pods, ready and attached."""

        def probe() -> str:
            pods = self.pods(app)
            slow = [text for pod in pods if (text := not_ready(pod))]
            return "; ".join(slow) if slow else ("" if len(pods) == count else f"{len(pods)} Pods of {app}")

        eventually(probe, seconds)

    def not_ready(self, pod: str) -> str:
        """Why a Pod is not ready and attached yet."""
        found = self.world.find("pod", pod)
        return not_ready(found) if found else f"Pod {pod} does not exist"

    def waits(self, pod: str, *words: str) -> str:
        """Why it is not so that a Pod has no node, and says each of the words."""
        found = self.world.find("pod", pod)
        if found is None or found["spec"].get("nodeName"):
            return f"Pod {pod} does not wait"
        text = self.said(pod)
        missing = [word for word in words if word not in text]
        return f"Pod {pod} does not say {', '.join(missing)} but: {text}" if missing else ""

    def said(self, pod: str) -> str:
        """All that a Pod's conditions and Events say."""
        return said(self.world.get("pod", pod)) + "; " + "; ".join(self.events(pod))

    def events(self, name: str) -> list[str]:
        """The Events of an object here."""
        found = self.world.all_of("events", f"--field-selector=involvedObject.name={name}")
        return [f"{event['reason']}: {event['message']}" for event in found]

    def addresses(self, pod: str, network: str) -> list[str]:
        """A Pod's addresses on a network, as its status has them."""
        return world.addresses(self.world.get("pod", pod), network)

    def nodes_with(self, network: str) -> list[str]:
        """The nodes whose label says that they have a network."""
        label = f"{names.node_label(network)}={names.NODE_LABEL_VALUE}"
        return sorted(node["metadata"]["name"] for node in self.world.all_of("nodes", f"--selector={label}"))

    def wait_on_nodes(self, network: str, nodes: Sequence[str], seconds: float = 30) -> float:
        """Waits until exactly these nodes have a network; how long it took."""
        wanted = sorted(nodes)

        def probe() -> str:
            found = self.nodes_with(network)
            return "" if found == wanted else f"{network} is on {found}, not on {wanted}"

        return eventually(probe, seconds)

    def entry(self, node: str, network: str) -> Object:
        """What a node reports of a network; empty as long as it does not."""
        listed = self.world.get("nodenetwork", node).get("status", {}).get("networks", ())
        return next((one for one in listed if one["name"] == network), {})

    def blocks(self, network: str) -> list[Object]:
        """The blocks of addresses that nodes hold of a network."""
        return list(self.world.all_of("ipblocks", f"--field-selector=spec.networkConfig={network}"))


def not_ready(pod: Object) -> str:
    """Why a Pod is not ready and attached yet; a Pod without networks need only be ready."""
    wants = world.wanted_interfaces(pod)
    attached = not wants or world.condition(pod, names.NETWORKS_READY)["status"] == "True"
    if world.is_ready(pod) and attached:
        return ""
    place = pod["spec"].get("nodeName", "no node")
    return f"Pod {pod['metadata']['name']} on {place}: {said(pod)}"


def said(item: Object) -> str:
    """The conditions of an object that are not true."""
    conditions = item.get("status", {}).get("conditions", ())
    return json.dumps(
        [f"{c['type']}: {c.get('reason')}: {c.get('message')}" for c in conditions if c["status"] != "True"]
    )
