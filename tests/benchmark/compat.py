"""What translation costs: a Pod, and a cluster full of NADs before a compat that starts.

`python tests/benchmark/compat.py [NADS PODS]`, 10,000 and 10,000 unless said. Translating is measured in this process;
mirroring by the program itself before a real API server: from its start to the last NAD that says ``ok``. Every NAD
has a range of its own, so that nothing is shared. Then Pods come through its webhook, many of them with the same
parameters. Prints a table and writes build/bench-compat.json.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import pathlib
import ssl
import statistics
import sys
import time
from typing import Any

import aiohttp
import msgspec
from benchmark import controller
from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import Plane, Program
from podnet_api import core, multinetwork
from podnet_api.meta import ObjectMeta
from podnet_compat import nad as nads
from podnet_compat import names
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad, NadSpec
from podnet_hack import paths
from podnet_tests import legacy_kinds

OUTPUT = paths.CHECKOUT / "build" / "bench-compat.json"
NADS = "/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions"
GOALS = {"translate a Pod": 0.2, "mirror": 60.0}
ROUNDS = 20000
_AT_ONCE = 16

Rows = list[dict[str, Any]]


def config(number: int) -> str:
    """The configuration of NAD ``number``: one plugin in two, a chain in ten, the rest for plugins of the nodes."""
    ipam = {"type": "whereabouts", "range": f"10.{number // 256 % 256}.{number % 256}.0/24", "exclude": []}
    macvlan = {"cniVersion": "1.0.0", "type": "macvlan", "master": "eth1", "ipam": ipam}
    match number % 10:
        case 0:
            return json.dumps({"plugins": [macvlan, {"type": "tuning", "promisc": True}]})
        case 1 | 2 | 3:
            return json.dumps({"type": "mynet", "number": number})
        case 4 | 5:
            return json.dumps({"type": "bridge", "bridge": f"br{number}", "isGateway": True, "ipam": ipam})
        case _:
            return json.dumps(macvlan)


_ENTRIES: list[dict[str, Any]] = [
    {"name": "n6", "mac": "02:00:00:00:00:01", "ips": ["10.0.6.9"]},
    {"name": "n1", "cni-args": {"a": 1}},
]
TEXTS = ("n6", "n4,n6@data0", "n0,n1,n4", json.dumps(_ENTRIES))
"""Annotations of the Pods that are translated in turn."""


def translating() -> Rows:
    """A Pod after the other."""
    known = {f"n{n}": Nad(metadata=_meta(f"n{n}"), spec=NadSpec(config=config(n))) for n in range(10)}
    made = [core.Pod(metadata=_meta("web", {names.NETWORKS: text})) for text in TEXTS]
    taken, worked = [], []
    for number in range(-200, ROUNDS):
        begin, began = time.perf_counter(), time.thread_time()
        pods.translate(pods.read(made[number % len(made)], "default"), lambda _, name: known.get(name))
        if number >= 0:
            worked.append((time.thread_time() - began) * 1e3)
            taken.append((time.perf_counter() - begin) * 1e3)
    fresh_texts = [_new_text(number) for number in range(4000)]
    new = []
    for text in fresh_texts:
        pod = core.Pod(metadata=_meta("web", {names.NETWORKS: text}))
        begin = time.perf_counter()
        pods.translate(pods.read(pod, "default"), lambda _, name: known.get(name))
        new.append((time.perf_counter() - begin) * 1e3)
    cold = []
    for number in range(2000):
        fresh = Nad(metadata=_meta(f"cold-{number}"), spec=NadSpec(config=config(number)))
        begin = time.perf_counter()
        nads.translate(fresh)
        cold.append((time.perf_counter() - begin) * 1e3)
    busy = _row("translate a Pod: processor time, whoever else uses the machine", worked)
    first = _row("translate the first Pod of an owner: its annotation is new", new)
    return [_row("translate a Pod", taken), busy, first, _row("translate a NAD for the first time", cold)]


def _new_text(number: int) -> str:
    """One like those of ``TEXTS``, which nobody has had yet."""
    match number % 4:
        case 0:
            return f"n6@a{number}"
        case 1:
            return f"n4,n6@a{number}"
        case 2:
            return f"n0,n1@a{number},n4"
        case _:
            return json.dumps([{**_ENTRIES[0], "interface": f"a{number}"}, _ENTRIES[1]])


def _meta(name: str, annotations: dict[str, str] | None = None) -> ObjectMeta:
    return ObjectMeta(name=name, namespace="default", uid="u", annotations=annotations or {})


def _row(name: str, taken: list[float]) -> dict[str, Any]:
    cut = statistics.quantiles(taken, n=100)
    goal = {"goal": f"p99 {GOALS[name]} ms"} if name in GOALS else {}
    return {"name": name, "value": round(cut[49], 4), "p99": round(cut[98], 4), "unit": "ms", **goal}


def compat(plane: Plane, port: int) -> Program:
    """The program."""
    words = ["-m", "podnet_compat.main", "--kubeconfig", plane.kubeconfig, "--namespace", "default"]
    words += ["--port", str(port), "--log-level", "warning"]
    return Program(plane.directory / "compat.log", sys.executable, *words)


async def definitions(plane: Plane) -> None:
    """The legacy kinds, ready for use."""
    await plane.send("POST", planes.CRDS, legacy_kinds.NAD)
    await asyncio.sleep(2)


async def fill(plane: Plane, count: int) -> None:
    """NADs, before compat starts."""

    def one(number: int) -> dict[str, Any]:
        head = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition"}
        return {**head, "metadata": {"name": f"n{number}"}, "spec": {"config": config(number)}}

    await plane.all(plane.send("POST", NADS, one(number)) for number in range(count))


async def mirrored(plane: Plane, count: int) -> bool:
    """Whether every NAD has its PodNetwork, which is what a Pod needs."""
    path = f"{multinetwork.PodNetwork.resource.path()}?limit=1"
    meta = (await plane.send("GET", path))["metadata"]
    return int(meta.get("remainingItemCount", 0)) + 1 >= count


async def told(plane: Plane, count: int) -> bool:
    """Whether every NAD says that it is translated."""
    async with plane.client() as client:
        found, _ = await client.list_all(Nad)
    return sum(nad.metadata.annotations.get(names.TRANSLATION) == "ok" for nad in found) == count


class Caller:
    """The API server's side of the webhook."""

    def __init__(self, port: int, nads: int) -> None:
        self._spread = max(1, min(50, nads // 10))
        self._url = f"https://127.0.0.1:{port}/mutate-pods"
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self.taken: list[float] = []
        self.lists: set[str] = set()

    async def admit(self, session: aiohttp.ClientSession, number: int) -> None:
        """One Pod, of a NAD of its own kind; each NAD is asked for two addresses, again and again."""
        nad = 10 * (number % self._spread) + 6
        entry = {"name": f"n{nad}", "ips": [f"10.{nad // 256}.{nad % 256}.{9 + number // self._spread % 2}"]}
        annotations = {names.NETWORKS: json.dumps([entry])}
        pod = {"metadata": {"name": f"p{number}", "namespace": "default", "annotations": annotations}, "spec": {}}
        asked = {"uid": str(number), "namespace": "default", "name": f"p{number}", "operation": "CREATE", "object": pod}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}
        async with self._at_once:
            begin = time.perf_counter()
            async with session.post(self._url, json=review) as answer:
                found = (await answer.json())["response"]
            self.taken.append((time.perf_counter() - begin) * 1e3)
        if not found["allowed"]:
            raise RuntimeError(f"cannot admit a Pod: {found['status']['message']}")
        [made] = [p["value"] for p in json.loads(base64.b64decode(found["patch"])) if p["path"].endswith("~1networks")]
        self.lists.add(made)


async def admitted(port: int, nads: int, count: int) -> Caller:
    """``count`` Pods through the webhook, before ``nads`` NADs."""
    caller = Caller(port, nads)
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, limit=_AT_ONCE)) as session:
        await asyncio.gather(*(caller.admit(session, number) for number in range(count)))
    return caller


