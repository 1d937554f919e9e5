"""What every chapter works with: the narrator, the cluster, and statements that several chapters make."""

import dataclasses
from collections.abc import Callable, Collection, Sequence

from podnet_api import names

from podnet_hack import errors
from podnet_hack.demo import world
from podnet_hack.demo.narrate import Narrator
from podnet_hack.demo.world import Object, World

NAMESPACE = "demo"
NETWORKS = ("blue", "green", "red", "orange")
RACK = "rack"


@dataclasses.dataclass(frozen=True)
class Stage:
    """The demo's surroundings."""

    tell: Narrator
    world: World
    shown: World
    """The same through podnet-proxy, as the commands in sight see it."""

    def kubectl(self, line: str) -> str:
        """Runs kubectl in the demo's namespace, in sight."""
        return self.tell.run(f"kubectl -n {NAMESPACE} {line}")

    def pods(self, app: str) -> Sequence[Object]:
        """The Pods of a Deployment, without those on their way out."""
        found = self.world.all_of("pods", f"--selector=app={app}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def name_on(self, app: str, node: str) -> str:
        """The name of the Deployment's Pod on a node."""
        return next(name_of(pod) for pod in self.pods(app) if pod["spec"].get("nodeName") == node)

    def all_ready(self, app: str, count: int) -> Callable[[], str]:
        """Whether a Deployment has so many Pods, all ready and attached."""

        def probe() -> str:
            ready = [pod for pod in self.pods(app) if world.is_ready(pod) and attached(pod)]
            return "" if len(ready) == count else f"{len(ready)} of {count} Pods are ready"

        return probe

    def runs(self, pod: str) -> Callable[[], str]:
        """Whether a Pod is ready and attached."""

        def probe() -> str:
            found = self.world.find("pod", pod)
            good = found is not None and world.is_ready(found) and attached(found)
            return "" if good else f"Pod {pod} is {self.words(pod)}"

        return probe

    def waits(self, pod: str, *words: str) -> Callable[[], str]:
        """Whether a Pod is not placed, and says why with each of the words."""

        def probe() -> str:
            found = self.world.find("pod", pod)
            if found is None or found["spec"].get("nodeName"):
                return f"Pod {pod} is {self.words(pod)}"
            text = self.reasons(pod)
            missing = [word for word in words if word not in text]
            return f"Pod {pod} does not say {', '.join(missing)} but: {text or 'nothing'}" if missing else ""

        return probe

    def reasons(self, pod: str) -> str:
        """All that a Pod says about itself: conditions that are not true, and Events."""
        conditions = self.world.get("pod", pod).get("status", {}).get("conditions", ())
        said = [f"{c['type']}: {c.get('reason')}: {c.get('message')}" for c in conditions if c["status"] != "True"]
        events = self.world.all_of("events", f"--field-selector=involvedObject.name={pod}")
        return "; ".join(said + [f"{event['reason']}: {event['message']}" for event in events])

    def words(self, pod: str) -> str:
        """A Pod's state in a few words."""
        found = self.world.find("pod", pod)
        if found is None:
            return "absent"
        place = found["spec"].get("nodeName", "no node")
        return f"{found['status'].get('phase')} on {place}: {self.reasons(pod)}"


def name_of(item: Object) -> str:
    """The name of an object."""
    return str(item["metadata"]["name"])


def attached(pod: Object) -> bool:
    """Whether podnet reports the Pod's networks as attached."""
    return bool(world.condition(pod, names.NETWORKS_READY)["status"] == "True")


def where(pods: Collection[Object]) -> list[str]:
    """The nodes of Pods, sorted."""
    return sorted(pod["spec"].get("nodeName", "none") for pod in pods)


def ready_nodes(stage: Stage, network: str) -> list[str]:
    """The nodes that have a network ready, by their label."""
    label = f"{names.node_label(network)}={names.NODE_LABEL_VALUE}"
    return sorted(name_of(node) for node in stage.world.all_of("nodes", f"--selector={label}"))


def need(condition: bool, message: str) -> None:
    """Raises when the cluster is not what the demo needs."""
    if not condition:
        raise errors.NotReadyError(message)
