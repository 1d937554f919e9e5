"""A hundred nodes, one API server: no address twice, none lost, and few writes, while nodes are killed.

The nodes are real cores, leases and claims in processes that die of SIGKILL; a sandbox is a checkpoint. `make
chaos` runs the long form (PODNET_IPAM_SECONDS).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import random
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from podnet_api.kube import Client
from podnet_kni_server.records import Record, State
from podnet_tests import ipam_node, kni_world

NODES, PROCESSES = 100, 10
PODS = 60
SECONDS = float(os.environ.get("PODNET_IPAM_SECONDS", "12"))
KNI = "/apis/kni.multinetwork.x-k8s.io/v1alpha1"
GOAL = 50
TURNOVER = 3
"""Pods come and go until so many times more addresses have been leased than the nodes hold at first, however slow the
machine is: the number of writes says little before each address has changed hands."""


class Worker:
    """One process with some of the nodes."""

    def __init__(self, server: Any, nodes: list[str], directory: pathlib.Path) -> None:
        self._words = [
            "--kubeconfig",
            str(server.kubeconfig),
            "--nodes",
            ",".join(nodes),
            "--directory",
            str(directory),
            "--leased",
            str(directory / f"{nodes[0]}.leased"),
        ]
        self._leased = directory / f"{nodes[0]}.leased"
        self._log = directory / f"{nodes[0]}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._starts = 0
        self._churning = False

    @property
    def leased(self) -> int:
        """Addresses that it leased since it first started; also those just before a kill are counted."""
        return ipam_node.Counter.read(self._leased)

    async def start(self) -> None:
        """Start it, also again."""
        self._starts += 1
        words = [sys.executable, "-m", "podnet_tests.ipam_node", *self._words, f"--seed={self._starts}"]
        with self._log.open("ab") as log:
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=log)
        assert await self._heard() == [b"ready"]

    async def say(self, word: str) -> None:
        """Have it do something; returns when that is done. ``churn`` is under way then."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(word.encode() + b"\n")
        for _ in range(self._churning + (word != "churn")):
            assert await self._heard() == [b"done"]
        self._churning = word == "churn"

    async def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._churning = False
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _heard(self) -> list[bytes]:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(180):
            line = (await self._process.stdout.readline()).split()
        assert line, f"a node ended by itself:\n{self._log.read_text()[-3000:]}"
        return line


@pytest.fixture
def directory() -> Any:
    """In memory, as /run/kni is."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        yield pathlib.Path(path)


@pytest.fixture
async def workers(apiserver: Any, client: Client, directory: pathlib.Path) -> AsyncIterator[list[Worker]]:
    ranges = [{"cidr": "10.64.0.0/14"}, {"cidr": "fd64::/64"}]
    await client.create(kni_world.network_config(ipam_node.NETWORK, ipam={"ranges": ranges}))
    each = NODES // PROCESSES
    made = [Worker(apiserver, [f"n{i * each + j}" for j in range(each)], directory) for i in range(PROCESSES)]
    try:
        await asyncio.gather(*(worker.start() for worker in made))
        yield made
    finally:
        await asyncio.gather(*(worker.kill() for worker in made))
        apiserver.send("DELETE", f"{KNI}/networkconfigs/{ipam_node.NETWORK}")


def addresses(directory: pathlib.Path) -> tuple[dict[str, str], list[str]]:
    """Address -> sandbox of all checkpoints, and the addresses of two. A file may go while it is read."""
    held: dict[str, str] = {}
    twice = []
    for path in directory.glob("n*/*.json"):
        with contextlib.suppress(OSError):
            record = msgspec.json.decode(path.read_bytes(), type=Record)
            for address in record.interfaces[0].link.addresses if record.state is State.ATTACHED else ():
                if address in held:
                    twice.append(f"{address}: {held[address]} and {path}")
                held[address] = str(path)
    return held, twice


def really_twice(directory: pathlib.Path) -> list[str]:
    """What is twice and stays so: an address may pass on between two files that are read."""
    twice = addresses(directory)[1]
    return sorted(set(twice) & set(addresses(directory)[1])) if twice else []


async def writes(client: Client) -> dict[str, int]:
    """Requests that change IPBlocks, counted by the API server: done, and refused because another was first."""
    text = (await client.request("GET", "/metrics")).decode()
    counts = {"done": 0, "refused": 0}
    for line in re.findall(r'^apiserver_request_total\{.*resource="ipblocks".*$', text, re.MULTILINE):
        if re.search(r'verb="(POST|PUT|PATCH|APPLY|DELETE)"', line):
            counts["done" if 'code="20' in line else "refused"] += int(float(line.rpartition(" ")[2]))
    return counts


async def test_a_hundred_nodes(
    apiserver: Any, client: Client, workers: list[Worker], directory: pathlib.Path, record_property: Any
) -> None:
    before = await writes(client)
    started = time.monotonic()
    await asyncio.gather(*(worker.say(f"fill {PODS}") for worker in workers))
    filled = await writes(client)
    seconds = time.monotonic() - started
    held, twice = addresses(directory)
    assert not twice
    assert len(held) == NODES * PODS * 2
    claimed = filled["done"] - before["done"]
    assert len(held) / claimed >= GOAL, (len(held), claimed)
    rate = f"{claimed} writes = 1 per {len(held) / claimed:.0f}"
    refused = filled["refused"] - before["refused"]
    print(f"\nat once: {len(held)} addresses in {seconds:.1f} s, {rate}; {refused} refused, another node was first")

    kills = await _kill_at_random(workers, directory)
    await asyncio.gather(*(worker.say("drain") for worker in workers))
    after = await writes(client)
    leased = sum(worker.leased for worker in workers)
    written = after["done"] - before["done"]
    refused = after["refused"] - before["refused"]
    rate = f"{written} writes, those that give back included = 1 per {leased / written:.0f}; {refused} refused"
    print(f"in all: {leased} addresses leased, {kills} times {NODES // PROCESSES} nodes killed, {rate}")
    assert leased / written >= GOAL, (leased, written)
    assert not list(directory.glob("n*/*.json")), "checkpoints are left"
    items = apiserver.send("GET", f"{KNI}/ipblocks").body["items"]
    left = [item for item in items if item["spec"]["networkConfig"] == ipam_node.NETWORK]
    assert not left, "blocks are left"


async def _kill_at_random(workers: list[Worker], directory: pathlib.Path) -> int:
    """All churn; some die together and come back. How many did."""
    chance, kills, end = random.Random(1), 0, time.monotonic() + SECONDS
    for worker in workers:
        await worker.say("churn")
    while time.monotonic() < end or sum(worker.leased for worker in workers) < TURNOVER * NODES * PODS * 2:
        some = chance.sample(workers, 3)
        await asyncio.sleep(chance.random() * 0.5)
        await asyncio.gather(*(worker.kill() for worker in some))
        kills += len(some)
        assert not really_twice(directory)
        await asyncio.gather(*(worker.start() for worker in some))
        for worker in some:
            await worker.say("churn")
    assert kills
    return kills