def servers() -> float:
    """Seconds of processor time of kube-apiserver and etcd: on a busy machine they say more than the clock."""
    found = pathlib.Path("/proc/self/task").glob("*/children")
    stats = [pathlib.Path(f"/proc/{pid}/stat").read_text() for path in found for pid in path.read_text().split()]
    wanted = [text.rpartition(")")[2].split() for text in stats if "(kube-apiserver)" in text or "(etcd)" in text]
    return sum(int(fields[11]) + int(fields[12]) for fields in wanted) / os.sysconf("SC_CLK_TCK")


async def cluster(count: int, admissions: int) -> Rows:
    """NADs mirrored from a cold start, and Pods admitted after."""
    rows: Rows = []

    def row(name: str, value: float, unit: str, **more: object) -> None:
        rows.append({"name": name, "value": round(value, 3), "unit": unit, **more})
        print(f"{name:64} {value:10.2f} {unit}", flush=True)

    async with planes.plane() as plane:
        await definitions(plane)
        await fill(plane, count)
        before, port = await controller.writes(plane), planes.free_port()
        worked = servers()
        async with plane.running(compat(plane, port)) as program:
            taken = await controller.until(lambda: mirrored(plane, count))
            row(f"mirror {count} NADs from a cold start", taken, "s", goal=f"{GOALS['mirror']:.0f} s")
            both = servers() - worked + program.cpu_seconds
            row(f"mirror {count} NADs from a cold start: processor time, kube-apiserver's and etcd's too", both, "s")
            taken += await controller.until(lambda: told(plane, count))
            row(f"mirror {count} NADs: until each says so", taken, "s")
            row(f"mirror {count} NADs: writes for each", (await controller.writes(plane) - before) / count, "")
            row(f"mirror {count} NADs: processor time", program.cpu_seconds, "s")
            row(f"mirror {count} NADs: most memory", program.peak_mib, "MiB")
            if admissions:
                before = await controller.writes(plane)
                caller = await admitted(port, count, admissions)
                rows.append(_row(f"admit a Pod, {_AT_ONCE} at once, {admissions} in all", caller.taken))
                print(rows[-1])
                row(f"admit {admissions} Pods: attachments made for them", len(caller.lists), "")
                row(f"admit {admissions} Pods: writes", await controller.writes(plane) - before, "")
                row(f"admit {admissions} Pods: most memory", program.peak_mib, "MiB")
    return rows


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nads", nargs="?", type=int, default=10000)
    parser.add_argument("pods", nargs="?", type=int, default=10000)
    args = parser.parse_args()
    rows = translating()
    print(*rows, sep="\n")
    if args.nads:
        rows += asyncio.run(cluster(args.nads, args.pods))
    former = msgspec.json.decode(OUTPUT.read_bytes()) if OUTPUT.exists() else []
    kept = [row for row in former if row["name"] not in {row["name"] for row in rows}]
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps([*kept, *rows], indent=1))


if __name__ == "__main__":
    main()
