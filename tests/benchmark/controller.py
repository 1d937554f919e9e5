"""podnet-controller before a large cluster: how long until all is said, how many writes, how much memory.

`python tests/benchmark/controller.py [NETWORKS ATTACHMENTS PODS]`, 1,000, 5,000 and 20,000 unless said. etcd and API
server are real. The objects are there before the controller starts; then it is started a second time, when nothing
is left to write; then half of the Pods go. Prints a table and writes build/bench-controller.json.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import Plane, Program
from podnet_api import core, multinetwork, names
from podnet_api.meta import is_true
from podnet_hack import paths

OUTPUT = paths.CHECKOUT / "build" / "bench-controller.json"
MULTINETWORK = "/apis/multinetwork.x-k8s.io/v1alpha1"
KNI = "/apis/kni.multinetwork.x-k8s.io/v1alpha1"
ATTACHMENTS = f"{MULTINETWORK}/namespaces/default/podnetworkattachments"
WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE")
QUIET_SECONDS = 5.0
LIMIT_SECONDS = 900.0


def _object(api: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api.removeprefix("/apis/"), "kind": kind, "metadata": {"name": name}, "spec": spec}


def _config(number: int) -> dict[str, Any]:
    cidr = f"10.{number // 256 % 256}.{number % 256}.0/24"
    return _object(KNI, "NetworkConfig", f"net-{number}", {"bridge": {}, "ipam": {"ranges": [{"cidr": cidr}]}})


def _network(number: int) -> dict[str, Any]:
    ref = {"group": names.KNI_GROUP, "kind": "NetworkConfig", "name": f"net-{number}"}
    spec = {"provider": names.PROVIDER, "parametersRefs": [ref]}
    return _object(MULTINETWORK, "PodNetwork", f"net-{number}", spec)


def _attachment(number: int, networks: int) -> dict[str, Any]:
    spec = {"podNetworkName": f"net-{(number + 1) % networks}"}
    return _object(MULTINETWORK, "PodNetworkAttachment", f"to-{number}", spec)


def _listed(number: int, networks: int, attachments: int) -> str:
    by = number % attachments
    return json.dumps([{"podNetworkName": f"net-{by % networks}"}, {"podNetworkAttachmentName": f"to-{by}"}])


async def fill(plane: Plane, networks: int, attachments: int, pods: int) -> None:
    """Everything that there is to look at."""
    await plane.all(plane.send("POST", f"{KNI}/networkconfigs", _config(n)) for n in range(networks))
    await plane.all(plane.send("POST", f"{MULTINETWORK}/podnetworks", _network(n)) for n in range(networks))
    await plane.all(plane.send("POST", ATTACHMENTS, _attachment(n, networks)) for n in range(attachments))
    await plane.all(plane.pod(f"pod-{n}", listed=_listed(n, networks, attachments)) for n in range(pods))


async def writes(plane: Plane) -> int:
    """Writes that the API server has answered so far."""
    text = str(await plane.send("GET", "/metrics"))
    found = re.findall(r'^apiserver_request_total\{[^}]*verb="(\w+)"[^}]*\} ([0-9.e+]+)$', text, re.MULTILINE)
    return sum(int(float(count)) for verb, count in found if verb in WRITES)


async def until(check: Callable[[], Awaitable[bool]]) -> float:
    """Seconds until it is so."""
    start = time.monotonic()
    while not await check():
        if time.monotonic() - start > LIMIT_SECONDS:
            raise TimeoutError("cannot wait any longer")
        await asyncio.sleep(0.5)
    return time.monotonic() - start


async def quiet(plane: Plane) -> int:
    """Wait until nobody writes any more; the writes so far."""
    before, now = -1, await writes(plane)
    while before != now:
        await asyncio.sleep(QUIET_SECONDS)
        before, now = now, await writes(plane)
    return now


async def settled(plane: Plane, in_use: Callable[[int], bool]) -> bool:
    """Whether every network and attachment is Ready and says whether it is in use."""
    async with plane.client() as client:
        found, _ = await client.list_all(multinetwork.PodNetwork)
        ours = [n for n in found if n.metadata.name.startswith("net-")]
        others, _ = await client.list_all(multinetwork.PodNetworkAttachment)
    conditions = [*(item.status.conditions for item in ours), *(item.status.conditions for item in others)]
    ready = all(is_true(one, multinetwork.READY) for one in conditions)
    used = all(
        is_true(item.status.conditions, multinetwork.IN_USE) == in_use(int(item.metadata.name.rpartition("-")[2]))
        for item in others
    )
    return ready and used


def controller(plane: Plane) -> Program:
    """The program."""
    words = ["-m", "podnet_api.controller.main", "--kubeconfig", plane.kubeconfig, "--no-leader-elect"]
    words += ["--port", str(planes.free_port()), "--log-level", "WARNING"]
    return Program(plane.directory / "controller.log", sys.executable, *words)


async def measure(networks: int, attachments: int, pods: int) -> list[dict[str, Any]]:
    """All rows."""
    rows: list[dict[str, Any]] = []

    def row(name: str, value: float, unit: str) -> None:
        rows.append({"name": name, "value": round(value, 3), "unit": unit})
        print(f"{name:58} {value:10.1f} {unit}", flush=True)

    objects = 2 * networks + attachments
    async with planes.plane() as plane:
        await fill(plane, networks, attachments, pods)
        before = await quiet(plane)
        async with plane.running(controller(plane)) as program:
            row("first start: until all is said", await until(lambda: settled(plane, lambda n: n < pods)), "s")
            row("first start: writes per object", (await quiet(plane) - before) / objects, "")
            row("first start: processor time", program.cpu_seconds, "s")
            row("first start: most memory", program.peak_mib, "MiB")
        before = await quiet(plane)
        async with plane.running(controller(plane)) as program:
            await asyncio.sleep(30)
            row("second start: writes", await quiet(plane) - before, "")
            row("second start: processor time in 30 s", program.cpu_seconds, "s")
            before = await quiet(plane)
            left = min(pods, attachments) // 2
            await plane.all(
                plane.send("DELETE", f"{core.Pod.resource.path('default', f'pod-{n}')}?gracePeriodSeconds=0")
                for n in range(pods)
                if n % attachments >= left
            )
            row("half of the Pods go: until all is said", await until(lambda: settled(plane, lambda n: n < left)), "s")
            deleted = sum(1 for n in range(pods) if n % attachments >= left)
            row("half of the Pods go: writes for each that went", (await quiet(plane) - before - deleted) / deleted, "")
            row("most memory", program.peak_mib, "MiB")
    return rows


def main() -> None:
    """Measure."""
    networks, attachments, pods = (int(word) for word in (sys.argv[1:] or ("1000", "5000", "20000")))
    rows = asyncio.run(measure(networks, attachments, pods))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
