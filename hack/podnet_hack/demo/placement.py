"""b) Pods land where their network is, reach each other over it, and nobody else."""

from collections.abc import Callable

from podnet_hack.demo import stage, world
from podnet_hack.demo.stage import Stage

COLUMNS = "NAME:.metadata.name,NETWORKS:.spec.networks[*].podNetworkName,ADDRESSES:.status.podIPs[*].ip"


def show(on: Stage) -> None:
    """Deployments for blue and green, and pings over the right and the wrong network."""
    on.tell.heading("b) Pods start where their networks are")
    on.tell.say("Two Deployments. Their Pods name a network and no node.")
    on.kubectl("apply -f examples/web.yaml -f examples/cache.yaml")
    first, second, third = on.world.workers()[:3]
    on.tell.holds("both Pods of web are ready and attached to blue", on.all_ready("web", 2))
    on.tell.holds("both Pods of cache are ready and attached to green", on.all_ready("cache", 2))
    on.kubectl("get pods -o wide")
    on.tell.holds(f"web runs on {first} and {second}", _placed(on, "web", [first, second]))
    on.tell.holds(f"cache runs on {third} twice", _placed(on, "cache", [third, third]))
    _over_blue(on, first, second)
    _over_green(on)


def _over_blue(on: Stage, first: str, second: str) -> None:
    on.tell.say("A look into a Pod of web: net1 is blue, beside the eth0 that the cluster's own CNI made.")
    here, there = on.name_on("web", first), on.name_on("web", second)
    on.kubectl(f"exec {here} -- ip -brief address")
    on.kubectl(f"exec {here} -- cat /etc/podnet/networks.json")
    on.kubectl(f"get pods -l app=web -o custom-columns={COLUMNS}")
    on.tell.holds("spec.networks and status.podIPs of both Pods show all of it", lambda: _shown(on), seconds=5)
    for address in world.addresses(on.world.get("pod", there), "blue"):
        line = f"exec {here} -- ping -n -q -c 3 -i 0.2 -w 5 -I net1 {address}"
        output = on.kubectl(line)
        family = "IPv6" if ":" in address else "IPv4"
        on.tell.holds(f"the two Pods reach each other across nodes over blue, by {family}", _all_back(output))


def _shown(on: Stage) -> str:
    """Looks through the proxy, at the fields that a stock API server does not have."""
    for pod in on.shown.all_of("pods", "--selector=app=web"):
        listed = [one["podNetworkName"] for one in pod["spec"].get("networks", ())]
        addressed = {one.get("podNetwork") for one in pod["status"]["podIPs"]}
        if "blue" not in listed or not {"default", "blue"} <= addressed:
            return f"Pod {stage.name_of(pod)} shows networks {listed} and addresses on {addressed}"
    return ""


def _over_green(on: Stage) -> None:
    one, other = (stage.name_of(pod) for pod in on.pods("cache"))
    address = world.addresses(on.world.get("pod", other), "green")[0]
    output = on.kubectl(f"exec {one} -- ping -n -q -c 3 -i 0.2 -w 5 -I net1 {address}")
    on.tell.holds("the two Pods of cache reach each other over green", _all_back(output))
    on.tell.say(
        "And over the wrong network? A Pod of web asks on blue, by way of net1, for an address that is on green."
    )
    web = stage.name_of(on.pods("web")[0])
    on.tell.holds(
        f"{web} does not reach {address}, which is on green, over blue",
        lambda: _none_back(on.world.ping(web, address, "-Inet1", count=3, seconds=2)),
        seconds=0,
    )


def _placed(on: Stage, app: str, nodes: list[str]) -> Callable[[], str]:
    def probe() -> str:
        found = stage.where(on.pods(app))
        return "" if found == sorted(nodes) else f"it runs on {', '.join(found)}"

    return probe


def _all_back(output: str) -> Callable[[], str]:
    went = world.read_ping(output)
    return lambda: "" if went.sent and not went.lost else f"{went.received} of {went.sent} packets came back"


def _none_back(went: world.Ping) -> str:
    return "" if went.received == 0 else f"{went.received} of {went.sent} packets came back"
