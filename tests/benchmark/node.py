"""A thousand sandboxes with three networks each on one node, through NRI: rates, memory, start, requests to the API.
Memory and start are those of a node with 250 Pods: the others are bound to it afterwards, and gone before the restart.

`python tests/benchmark/node.py [--pods 1000]` as root (`make bench-node`). A real KNI server as a process in a
namespace that plays the node, before a real API server; a small runtime calls it over NRI, one call after another as
runtimes do, with a real namespace for each sandbox. Sandboxes are stopped one after another and removed later, as
kubelets do; removing waits until all is gone. The server's bytecode is compiled beforehand, as it is in the image.
Prints a table and writes build/bench-node.json.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from benchmark.scheduler import plane as planes
from podnet_api import names
from podnet_kni_server.nri import types
from podnet_tests import machine as machines

HERE = pathlib.Path(__file__).parent


OUTPUT = HERE.parents[1] / "build" / "bench-node.json"
NETWORKS = ("red", "green", "blue")
RESTART_AT, CYCLE = 250, 50
GOALS = {"memory with 250 Pods": 64.0, "start to ready": 1.0, "start to ready with 250 Pods": 1.0,
         "reads of the API for each Pod": 0.0, "writes to Pods for each Pod": 1.0}  # fmt: skip
_READS, _QUIET_SECONDS = ("GET", "LIST"), 4.0
_PATIENCE = 30.0
"""Seconds: on a busy machine the kernel's grace periods take long, and all that is looked at is how long."""
_REQUESTS = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Record = dict[str, object]


def record(name: str, value: float, unit: str, **more: object) -> Record:
    """As it stands in bench-node.json."""
    goal = {"goal": GOALS[name]} if name in GOALS else {}
    return {"name": name, "value": round(value, 3), "unit": unit, **goal, **more}


def latencies(name: str, seconds: Sequence[float]) -> list[Record]:
    """Rate, median and p99."""
    p99 = statistics.quantiles(seconds, n=100)[98] * 1e3
    return [
        record(f"{name}, rate", len(seconds) / sum(seconds), "Pods/s"),
        record(f"{name}, one Pod", statistics.median(seconds) * 1e3, "ms", p99=round(p99, 3)),
    ]


