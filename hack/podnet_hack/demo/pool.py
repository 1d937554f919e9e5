"""d) A pool of addresses that is too small."""

from podnet_hack.demo import world
from podnet_hack.demo.stage import Stage

ADDRESSES = [f"10.30.0.{last}" for last in range(11, 16)]


def show(on: Stage) -> None:
    """Five Pods take the five addresses; the sixth waits for one to go."""
    on.tell.heading("d) Five addresses, six Pods")
    on.tell.say("The network red, on every node, has five addresses in the whole cluster.")
    on.tell.run("kubectl apply -f examples/red.yaml")
    on.kubectl("apply -f examples/five.yaml")
    on.tell.holds("five Pods start, wherever they were placed", on.all_ready("five", len(ADDRESSES)))
    on.tell.holds("they have five different addresses", lambda: _all_used(on))
    on.tell.run("kubectl get ipblocks --field-selector spec.networkConfig=red")
    on.kubectl("apply -f examples/sixth.yaml")
    on.tell.holds("the sixth Pod is Pending, and says that no address is left", on.waits("sixth", "address"))
    on.kubectl("events --for pod/sixth")
    on.tell.say("One of the five goes.")
    on.kubectl("scale deployment five --replicas=4")
    on.tell.holds("the sixth Pod starts", on.runs("sixth"))
    on.kubectl("exec sixth -- ip -brief address show dev net1")


def _all_used(on: Stage) -> str:
    found = sorted(address for pod in on.pods("five") for address in world.addresses(pod, "red"))
    return "" if found == ADDRESSES else f"they have {', '.join(found)}"
