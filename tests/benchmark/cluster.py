"""What networks add to the start of a Pod, through a real kubelet and containerd.

`python tests/benchmark/cluster.py [--rounds 15]`, on the cluster that $PODNET_CLUSTER names and that runs podnet.
Pods with no, one and three networks start one after another on the same node, in changing order; measured is the time
from the API server's answer to the create until the Pod is Running (asked every 10 ms), and from its deletion
until it is gone.
Prints a table and writes build/bench-cluster.json. $PODNET_MULTUS is the directory of an external build of Multus.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pathlib
import random
import statistics
import time

from podnet_api import core
from podnet_api.errors import NotFoundError
from podnet_api.kube import Client, Credentials
from podnet_hack.demo.world import World
from podnet_tests import objects
from podnet_tests.space import Space

HERE = pathlib.Path(__file__).parent
OUTPUT = HERE.parents[1] / "build" / "bench-cluster.json"
MULTUS = "PODNET_MULTUS"
COUNTS = (0, 1, 3)
_SECONDS = 60.0
_STEP = 0.01


async def timed(client: Client, space: Space, node: str, name: str, networks: list[str]) -> tuple[float, float]:
    """Seconds until a Pod runs, and until it is gone."""
    spec = objects.pod(name, *networks, nodeName=node, terminationGracePeriodSeconds=0)
    spec["metadata"]["namespace"] = space.namespace
    path = f"/api/v1/namespaces/{space.namespace}/pods"
    await client.request("POST", path, body=json.dumps(spec).encode())
    began = time.perf_counter()
    while await _phase(client, name, space.namespace) != "Running":
        await _pause(began, name)
    started = time.perf_counter() - began
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


def rows(taken: dict[int, list[tuple[float, float]]]) -> list[dict[str, object]]:
    """Medians, and what they are more than without networks."""
    found: list[dict[str, object]] = []
    for what, at in (("start", 0), ("stop", 1)):
        medians = {count: statistics.median(pair[at] for pair in pairs) for count, pairs in taken.items()}
        for count, median in medians.items():
            values = {"name": f"{what}, {count} networks", "value": round(median * 1e3, 1), "unit": "ms"}
            found.append({**values, "more": round((median - medians[0]) * 1e3, 1)})
    return found


def multus() -> dict[str, object]:
    """The row of the external build."""
    if os.environ.get(MULTUS):
        raise SystemExit(f"cannot measure Multus: ${MULTUS} is given, but nothing here sets it up on the nodes yet")
    return {"name": "Multus, start, 3 networks", "value": "not given"}


async def measure(space: Space, rounds: int) -> list[dict[str, object]]:
    """All rounds, each in another order; the first, in which images come, does not count."""
    networks = [space.network(f"bench{number}", bridge={}, ipam=objects.pool(f"10.{140 + number}.0.0/20"))
                for number in range(max(COUNTS))]  # fmt: skip
    node = space.world.workers()[0]
    for network in networks:
        space.wait_on_nodes(network, space.world.workers())
    taken: dict[int, list[tuple[float, float]]] = {count: [] for count in COUNTS}
    kubeconfig = space.world.env["KUBECONFIG"]
    async with Client(Credentials.load(kubeconfig), "benchmark") as client:
        for number in range(rounds + 1):
            for count in random.sample(COUNTS, len(COUNTS)):
                pair = await timed(client, space, node, f"p{number}-{count}", networks[:count])
                if number:
                    taken[count].append(pair)
    return rows(taken)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    external = multus()
    space = Space(World(os.environ["PODNET_CLUSTER"], f"bench-{os.getpid()}"))
    space.open()
    try:
        records = [*asyncio.run(measure(space, rounds)), external]
    finally:
        space.close()
    for one in records:
        print(*one.values(), sep="  ")
    OUTPUT.write_text(json.dumps({"rounds": rounds, "records": records}, indent=2) + "\n")


if __name__ == "__main__":
    main()
