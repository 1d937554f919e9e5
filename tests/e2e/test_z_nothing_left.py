"""The last of all tests: when all Pods and networks of the run are gone, so is everything that they had."""

import json

from podnet_api import names
from podnet_hack.demo.world import Object, World
from podnet_tests.waiting import eventually

MARK = "e2e-"


def test_nothing_is_left(cluster: str) -> None:
    seen = World(cluster)
    eventually(lambda: _objects_left(seen), 90)
    eventually(lambda: "; ".join(filter(None, (_left_on(seen, node) for node in seen.workers()))), 30)


def _objects_left(seen: World) -> str:
    kinds = ("namespaces", "podnetworks", "networkconfigs", "ipblocks")
    found = {kind: [name for one in seen.all_of(kind) if MARK in (name := one["metadata"]["name"])] for kind in kinds}
    return ", ".join(f"{kind}: {' '.join(listed)}" for kind, listed in found.items() if listed)


def _left_on(seen: World, node: str) -> str:
    """Checkpoints of Pods that do not run there, and links without a checkpoint or a network."""
    pods = seen.all_of("pods", "--all-namespaces", f"--field-selector=spec.nodeName={node}")
    attached = {p["metadata"]["uid"] for p in pods if names.STATUS_ANNOTATION in p["metadata"].get("annotations", {})}
    records = _records(seen, node)
    stale = [f"{one['namespace']}/{one['name']}" for one in records if one["uid"] not in attached]
    ports = {interface["link"].get("hostName", "") for one in records for interface in one["interfaces"]}
    links = [link["ifname"] for link in json.loads(seen.on_node(node, "ip", "-json", "link", "show")) if link]
    lost = [link for link in links if link.startswith("pnv") and link not in ports]
    networks = seen.get("nodenetwork", node)["status"].get("networks", ())
    bridges = [link for link in links if link.startswith("pn-")]
    wrong = stale + lost + (bridges if len(bridges) > len(networks) else [])
    return f"{node}: {' '.join(wrong)}" if wrong else ""


def _records(seen: World, node: str) -> list[Object]:
    files = seen.on_node(node, "find", "/run/kni/sandboxes", "-type", "f", "-name", "*.json").split()
    return [json.loads(seen.on_node(node, "cat", file)) for file in files]
