"""What networks add to the start of a Pod, through a real kubelet and containerd.

`python tests/benchmark/cluster.py [--rounds 15]`, on the cluster that $PODNET_CLUSTER names and that runs podnet.
Pods with no, one and three networks start one after another on the same node, in changing order; measured is the time
from the API server's answer to the create until the Pod is Running (asked every 10 ms), and from its deletion
until it is gone.

$PODNET_MULTUS is the directory of an external build of Multus (see `multus`): then the same Pods with the same
networks, bridges with addresses of host-local, start on another node through it, in the same run, in between.
Prints a table and writes build/bench-cluster.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from podnet_api import core
from podnet_api.errors import NotFoundError
from podnet_api.kube import Client, Credentials
from podnet_hack.demo.world import World
from podnet_tests import objects
from podnet_tests.space import Space

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from benchmark import multus  # noqa: E402

OUTPUT = HERE.parents[1] / "build" / "bench-cluster.json"
MULTUS = "PODNET_MULTUS"
COUNTS = (0, 1, 3)
_SECONDS = 60.0
_STEP = 0.01


@dataclasses.dataclass(frozen=True)
class Variant:
    """Pods of one sort: who attaches them, where they run, and what they say."""

    who: str
    node: str
    count: int
    annotations: tuple[tuple[str, str], ...]

    def pod(self, name: str, namespace: str) -> dict[str, Any]:
        """One of them."""
        made = objects.pod(name, nodeName=self.node, terminationGracePeriodSeconds=0)
        made["metadata"] |= {"namespace": namespace, "annotations": dict(self.annotations)}
        return made


def ours(space: Space, node: str) -> list[Variant]:
    """Through podnet."""
    networks = [
        space.network(f"bench{number}", bridge={}, ipam=objects.pool(f"10.{140 + number}.0.0/20"), on=[node])
        for number in range(max(COUNTS))
    ]
    for network in networks:
        space.wait_on_nodes(network, [node])
    listed = [objects.pod("p", *networks[:count])["metadata"]["annotations"] for count in COUNTS]
    return [Variant("podnet", node, count, tuple(said.items())) for count, said in zip(COUNTS, listed, strict=True)]


def theirs(space: Space, node: str) -> list[Variant]:
    """Through Multus."""
    names = [f"bench{number}" for number in range(max(COUNTS))]
    for number, name in enumerate(names):
        ipam = {"type": "host-local", "subnet": f"10.{150 + number}.0.0/20"}
        config = {"cniVersion": "1.0.0", "name": name, "type": "bridge", "bridge": f"bench{number}", "ipam": ipam}
        made = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": name}}
        space.make({**made, "spec": {"config": json.dumps(config)}})
    listed: list[dict[str, str]] = [
        {"k8s.v1.cni.cncf.io/networks": ",".join(names[:count])} if count else {} for count in COUNTS
    ]
    return [Variant("Multus", node, count, tuple(said.items())) for count, said in zip(COUNTS, listed, strict=True)]


async def timed(client: Client, space: Space, variant: Variant, name: str, *, verified: bool) -> tuple[float, float]:
    """Seconds until a Pod runs, and until it is gone."""
    spec = variant.pod(name, space.namespace)
    path = f"/api/v1/namespaces/{space.namespace}/pods"
    await client.request("POST", path, body=json.dumps(spec).encode())
    began = time.perf_counter()
    while await _phase(client, name, space.namespace) != "Running":
        await _pause(began, name)
    started = time.perf_counter() - began
    if verified:
        await check(client, space, variant, name)
    began = time.perf_counter()
    await client.delete(core.Pod, name, space.namespace)
    while await _phase(client, name, space.namespace):
        await _pause(began, name)
    return started, time.perf_counter() - began


async def _phase(client: Client, name: str, namespace: str) -> str:
    """A Pod's; empty when there is none."""
    try:
        return (await client.get(core.Pod, name, namespace)).status.phase
    except NotFoundError:
        return ""


async def _pause(began: float, name: str) -> None:
    if time.perf_counter() - began > _SECONDS:
        raise TimeoutError(f"Pod {name} is not as it should be after {_SECONDS:.0f} s")
    await asyncio.sleep(_STEP)


async def check(client: Client, space: Space, variant: Variant, name: str) -> None:
    """A Pod of the variant has its networks: what is measured must be what is said. Multus tells it a little later."""
    began = time.perf_counter()
    while True:
        pod = await client.get(core.Pod, name, space.namespace)
        told = json.loads(pod.metadata.annotations.get("k8s.v1.cni.cncf.io/network-status", "[]"))
        if len([one for one in told if one.get("interface") != "eth0"]) >= variant.count:
            return
        await _pause(began, name)


def rows(taken: Mapping[Variant, Sequence[tuple[float, float]]]) -> list[dict[str, object]]:
    """Medians, and what they are more than without networks through the same."""
    found: list[dict[str, object]] = []
    for what, at in (("start", 0), ("stop", 1)):
        medians = {variant: statistics.median(pair[at] for pair in pairs) for variant, pairs in taken.items()}
        without = {variant.who: median for variant, median in medians.items() if not variant.count}
        for variant, median in medians.items():
            values = {"name": f"{variant.who}: {what}, {variant.count} networks", "value": round(median * 1e3, 1)}
            found.append({**values, "unit": "ms", "more": round((median - without[variant.who]) * 1e3, 1)})
    return found


async def measure(space: Space, variants: Sequence[Variant], rounds: int) -> list[dict[str, object]]:
    """All rounds, each in another order; the first, in which images come, does not count."""
    taken: dict[Variant, list[tuple[float, float]]] = {variant: [] for variant in variants}
    kubeconfig = space.world.env["KUBECONFIG"]
    async with Client(Credentials.load(kubeconfig), "benchmark") as client:
        for number in range(rounds + 1):
            for variant in random.sample(variants, len(variants)):
                name = f"p{number}-{variant.count}-{variant.who.lower()}"
                pair = await timed(client, space, variant, name, verified=not number)
                if number:
                    taken[variant].append(pair)
    return rows(taken)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    given = os.environ.get(MULTUS, "")
    space = Space(World(os.environ["PODNET_CLUSTER"], f"bench-{os.getpid()}"))
    here, there = space.world.workers()[:2]
    with contextlib.ExitStack() as stack:
        if given:
            stack.enter_context(multus.installed(space.world, there, multus.found(given)))
        space.open()
        stack.callback(space.close)
        variants = ours(space, here) + (theirs(space, there) if given else [])
        records = asyncio.run(measure(space, variants, rounds))
    if not given:
        records.append({"name": "Multus: start, 3 networks", "value": "not given"})
    for one in records:
        print(*one.values(), sep="  ")
    OUTPUT.write_text(json.dumps({"rounds": rounds, "records": records}, indent=2) + "\n")


if __name__ == "__main__":
    main()