class Bench:
    """One node and what was measured on it."""

    def __init__(self, plane: planes.Plane, machine: machines.Machine, pods: int, cycles: int) -> None:
        self._plane = plane
        self._machine = machine
        self._count = pods
        self._cycles_wanted = cycles
        self._pods: list[types.PodSandbox] = []
        self._asked: collections.Counter[tuple[str, str]] = collections.Counter()
        self.records: list[Record] = []
        self.memory: list[tuple[str, int, float]] = []

    async def run(self) -> None:
        """All of it."""
        self.records.append(record("start to ready", await self._machine.start(), "s"))
        await self._make_pods(range(min(RESTART_AT, self._count)))
        attached = await self._attached(self._pods)
        self.records.append(record("memory with 250 Pods", self.rss(), "MiB"))
        await self._make_pods(range(len(self._pods), self._count))
        attached += await self._attached(self._pods[RESTART_AT:])
        self._tell_requests()
        self.records += latencies("attach, 3 networks", attached)
        began = time.perf_counter()
        stopped = await self._each(self._stop, self._pods[::-1], "detach")
        await self._each(self._remove, self._pods[::-1], "remove")
        self.records += latencies("stop, 3 networks", stopped)
        rate = len(self._pods) / (time.perf_counter() - began)
        self.records.append(record("stop and remove, 3 networks, rate", rate, "Pods/s"))
        await self._forget_pods()
        await self._cycles()
        await self._restart()

    async def _make_pods(self, numbers: Iterable[int]) -> None:
        """Bound to the node all at once."""
        await self._plane.all(self._make_pod(f"p{number}") for number in numbers)
        await asyncio.sleep(_QUIET_SECONDS)  # what the Pod watch claims ahead of need is not an attach

    async def _attached(self, pods: Sequence[types.PodSandbox]) -> list[float]:
        before = await self.requests()
        taken = await self._each(self._attach, pods, "attach")
        await asyncio.sleep(_QUIET_SECONDS)
        self._asked += await self.requests() - before
        return taken

    async def _forget_pods(self) -> None:
        """A node that restarts with 250 Pods has no others in the API either."""
        gone = self._pods[RESTART_AT:]
        await self._plane.all(
            self._plane.send("DELETE", f"{planes.PODS}/{pod.name}?gracePeriodSeconds=0") for pod in gone
        )
        for pod in gone:
            self._machine.vanish(pod.id)
        del self._pods[RESTART_AT:]

    async def _make_pod(self, name: str) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "annotations": {names.NETWORKS_ANNOTATION: planes.listed(*NETWORKS)}},
            "spec": planes.plain() | {"nodeName": machines.NODE},
        }
        made = await self._plane.send("POST", planes.PODS, body)
        sandbox = await asyncio.to_thread(self._machine.sandbox, *NETWORKS, name=name, uid=made["metadata"]["uid"])
        self._pods.append(sandbox)

    async def _each(
        self, act: Callable[[types.PodSandbox], Awaitable[None]], pods: Sequence[types.PodSandbox], what: str
    ) -> list[float]:
        taken = []
        for number, pod in enumerate(pods):
            began = time.perf_counter()
            await act(pod)
            taken.append(time.perf_counter() - began)
            if number % 50 == 0:
                self.memory.append((what, number, self.rss()))
        return taken

    async def _attach(self, pod: types.PodSandbox) -> None:
        assert self._machine.plugin is not None
        await self._machine.plugin.run_pod_sandbox(pod)

    async def _stop(self, pod: types.PodSandbox) -> None:
        assert self._machine.plugin is not None
        await self._machine.plugin.stop_pod_sandbox(pod)

    async def _remove(self, pod: types.PodSandbox) -> None:
        assert self._machine.plugin is not None
        await self._machine.plugin.remove_pod_sandbox(pod)

    async def _cycles(self) -> None:
        """The same Pods come and go: what grows then is a leak."""
        held = []
        for _ in range(self._cycles_wanted):
            await self._each(self._attach, self._pods[:CYCLE], "cycle")
            await self._each(self._stop, self._pods[:CYCLE], "cycle")
            await self._each(self._remove, self._pods[:CYCLE], "cycle")
            held.append(self.rss())
        if len(held) < 4:
            return
        middle = len(held) // 2
        grown = statistics.mean(held[middle:]) - statistics.mean(held[1:middle])
        self.records.append(record(f"memory, growth over {len(held) * CYCLE} more Pods", grown, "MiB", after=held))

    async def _restart(self) -> None:
        """With Pods that run."""
        await self._each(self._attach, self._pods, "restart")
        self._machine.kill()
        self.records.append(record("start to ready with 250 Pods", await self._machine.start(), "s"))
        await asyncio.sleep(_QUIET_SECONDS)
        self.records.append(record("memory with 250 Pods after a restart", self.rss(), "MiB"))

    def _tell_requests(self) -> None:
        made = self._asked
        reads = sum(count for (verb, _), count in made.items() if verb in _READS)
        to_pods = sum(count for (_, what), count in made.items() if what.startswith("pods"))
        detail = {f"{verb} {what}": count for (verb, what), count in sorted(made.items())}
        self.records += [
            record("reads of the API for each Pod", reads / self._count, "requests"),
            record("writes to Pods for each Pod", to_pods / self._count, "requests"),
            record("requests to the API for each Pod", made.total() / self._count, "requests", detail=detail),
        ]

    async def requests(self) -> collections.Counter[tuple[str, str]]:
        """How often the API server was asked what, watches and what it asks itself apart."""
        found: collections.Counter[tuple[str, str]] = collections.Counter()
        for labels, value in _REQUESTS.findall(await self._plane.send("GET", "/metrics")):
            known = dict(_LABEL.findall(labels))
            what = "/".join(filter(None, (known["resource"], known["subresource"])))
            if known["verb"] not in ("WATCH", "CONNECT") and known["resource"] in _OURS:
                found[known["verb"], what] += int(float(value))
        return found

    def rss(self) -> float:
        """Resident memory of the server in MiB."""
        assert self._machine.process is not None
        status = pathlib.Path(f"/proc/{self._machine.process.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024


_OURS = frozenset(
    ("pods", "nodes", "events", "ipblocks", "nodenetworks", "podnetworks", "podnetworkattachments", "networkconfigs",
     "attachmentconfigs")
)  # fmt: skip


async def measure(pods: int, cycles: int) -> tuple[list[Record], list[tuple[str, int, float]]]:
    """Everything, on a node that is gone afterwards."""
    async with planes.plane() as plane:
        await plane.send("POST", "/api/v1/nodes", {"metadata": {"name": machines.NODE}})
        for number, name in enumerate(NETWORKS):
            await plane.network(planes.Network(name, range={"cidr": f"10.{100 + number}.0.0/18"}))
        with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
            machine = machines.Machine(plane, pathlib.Path(directory), machines.NODE)
            machine.runtime.request_timeout = _PATIENCE
            bench = Bench(plane, machine, pods, cycles)
            try:
                await machine.open()
                await bench.run()
            except BaseException:
                with contextlib.suppress(OSError):
                    print(machine.log.read_text(errors="replace")[-3000:], file=sys.stderr)
                raise
            finally:
                await machine.close()
    return bench.records, bench.memory


def as_in_the_image() -> None:
    """Whatever the environment says: the image has compiled bytecode, and names no authorities."""
    for name in ("PYTHONDONTWRITEBYTECODE", "SSL_CERT_FILE"):
        os.environ.pop(name, None)
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    os.environ["PYTHONPYCACHEPREFIX"] = str(cache / "podnet" / "bytecode")
    subprocess.run([sys.executable, "-c", "import podnet_kni_server.main"], check=True)


def table(records: Sequence[Record]) -> str:
    """For people."""
    rows: list[tuple[str, ...]] = [("what", "value", "unit", "p99", "goal")]
    rows += [tuple(str(one.get(key, "")) for key in ("name", "value", "unit", "p99", "goal")) for one in records]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--cycles", type=int, default=6, help=f"{CYCLE} Pods come and go so often afterwards")
    asked = parser.parse_args()
    pods = asked.pods
    as_in_the_image()
    records, memory = asyncio.run(measure(pods, asked.cycles))
    print("\n" + table(records))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps({"pods": pods, "records": records, "memory": memory}, indent=2) + "\n")


if __name__ == "__main__":
    main()
