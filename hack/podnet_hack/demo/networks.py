"""a) Networks on some nodes only."""

from collections.abc import Callable

from podnet_hack.demo import stage
from podnet_hack.demo.stage import RACK, Stage


def show(on: Stage) -> None:
    """Blue is an overlay on workers 1 and 2, green a bridge on worker 3."""
    on.tell.heading("a) Networks that not every node has")
    on.tell.say(
        "The administrator labels the nodes, and makes two networks: blue, a VXLAN overlay across the nodes of rack a,"
        " and green, a bridge on each node of rack b."
    )
    first, second, third = on.world.workers()[:3]
    on.tell.run(f"kubectl label --overwrite node {first} {second} {RACK}=a")
    on.tell.run(f"kubectl label --overwrite node {third} {RACK}=b")
    on.tell.run("kubectl apply -f examples/blue.yaml -f examples/green.yaml")
    on.tell.holds(f"blue is ready on {first} and {second}, and nowhere else", _only(on, "blue", [first, second]))
    on.tell.holds(f"green is ready on {third}, and nowhere else", _only(on, "green", [third]))
    on.tell.run("kubectl get podnetworks")
    on.tell.run("kubectl get nodenetworks")


def _only(on: Stage, network: str, nodes: list[str]) -> Callable[[], str]:
    def probe() -> str:
        found = stage.ready_nodes(on, network)
        return "" if found == sorted(nodes) else f"it is ready on {', '.join(found) or 'no node'}"

    return probe
