"""A stand-in for Multus on one node of a real cluster (``multus_standin.sh``)."""

from __future__ import annotations

import json
from pathlib import Path

from podnet_hack.demo.world import World

SCRIPT = Path(__file__).with_name("multus_standin.sh")
PLUGIN = "/opt/cni/bin/multus-standin"
CONFIGURATION = "/etc/cni/net.d/00-00-multus-standin.conflist"
DIRECTORY = "/etc/cni/multus-standin"
STATE = "/var/lib/cni/multus-standin"


def install(world: World, node: str) -> None:
    """Chains it behind the plugins of ``node``, whose own configuration stays as it is."""
    files = world.on_node(node, "sh", "-c", "ls /etc/cni/net.d/*.conflist").split()
    own = json.loads(world.on_node(node, "cat", sorted(files)[0]))
    own["plugins"].append({"type": "multus-standin"})
    admin = world.on_node(f"{world.name}-control-plane", "cat", "/etc/kubernetes/admin.conf")
    _write(world, node, PLUGIN, SCRIPT.read_text(), "755")
    _write(world, node, f"{DIRECTORY}/kubeconfig", admin, "600")
    _write(world, node, CONFIGURATION, json.dumps(own), "644")


def remove(world: World, node: str) -> None:
    """Takes it away again; the Pods that it attached must be gone."""
    world.on_node(node, "rm", "-rf", CONFIGURATION, PLUGIN, DIRECTORY, STATE)


def attached(world: World, node: str) -> list[str]:
    """What it attached: ``namespace/pod interface``, one for each time."""
    return world.on_node(node, "sh", "-c", f"cat {STATE}/attached 2>/dev/null || true").splitlines()


def _write(world: World, node: str, path: str, text: str, mode: str) -> None:
    """A file appears as a whole: the runtime looks at once."""
    parts = f"mkdir -p {Path(path).parent} && cat > {path}.new && chmod {mode} {path}.new && mv {path}.new {path}"
    world.engine.run("exec", "--interactive", node, "sh", "-c", parts, stdin=text)
