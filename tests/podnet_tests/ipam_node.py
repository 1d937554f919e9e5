"""Several nodes in one process: the real core, leases and claims, each node with an API client of its own.

Run by the test of addresses, which kills it with SIGKILL and starts it again. The checkpoints below --directory
are what survives, and how many addresses were leased (``Counter``). Words on the standard input say what to do: ``fill
N`` (every node attaches N Pods), ``churn`` (Pods come and go until the next word), ``drain`` (all Pods and blocks go).
Each is answered with ``done``, ``churn`` when it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import itertools
import logging
import mmap
import pathlib
import random
import struct
import sys
from collections.abc import Awaitable, Callable

from podnet_api.errors import PodnetError
from podnet_api.kube import Client, Credentials
from podnet_kni_server import attach, claims, idle
from podnet_kni_server.blocks import Blocks
from podnet_kni_server.checkpoint import Store
from podnet_kni_server.datapath.fake import FakeDatapath
from podnet_kni_server.datapath.model import NodeLinkState
from podnet_kni_server.leases import Leases
from podnet_kni_server.objects import Objects
from podnet_kni_server.records import Sandbox

from podnet_tests import kni_world

NETWORK = "blue"
READY = NodeLinkState(True, "Ready", "", 1450)
SURVIVE = 0.8
"""So many of the sandboxes outlive a kill."""


class Counter:
    """A number in a file, which survives SIGKILL as the checkpoints do: it is in memory that the kernel has."""

    def __init__(self, path: pathlib.Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_COUNT.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _COUNT.size)

    def add(self, count: int) -> None:
        """Count on."""
        _COUNT.pack_into(self._memory, 0, _COUNT.unpack_from(self._memory)[0] + count)

    @staticmethod
    def read(path: pathlib.Path) -> int:
        """What it stands at."""
        return int(_COUNT.unpack(path.read_bytes())[0])


_COUNT = struct.Struct("<Q")


class SimulatedNode:
    """A KNI server without kernel and runtime. The addresses that it gives are counted."""

    def __init__(self, name: str, directory: pathlib.Path, client: Client, seed: int, leased: Counter) -> None:
        self._objects = Objects(client, name)
        self._leases = Leases()
        self._blocks = Blocks(name, self._leases, self._objects)
        self._core = attach.Core(
            view=self._objects,
            node=self,
            leases=self._leases,
            blocks=self._blocks,
            store=Store(directory),
            datapath=FakeDatapath(),
        )
        self._chance = random.Random(seed)
        self._numbers = itertools.count(seed * 1_000_000)
        self._leased = leased

    def state(self, config: object) -> NodeLinkState:
        """attach.NodeView."""
        return READY

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """What the real program does, in its order. Some sandboxes did not outlive the kill."""
        self._core.load()
        tasks.create_task(self._objects.blocks.run())
        tasks.create_task(self._objects.configs.run())
        await self._objects.blocks.synced.wait()
        await self._objects.configs.synced.wait()
        self._objects.networks.learn(kni_world.pod_network(NETWORK))
        self._blocks.adopt()
        self._objects.blocks.listen(self._blocks.seen)
        tasks.create_task(self._blocks.run())
        known = [r for r in self._core.records() if self._chance.random() < SURVIVE]
        await self._core.reconcile([kni_world.sandbox(NETWORK, id=r.sandbox, name=r.name) for r in known])

    async def fill(self, count: int) -> None:
        """Attach until there are ``count`` Pods."""
        while len(self._core.records()) < count:
            await self._attach()

    async def churn(self) -> None:
        """One Pod comes or goes."""
        records = self._core.records()
        if records and self._chance.random() < len(records) / 80:
            await self._core.detach(self._chance.choice(records).sandbox)
        else:
            await self._attach()

    async def drain(self) -> None:
        """Everything goes; returns when no block is left."""
        for record in self._core.records():
            await self._core.detach(record.sandbox)
        while any(block.spec.node_name == self._objects.node for block in self._objects.blocks):
            await asyncio.sleep(0.1)

    async def _attach(self) -> None:
        number = next(self._numbers)
        sandbox: Sandbox = kni_world.sandbox(NETWORK, id=f"s{number}", name=f"p{number}")
        try:
            record = await self._core.attach(sandbox)
        except PodnetError as error:
            logging.warning("%s", error)
            return
        self._leased.add(len(record.interfaces[0].link.addresses) if record else 0)


async def _run(args: argparse.Namespace) -> None:
    names: list[str] = args.nodes.split(",")
    leased = Counter(args.leased)
    async with asyncio.TaskGroup() as tasks:
        nodes = []
        for name in names:
            client = await Client(Credentials.load(args.kubeconfig), f"podnet-{name}").__aenter__()
            seed = args.seed * 1000 + int(name.lstrip("n"))
            nodes.append(SimulatedNode(name, args.directory / name, client, seed, leased))
        await asyncio.gather(*(node.start(tasks) for node in nodes))
        await _obey(nodes)


async def _obey(nodes: list[SimulatedNode]) -> None:
    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    print("ready", flush=True)
    churning: asyncio.Task[None] | None = None
    while line := (await words.readline()).split():
        if churning is not None:
            churning.cancel()
            await asyncio.gather(churning, return_exceptions=True)
            churning = None
            _done()
        if line[0] == b"churn":
            churning = asyncio.create_task(_all(nodes, _for_ever))
        elif line[0] == b"fill":
            await _all(nodes, functools.partial(SimulatedNode.fill, count=int(line[1])))
            _done()
        elif line[0] == b"drain":
            await _all(nodes, SimulatedNode.drain)
            _done()


def _done() -> None:
    print("done", flush=True)


async def _for_ever(node: SimulatedNode) -> None:
    while True:
        await node.churn()
        await asyncio.sleep(0.002)


async def _all(nodes: list[SimulatedNode], what: Callable[[SimulatedNode], Awaitable[None]]) -> None:
    await asyncio.gather(*(what(node) for node in nodes))


def main() -> None:
    """The program; ends by SIGKILL."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--nodes", required=True)
    parser.add_argument("--directory", type=pathlib.Path, required=True)
    parser.add_argument("--leased", type=pathlib.Path, required=True, help="file of the counter")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--idle", type=float, default=2.0, help="seconds until an idle block goes back")
    args = parser.parse_args()
    idle.IDLE_SECONDS = idle.IDLE_SECONDS_SINGLE = args.idle
    claims.TIDY_SECONDS = 0.5
    asyncio.run(_run(args))


if __name__ == "__main__":
    main()
