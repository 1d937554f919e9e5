"""A network is on the nodes that its owner chooses: Pods wait for one, and go nowhere else."""

from conformance import kit

REQUIREMENTS = (18,)
STORIES = (5,)


def test_it(place: kit.Place) -> None:
    label = "conformance.example.com/carries"
    kit.eventually(lambda: place.get("pod/there")["status"].get("conditions"))
    assert "nodeName" not in place.get("pod/there")["spec"], "no node carries it"
    nodes = place.cluster.get("nodes")["items"]
    tainted = {n["metadata"]["name"] for n in nodes if n["spec"].get("taints")}
    chosen = next(n["metadata"]["name"] for n in reversed(nodes) if n["metadata"]["name"] not in tainted)
    place.cluster.kubectl("label", "node", chosen, f"{label}={place.namespace}", "--overwrite")
    try:
        [pod] = place.running("there")
        assert pod["spec"]["nodeName"] == chosen
        place.kubectl("delete", "pod", "there")
    finally:
        place.cluster.kubectl("label", "node", chosen, f"{label}-")
