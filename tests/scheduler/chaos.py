"""Pods race for too few attachments and addresses, while the extender and kube-scheduler are killed again and again.

`python tests/scheduler/chaos.py [PODS]`, which is `make chaos`; test_chaos.py runs a short one. Half of the Pods want
the network whose nodes have few attachments, half the one whose pool is small; of both there are more Pods than room.
At every binding that the watch shows the books are checked. In the end every Pod that fits must be placed; then Pods
are deleted, and as many of those that waited must follow.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import Bindings, Network, Plane, Program

NODES = 20
TIGHT, POOLED = "tight", "pooled"
DELETED = 20


@dataclass
class Report:
    """What was seen."""

    pods: int
    room: int
    placed: int = 0
    followed: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    over_commits: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        killed = ", ".join(f"{program} {count} times" for program, count in sorted(self.kills.items()))
        return (
            f"{self.pods} Pods, room for {self.room}: {self.placed} placed, {len(self.over_commits)} over-commits; "
            f"{DELETED} deleted, {self.followed} followed; killed: {killed}; {self.seconds:.0f} s"
        )


class Chaos:
    """One run."""

    def __init__(self, control: Plane, pods: int, *, pause: float, seed: int = 1) -> None:
        self._control = control
        self._pause = pause
        self._chance = random.Random(seed)
        self._port = planes.free_port()
        self._programs: dict[str, Program] = {}
        self._enough = False
        each = pods // 2
        self.capacity = max(1, each * 4 // 5 // NODES)
        self.addresses = each * 4 // 5
        self.report = Report(2 * each, self.capacity * NODES + self.addresses)

    async def run(self) -> Report:
        """The whole story."""
        started = time.monotonic()
        await self._prepare()
        async with Bindings.of(self._control) as bindings:
            bindings.listener = lambda: self._check(bindings)
            killer = asyncio.ensure_future(self._kill_and_start())
            try:
                each = self.report.pods // 2
                for prefix in (TIGHT, POOLED):
                    spec, listed = planes.managed(prefix), planes.listed(prefix)
                    await self._control.pods(prefix, each, spec, listed)
                await self._settle(bindings, self.report.room * 9 // 10)
                await self._stop_killing(killer)
                await self._settle(bindings, self.report.room)
                self.report.placed = len(bindings.node)
                await self._delete_some(bindings)
                self.report.followed = len(bindings.node) - self.report.placed + DELETED
            finally:
                killer.cancel()
                for program in self._programs.values():
                    program.kill()
        self.report.seconds = time.monotonic() - started
        return self.report

    async def _prepare(self) -> None:
        first, last = divmod(self.addresses - 1, 256)
        addresses = {"cidr": "10.0.0.0/16", "start": "10.0.1.0", "end": f"10.0.{1 + first}.{last}"}
        networks = [Network(TIGHT, self.capacity), Network(POOLED, 100_000, addresses)]
        for network in networks:
            await self._control.network(network)
        await self._control.nodes(NODES, NODES, networks)
        await self._start("extender")
        await self._start("scheduler")

    async def _start(self, program: str) -> None:
        if program == "scheduler":
            self._programs[program] = self._control.scheduler(self._port)
        else:
            self._programs[program] = await self._control.extender(self._port)

    async def _kill_and_start(self) -> None:
        while not self._enough:
            await asyncio.sleep(self._pause * self._chance.uniform(0.5, 1.5))
            victim = self._chance.choice(["extender", "scheduler"])
            self._programs[victim].kill()
            self.report.kills[victim] += 1
            await self._start(victim)

    async def _stop_killing(self, killer: asyncio.Future[None]) -> None:
        """After at least two of each, and when the last one runs again."""
        while min(self.report.kills[name] for name in ("extender", "scheduler")) < 2:
            if killer.done():
                break
            await asyncio.sleep(0.1)
        self._enough = True
        await killer

    async def _settle(self, bindings: Bindings, count: int) -> None:
        """Until so many are bound, or for a minute none was."""
        with contextlib.suppress(TimeoutError):
            while len(bindings.node) < count:
                await bindings.until(min(count, len(bindings.node) + 1), seconds=60)

    async def _delete_some(self, bindings: Bindings) -> None:
        gone = self._chance.sample(sorted(bindings.node), DELETED)
        before = self.report.placed
        await self._control.all(
            self._control.send("DELETE", f"{planes.PODS}/{name}?gracePeriodSeconds=0") for name in gone
        )
        await asyncio.sleep(1)
        await self._settle(bindings, before)
        await asyncio.sleep(2)  # what would come too much

    def _check(self, bindings: Bindings) -> None:
        """Nothing is given twice, at this very moment."""
        on = Counter(node for name, node in bindings.node.items() if name.startswith(TIGHT))
        self.report.over_commits += [
            f"{node} has {count} attachments" for node, count in on.items() if count > self.capacity
        ]
        leased = sum(name.startswith(POOLED) for name in bindings.node)
        if leased > self.addresses:
            self.report.over_commits.append(f"the pool has {leased} addresses in use")


async def run(pods: int, pause: float) -> Report:
    """A run on a plane of its own."""
    async with planes.plane() as control:
        return await Chaos(control, pods, pause=pause).run()


def main() -> int:
    """The program."""
    report = asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, pause=2.0))
    print(report, *report.over_commits[:10], sep="\n")
    whole = report.placed == report.room and report.followed == DELETED
    return 0 if whole and not report.over_commits else 1


if __name__ == "__main__":
    sys.exit(main())
