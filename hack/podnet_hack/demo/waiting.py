"""c) What cannot be attached waits, says why, and starts when it can."""

from podnet_hack.demo.stage import Stage


def show(on: Stage) -> None:
    """A Pod that no node can hold, and one whose network does not exist yet."""
    on.tell.heading("c) A Pod that cannot have its networks waits, and says why")
    on.tell.say("One Pod asks for blue and green, which no node has together; another for orange, which nobody made.")
    on.kubectl("apply -f examples/both.yaml -f examples/early.yaml")
    on.tell.holds("the Pod both is Pending, and names the networks", on.waits("both", "blue", "green"))
    on.tell.holds("the Pod early is Pending, and says what is missing", on.waits("early", "orange"))
    on.kubectl("get pods both early")
    on.kubectl("events --for pod/both")
    on.kubectl("events --for pod/early")
    on.tell.say("Somebody makes the network orange. Nobody touches the Pod.")
    on.tell.run("kubectl apply -f examples/orange.yaml")
    on.tell.holds("the Pod early starts", on.runs("early"))
    on.kubectl("get pod early -o wide")
    on.kubectl("exec early -- ip -brief address show dev net1")
    on.tell.holds("the Pod both still waits", on.waits("both"), seconds=0)
