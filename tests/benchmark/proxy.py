"""What podnet-proxy costs a reader, against the API server itself: `make bench-proxy`.

`python tests/benchmark/proxy.py [--pods 5000] [--rounds 6]`. etcd, kube-apiserver and the proxy are real processes.
Each round reads the same list (or replays it as a watch) directly and through the proxy, in the other order in every
second round. The client reads and throws away: whatever more a client does makes the ratio smaller. Latency of events
is measured on two watches that are open at the same time, from before the request that makes the event.

Prints a table and puts its rows into build/bench.json: {name, value, unit, baseline, ratio, p99}.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import pathlib
import ssl
import statistics
import sys
import time
import urllib.parse
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from benchmark.run import table, write
from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import PODS, TOKEN, Plane, Program
from podnet_api import names

LISTED = '[{"podNetworkName":"blue"},{"podNetworkName":"red","interfaceName":"red0"}]'
SHARES = {"without networks": 0, "one in ten with networks": 10, "all with networks": 1}
EVENTS = 300
_READ = 1 << 18


@dataclass
class Row:
    """What was measured, in ms: through the proxy and directly."""

    name: str
    proxy: list[float] = field(default_factory=list)
    direct: list[float] = field(default_factory=list)

    def record(self) -> dict[str, object]:
        """As build/bench.json has it."""
        value, baseline = statistics.median(self.proxy), statistics.median(self.direct)
        return {
            "name": self.name,
            "value": round(value, 3),
            "p99": round(_p99(self.proxy), 3),
            "baseline": round(baseline, 3),
            "baseline_p99": round(_p99(self.direct), 3),
            "unit": "ms",
            "ratio": round(value / baseline, 3),
        }


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def large_pod() -> dict[str, Any]:
    """A Pod's spec of the size that Pods have in clusters: about 7 KB as the API server writes it."""
    env = [{"name": f"SETTING_{n}", "value": f"value of the setting number {n}"} for n in range(20)]
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10}
    mounts = [{"name": f"volume-{n}", "mountPath": f"/var/lib/volume-{n}"} for n in range(4)]
    container = {"image": "example.com/team/application:1.2.3", "env": env, "volumeMounts": mounts}
    volumes = [{"name": f"volume-{n}", "configMap": {"name": f"settings-{n}", "optional": True}} for n in range(4)]
    containers = [{**container, "name": name, "livenessProbe": probe} for name in ("app", "sidecar")]
    return {"containers": containers, "volumes": volumes}


async def running(plane: Plane, number: int, listed: bool) -> None:
    """A Pod with addresses, as the kubelet and, where it has networks, the KNI server report them."""
    name, address = f"pod-{number}", f"{number // 250}.{number % 250}"
    await plane.pod(name, large_pod(), LISTED if listed else "")
    own = [{"ip": f"10.244.{address}"}, {"ip": f"fd00::{number:x}"}]
    patch: dict[str, Any] = {"status": {"podIP": own[0]["ip"], "podIPs": own}}
    if listed:
        attached = [
            {
                "network": network,
                "interface": interface,
                "addresses": [f"10.{10 + n}.{address}/16", f"fd0{n}::{number:x}/64"],
            }
            for n, (network, interface) in enumerate((("blue", "net1"), ("red", "red0")))
        ]
        patch["metadata"] = {"annotations": {names.STATUS_ANNOTATION: json.dumps(attached)}}
    await plane.send("PATCH", f"{PODS}/{name}/status", patch, "application/merge-patch+json")


@contextlib.asynccontextmanager
async def proxied(plane: Plane) -> AsyncIterator[tuple[str, Program]]:
    """The URL of a proxy before the plane, and its process."""
    port = planes.free_port()
    at = plane.directory
    words = ["-m", "podnet_api.proxy", "--kubeconfig", plane.kubeconfig, "--bind", "127.0.0.1", "--port", port]
    words += ["--tls-cert", at / "tls.crt", "--tls-key", at / "tls.key"]
    program = Program(at / "proxy.log", sys.executable, *words)
    async with plane.running(program):
        await program.until(lambda: _serves(program.log))
        yield f"https://127.0.0.1:{port}", program


