"""f) The KNI server of a node is killed while Pods start there and others talk."""

import concurrent.futures
import re
import subprocess

from podnet_hack.demo import world
from podnet_hack.demo.stage import Stage, attached, name_of
from podnet_hack.demo.world import Object

BURST = 6
PACKETS = 400
INTERVAL = 0.05


def show(on: Stage) -> None:
    """kill -9 with starts in flight: nobody runs without its networks, nobody who runs loses a packet."""
    node, other = on.world.workers()[:2]
    on.tell.heading(f"f) kill -9 of the KNI server on {node}, while Pods start")
    here, there = on.name_on("web", node), on.name_on("web", other)
    address = world.addresses(on.world.get("pod", here), "blue")[0]
    on.tell.say(
        f"{there} pings {here} over blue, twenty times a second, all the time. Then Pods are started on {node}, each"
        " of which writes down what it has when its first line runs; and the KNI server there is killed."
    )
    ping = on.world.start("exec", there, "--", "ping", "-n", "-q", f"-c{PACKETS}", f"-i{INTERVAL}", address)
    try:
        killed = _kill_in_flight(on, node)
        on.tell.holds("the KNI server is back, and ready", lambda: _is_back(on, node, killed))
        on.tell.holds(f"all {BURST} Pods start, attached", on.all_ready("burst", BURST))
        on.kubectl("logs -l app=burst --prefix")
        on.tell.holds("each had its network when its first line ran", lambda: _had_networks(on), seconds=5)
        on.tell.holds("every running Pod has the interfaces that it asked for", lambda: _complete(on), seconds=0)
        on.tell.holds("the Pods that ran before lost no packet", lambda: _lossless(ping), seconds=0)
    finally:
        ping.kill()
    on.kubectl("delete -f examples/burst.yaml --wait=false")


def _kill_in_flight(on: Stage, node: str) -> Object:
    """Kills the server's process when the first of the new Pods has reached the node; returns the server's Pod."""
    server = on.world.kni_server(node)
    assert server is not None
    process = _process(on, node, server)
    on.tell.run(f"kubectl label --overwrite node {node} demo/burst=here")
    on.kubectl("apply -f examples/burst.yaml")
    on.tell.holds("Pods are on their way", lambda: _in_flight(on))
    on.tell.run(f"{on.world.engine.program.rsplit('/', 1)[-1]} exec {node} kill -9 {process}")
    waiting = [pod for pod in on.pods("burst") if not world.runs_container(pod)]
    on.tell.holds(f"{len(waiting)} of {BURST} starts were in flight", lambda: "" if waiting else "none", seconds=0)
    return server


def _process(on: Stage, node: str, server: Object) -> int:
    """The process id, on the node, of a Pod's only container."""
    container = server["status"]["containerStatuses"][0]["containerID"].split("//")[1]
    tasks = on.world.on_node(node, "ctr", "--namespace=k8s.io", "tasks", "list")
    found = re.search(rf"^{container}\s+(\d+)", tasks, re.MULTILINE)
    assert found is not None, tasks
    return int(found[1])


def _in_flight(on: Stage) -> str:
    placed = [pod for pod in on.pods("burst") if pod["spec"].get("nodeName")]
    return "" if placed else "none is placed yet"


def _is_back(on: Stage, node: str, before: Object) -> str:
    now = on.world.kni_server(node)
    if now is None or not world.is_ready(now):
        return "it is not ready"
    again = now["status"]["containerStatuses"][0]["restartCount"]
    return "" if again > before["status"]["containerStatuses"][0]["restartCount"] else "it was not restarted"


def _had_networks(on: Stage) -> str:
    for pod in on.pods("burst"):
        line = on.world.kubectl("logs", name_of(pod)).strip()
        if "net1" not in line or "10.10." not in line:
            return f"Pod {name_of(pod)} wrote: {line}"
    return ""


def _complete(on: Stage) -> str:
    """Asks the kernel, not the API: each running Pod that names networks is looked into."""
    running = [pod for pod in on.world.all_of("pods") if world.runs_container(pod)]
    stay = [pod for pod in running if "deletionTimestamp" not in pod["metadata"]]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return "; ".join(filter(None, pool.map(lambda pod: _lacks(on, pod), stay)))


def _lacks(on: Stage, pod: Object) -> str:
    has = on.world.interfaces(name_of(pod))
    lacks = [name for name in world.wanted_interfaces(pod) if name not in has]
    if not lacks and (attached(pod) or not world.wanted_interfaces(pod)):
        return ""
    return f"Pod {name_of(pod)} runs without {', '.join(lacks) or 'a status'}; it has {has}"


def _lossless(ping: "subprocess.Popen[str]") -> str:
    output, _ = ping.communicate(timeout=PACKETS * INTERVAL + 30)
    went = world.read_ping(output)
    if went.sent == PACKETS and not went.lost:
        return ""
    return f"{went.lost} of {went.sent} packets were lost, {PACKETS} should have been sent: {output}"
