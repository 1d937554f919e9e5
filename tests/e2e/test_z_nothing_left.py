"""The last of all tests: when all Pods and networks of the run are gone, so is everything that they had."""

import json

from podnet_hack.demo.world import World
from podnet_tests.waiting import eventually


def test_nothing_is_left(cluster: str) -> None:
    seen = World(cluster)
    eventually(lambda: _left(seen), 60)


def _left(seen: World) -> str:
    ours = [pod["metadata"]["name"] for pod in seen.all_of("namespaces") if pod["metadata"]["name"].startswith("e2e-")]
    if ours:
        return f"namespaces {ours} are still there"
    networks = [one["metadata"]["name"] for one in seen.all_of("podnetworks") if "-e2e-" in one["metadata"]["name"]]
    networks += [
        one["metadata"]["name"] for one in seen.all_of("podnetworks") if one["metadata"]["name"].startswith("e2e-")
    ]
    blocks = [one["metadata"]["name"] for one in seen.all_of("ipblocks") if "e2e-" in one["metadata"]["name"]]
    on_nodes = {node: found for node in seen.workers() if (found := _on_node(seen, node))}
    return "" if not (networks or blocks or on_nodes) else f"left: {networks} {blocks} {on_nodes}"


def _on_node(seen: World, node: str) -> list[str]:
    """Checkpoints, status files and links of Pods that do not run there any more."""
    pods = seen.all_of("pods", "--all-namespaces", f"--field-selector=spec.nodeName={node}")
    attached = sum("multinetwork.x-k8s.io/network-status" in pod["metadata"].get("annotations", {}) for pod in pods)
    files = seen.on_node(node, "find", "/run/kni", "-type", "f").split()
    records = [file for file in files if "/sandboxes/" in file]
    links = json.loads(seen.on_node(node, "ip", "-json", "link", "show"))
    veths = [link["ifname"] for link in links if link and link["ifname"].startswith("kn")]
    left = records if len(records) != attached else []
    return left + (veths if len(veths) > attached else [])