async def _serves(log: pathlib.Path) -> bool:
    return "serving" in log.read_text()


async def connected(url: str, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which ``path`` was asked for."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    place = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, ssl=tls, limit=_READ)
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nAccept: application/json\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    return reader, writer


async def read(url: str, path: str, until: bytes = b"") -> float:
    """Milliseconds until the answer is there, to its end or until it has said ``until``."""
    start = time.perf_counter()
    reader, writer = await connected(url, path)
    end = b""
    try:
        while chunk := await reader.read(_READ):
            end = (end + chunk)[-2000 - len(chunk) :]
            if until and until in end:
                break
            end = end[-2000:]
        return (time.perf_counter() - start) * 1000
    finally:
        writer.close()


async def lists(plane: Plane, url: str, name: str, rounds: int) -> list[Row]:
    """A list, and the same as the beginning of a watch."""
    listed, replayed = Row(f"proxy: list of Pods, {name}"), Row(f"proxy: replay of a watch, {name}")
    whole = "resourceVersion=0"
    watch = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    for number in range(-1, rounds):
        pairs = [(plane.url, "direct"), (url, "proxy")]
        for row, query, until in ((listed, whole, b""), (replayed, watch, b"initial-events-end")):
            for place, side in pairs if number % 2 else pairs[::-1]:
                took = await read(place, f"{PODS}?{query}", until)
                if number >= 0:
                    getattr(row, side).append(took)
    return [listed, replayed]


async def events(plane: Plane, url: str, count: int) -> Row:
    """How long after a change its event comes, on two watches at the same time."""
    row, sent = Row("proxy: event of a watch"), dict[str, float]()
    version = (await plane.send("GET", f"{PODS}?limit=1"))["metadata"]["resourceVersion"]
    watch = f"{PODS}?watch=true&resourceVersion={version}"
    tasks = [
        asyncio.create_task(_follow(place, watch, sent, values, count))
        for place, values in ((plane.url, row.direct), (url, row.proxy))
    ]
    await asyncio.sleep(0.5)
    for number in range(count):
        sent[f"mark-{number}"] = time.perf_counter()
        patch = {"metadata": {"labels": {"mark": f"mark-{number}"}}}
        await plane.send("PATCH", f"{PODS}/pod-0", patch, "application/merge-patch+json")
        await asyncio.sleep(0.005)
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    return row


async def _follow(url: str, path: str, sent: dict[str, float], values: list[float], count: int) -> None:
    reader, writer = await connected(url, path)
    while len(values) < count:
        line = await reader.readuntil(b"\n")
        now, at = time.perf_counter(), line.find(b'"mark":"')
        if at >= 0:
            values.append((now - sent[line[at + 8 :].split(b'"', 1)[0].decode()]) * 1000)
    writer.close()


async def measure(pods: int, rounds: int, only: str = "") -> list[dict[str, object]]:
    """All rows."""
    rows: list[Row] = []
    async with planes.plane() as plane, proxied(plane) as (url, program):
        for name, every in SHARES.items():
            if only not in ("", name):
                continue
            await plane.all(running(plane, n, bool(every) and n % every == 0) for n in range(pods))
            size = len(json.dumps(await plane.send("GET", f"{PODS}/pod-1"), separators=(",", ":")))
            rows += await lists(plane, url, f"{pods} {name}", rounds)
            print(f"{name}: {size} bytes a Pod; the proxy had {program.peak_mib:.0f} MiB at most", flush=True)
            if every == 1:
                rows.append(await events(plane, url, EVENTS))
            await plane.no_pods()
        print(f"the proxy took {program.cpu_seconds:.1f} s of processor time")
    return [row.record() for row in rows]


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", choices=SHARES, help="one share of Pods with networks; default: each")
    given = parser.parse_args()
    records = asyncio.run(measure(given.pods, given.rounds, given.only or ""))
    print("\n" + table(records))
    write(records)


if __name__ == "__main__":
    main()
