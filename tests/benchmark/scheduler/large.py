"""The real extender before a large cluster: its memory, and its time for a call over HTTP.

`python tests/benchmark/scheduler/large.py [NODES PODS]`, 5,000 and 50,000 unless said. The API server is a stand-in
that answers lists in pages and lets watches hang: posting 50,000 Pods to a real one takes minutes and shows no more.
Every Pod has a network and is bound. Then Pods are filtered one after the other, with all nodes as candidates; none is
bound, so that all of them stay in flight. Exits with 1 when memory is over the goal.
"""

from __future__ import annotations

import asyncio
import json
import pathlib
import random
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from benchmark.scheduler import histogram
from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import Program
from podnet_api import names

NODES, PODS = 5000, 50_000
CALLS = 300
GOAL_MIB = 150
PAGE = 500
Make = Callable[[int], dict[str, Any]]


def _node(number: int) -> str:
    return f"node-{number:05}.cluster.example"


class Server:
    """Lists of everything; ``nodes`` and ``pods`` say how many."""

    def __init__(self, nodes: int, pods: int) -> None:
        self.nodes = nodes
        ref = {"group": names.KNI_GROUP, "kind": "NetworkConfig", "name": planes.NETWORK}
        ready = {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}
        network = {"spec": {"provider": names.PROVIDER, "parametersRefs": [ref]}, "status": ready}
        config = {"spec": {"bridge": {}, "ipam": {"ranges": [{"cidr": "10.0.0.0/8"}]}}}
        self._lists: dict[str, tuple[int, Make]] = {
            "podnetworks": (1, lambda _: {"metadata": {"name": planes.NETWORK, "uid": "n"}} | network),
            "networkconfigs": (1, lambda _: {"metadata": {"name": planes.NETWORK, "uid": "c"}} | config),
            "nodenetworks": (nodes, _node_network),
            "ipblocks": (nodes, _block),
            "pods": (pods, lambda number: _pod(number, nodes)),
        }

    def app(self) -> web.Application:
        """The application."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._get)
        return app

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            stream = web.StreamResponse()
            await stream.prepare(request)
            await asyncio.sleep(3600)
            return stream
        count, make = self._lists.get(request.path.rpartition("/")[2], (0, _pod_less))
        start = int(request.query.get("continue", 0))
        end = min(count, start + PAGE)
        meta = {"resourceVersion": "1", "continue": str(end) if end < count else ""}
        return web.json_response({"metadata": meta, "items": [make(number) for number in range(start, end)]})


def _pod_less(_: int) -> dict[str, Any]:
    return {}


def _node_network(number: int) -> dict[str, Any]:
    count = {"capacity": 1000, "used": 10}
    entry = {"name": planes.NETWORK, "config": planes.NETWORK, "ready": True, "reason": "Ready", "attachments": count}
    name = _node(number)
    return {"metadata": {"name": name, "uid": f"u-{name}"}, "status": {"networks": [entry]}}


def _block(number: int) -> dict[str, Any]:
    cidr = f"10.{number // 4096}.{number // 16 % 256}.{number % 16 * 16}/28"
    spec = {"networkConfig": planes.NETWORK, "cidr": cidr, "nodeName": _node(number)}
    return {"metadata": {"name": f"b{number}", "uid": f"b{number}"}, "spec": spec}


def _pod(number: int, nodes: int) -> dict[str, Any]:
    """As much as a Pod of a Deployment says."""
    labels = {"app": f"app-{number % 500}", "pod-template-hash": f"{number % 500:010x}", "team": "blue"}
    annotations = {names.NETWORKS_ANNOTATION: planes.listed(planes.NETWORK), "checksum/config": "f" * 64}
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"app-{number % 500}",
        "uid": "r",
        "controller": True,
    }
    meta = {"name": f"app-{number % 500}-{number:05}", "namespace": "team", "uid": f"{number:08x}-0000-4000-8000-0"}
    meta |= {"labels": labels, "annotations": annotations, "ownerReferences": [owner], "resourceVersion": "1"}  # type: ignore[dict-item]
    spec = planes.managed(planes.NETWORK) | {"nodeName": _node(number % nodes)}
    conditions = [{"type": name, "status": "True"} for name in ("PodScheduled", "Initialized", "Ready")]
    return {"metadata": meta, "spec": spec, "status": {"phase": "Running", "conditions": conditions}}


async def measure(nodes: int, pods: int) -> float:
    """Prints what was found; the memory in MiB."""
    with tempfile.TemporaryDirectory(prefix="podnet-large-") as name:
        directory, port, served = pathlib.Path(name), planes.free_port(), planes.free_port()
        _kubeconfig(directory / "kubeconfig", served)
        runner = web.AppRunner(Server(nodes, pods).app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", served).start()
        words = ["-m", "podnet_scheduler_extender.main", "--kubeconfig", directory / "kubeconfig"]
        listen = ["--log-level", "warning", "--listen", f"127.0.0.1:{port}"]
        program = Program(directory / "extender.log", sys.executable, *words, *listen)
        started = time.monotonic()
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                await program.until(lambda: _serves(session))
                print(f"{nodes} nodes and {pods} Pods listed in {time.monotonic() - started:.1f} s, ", end="")
                print(f"{program.peak_mib:.0f} MiB", flush=True)
                await _calls(session, nodes, program)
            return program.peak_mib
        finally:
            program.kill()
            await runner.cleanup()


async def _calls(session: aiohttp.ClientSession, nodes: int, program: Program) -> None:
    asked = [_node(number) for number in range(nodes)]
    taken: dict[str, list[float]] = {"filter": [], "prioritize": []}
    used = program.cpu_seconds
    for number in range(CALLS):
        annotations = {names.NETWORKS_ANNOTATION: planes.listed(planes.NETWORK)}
        meta = {"name": f"new-{number}", "namespace": "team", "uid": f"new-{number}", "annotations": annotations}
        told = {"Pod": {"metadata": meta}, "Nodes": None, "NodeNames": random.sample(asked, nodes)}
        body = json.dumps(told, separators=(",", ":")).encode()  # as Go writes it
        for verb, times in taken.items():
            started = time.perf_counter()
            async with session.post(f"/{verb}", data=body) as answer:
                assert answer.status == 200
                await answer.read()
            times.append((time.perf_counter() - started) * 1000)
    for verb, times in taken.items():
        ordered = sorted(times)
        print(f"{verb}: {ordered[CALLS // 2]:.2f} ms, p99 {ordered[int(CALLS * 0.99)]:.2f} ms there and back")
    async with session.get("/metrics") as page:
        own = histogram.of(await page.text(), "filter")
    print(
        f"filter by its own histogram: {histogram.quantile(own, 0.5):.2f} ms, p99 {histogram.quantile(own, 0.99):.2f}"
    )
    print(f"processor: {(program.cpu_seconds - used) / CALLS * 1000:.2f} ms for a Pod; {program.peak_mib:.0f} MiB")


async def _serves(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get("/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def _kubeconfig(file: pathlib.Path, port: int) -> None:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file.write_text(yaml.safe_dump(config))


def main() -> int:
    """The program."""
    nodes, pods = (int(word) for word in sys.argv[1:]) if len(sys.argv) > 1 else (NODES, PODS)
    return 0 if asyncio.run(measure(nodes, pods)) <= GOAL_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
