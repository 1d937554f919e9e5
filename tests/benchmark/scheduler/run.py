"""How fast kube-scheduler places Pods with the extender, against how fast it does without.

`python tests/benchmark/scheduler/run.py [--nodes 1000] [--pods 2000] [--rounds 4]`, which is `make bench-scheduler`.
etcd, API server and kube-scheduler are real; nobody runs the Pods. Each row in each round makes its Pods while no
kube-scheduler runs and then starts one, which finds all of them waiting at once: the first binding starts the clock.
The rows take turns, in the other order in every second round, so that what else the machine does falls on all.

Prints a table and writes build/bench-scheduler.json: a list of {name, value, unit, baseline, ratio, p99}. Pods ask for
a little CPU and memory, as Pods do; for those that ask for nothing kube-scheduler leaves out half of its work, so that
whatever comes on top weighs more, and they have rows of their own. The baseline of Pods per second is the first row of
the same kind of Pods. Latency is the time from the first binding to a Pod's own, so it says how
evenly a queue is worked off. The filter's time is from the extender's own histogram, interpolated in its buckets;
ms/Pod is processor time of the extender, and beside it that of kube-scheduler.
Then follow the extender's own time for a call with 5,000 names (verbs.py) and its memory (large.py).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import pathlib
import statistics
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from benchmark.scheduler import histogram, large, verbs
from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import Bindings, Network, Plane, Program
from podnet_hack import paths

OUTPUT = paths.CHECKOUT / "build" / "bench-scheduler.json"
STAND_IN = pathlib.Path(__file__).with_name("stand_in.py")
POOL = {"cidr": "10.64.0.0/10"}
FEW = "few"
"""A network on every tenth node."""
SLOW_PODS = 40
SLOW_SECONDS = 0.05


@dataclass
class Row:
    """One way to run kube-scheduler, and what was measured of it."""

    name: str
    extender: str = ""
    """podnet, accept-all, slow, killed; ``""``: none."""
    pods: str = "plain"
    """plain, affinity, managed, counted (what --hybrid makes of them)."""
    network: str = planes.NETWORK
    requests: bool = True
    """Whether the Pods ask for CPU and memory."""
    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    histogram: dict[float, float] = field(default_factory=dict)
    cpu_share: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    """Processor time of the extender for a Pod, in milliseconds; ``scheduler``: that of kube-scheduler."""
    scheduler: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    unplaced: int = 0

    def spec(self) -> tuple[dict[str, Any], str]:
        """Spec and list of networks of the Pods."""
        spec, listed = self._spec()
        return (spec if self.requests else planes.without_requests(spec)), listed

    def _spec(self) -> tuple[dict[str, Any], str]:
        if self.pods == "managed":
            return planes.managed(self.network), planes.listed(self.network)
        if self.pods == "counted":
            return planes.counted(self.network), planes.listed(self.network)
        return (planes.bound_to(self.network) if self.pods == "affinity" else planes.plain()), ""

    @property
    def rate(self) -> float:
        """Pods placed in a second."""
        return statistics.median(self.rates) if self.rates else 0.0

    def count(self, pods: int) -> int:
        """How many Pods; a slow row gets fewer, for it says all with few."""
        return min(pods, SLOW_PODS) if self.extender == "slow" else pods


def rows() -> list[Row]:
    """All rows; the first with, and the first without requests are what the others are compared with."""
    return [
        Row("no extender"),
        Row("no extender, Pods without requests", requests=False),
        Row("accept-all extender, all Pods managed", "accept-all", "managed"),
        Row("podnet, no managed Pod", "podnet"),
        Row("podnet, all Pods managed", "podnet", "managed"),
        Row("podnet, managed, on 10% of the nodes", "podnet", "managed", FEW),
        Row("affinity only", "", "affinity"),
        Row("affinity only, Pods without requests", "", "affinity", requests=False),
        Row("affinity only, to 10% of the nodes", "", "affinity", FEW),
        Row("hybrid: counted by the nodes", "podnet", "counted"),
        Row("hybrid, Pods without requests", "podnet", "counted", requests=False),
        Row("podnet, killed in the middle", "killed", "managed"),
        Row("podnet, 50 ms away", "slow", "managed"),
    ]


class Bench:
    """All rows on one plane."""

    def __init__(self, control: Plane, pods: int, percentage: int) -> None:
        self._control = control
        self._pods = pods
        self._percentage = percentage
        self._port, self._front = planes.free_port(), planes.free_port()
        self._turn = 0

    async def measure(self, row: Row) -> None:
        """One turn of a row."""
        self._turn += 1
        prefix, count = f"turn{self._turn}", row.count(self._pods)
        spec, listed = row.spec()
        await self._control.pods(prefix, count, spec, listed)
        async with self._extender(row) as programs, Bindings.of(self._control) as bindings:
            before = await self._histogram() if row.extender in {"podnet", "slow"} else {}
            used, started = (programs[0].cpu_seconds if programs else 0.0), time.monotonic()
            async with self._control.running(self._scheduler(row)) as scheduler:
                with contextlib.suppress(TimeoutError):
                    await self._follow(row, bindings, programs, count)
                row.scheduler.append(scheduler.cpu_seconds / count * 1000)
            if before:
                histogram.add(row.histogram, before, await self._histogram())
            if programs:
                row.cpu_share.append((programs[0].cpu_seconds - used) / (time.monotonic() - started))
                row.own.append((programs[0].cpu_seconds - used) / count * 1000)
                row.peak_mib = max(row.peak_mib, programs[0].peak_mib)
            self._note(row, sorted(bindings.time.values()), count)
        await self._control.no_pods()

    def _scheduler(self, row: Row) -> Program:
        port = self._front if row.extender in {"accept-all", "slow"} else self._port
        return self._control.scheduler(port if row.extender else 0, percentage=self._percentage)

    async def _follow(self, row: Row, bindings: Bindings, programs: list[Program], count: int) -> None:
        if row.extender == "killed":
            await bindings.until(count // 2)
            programs[0].kill()
            await asyncio.sleep(1)
            programs[0] = await self._control.extender(self._port)
        await bindings.until(count)

    @contextlib.asynccontextmanager
    async def _extender(self, row: Row) -> AsyncIterator[list[Program]]:
        """The programs that a row needs; the one that is measured stands first."""
        programs = []
        if row.extender in {"podnet", "slow", "killed"}:
            programs.append(await self._control.extender(self._port))
        if row.extender == "slow":
            programs.append(await self._stand_in(self._port, SLOW_SECONDS))
        if row.extender == "accept-all":
            programs.append(await self._stand_in())
        try:
            yield programs
        finally:
            for program in programs:
                program.kill()

    async def _stand_in(self, *words: object) -> Program:
        log = self._control.directory / "stand-in.log"
        program = Program(log, sys.executable, STAND_IN, self._front, *words)
        await program.until(lambda: self._control.serves(self._front))
        return program

    async def _histogram(self) -> histogram.Histogram:
        return histogram.of(await self._control.metrics(self._port), "filter")

    def _note(self, row: Row, times: list[float], count: int) -> None:
        row.unplaced += count - len(times)
        if len(times) > 1:
            row.rates.append((len(times) - 1) / (times[-1] - times[0]))
            row.latencies += [moment - times[0] for moment in times]


def percentile(numbers: list[float], part: float) -> float:
    """0.5 for the median; 0 of nothing."""
    return sorted(numbers)[int(part * (len(numbers) - 1))] if numbers else 0.0


def baseline(row: Row, measured: list[Row]) -> Row:
    """The row with which ``row`` is compared: the first with Pods of the same kind."""
    return next(one for one in measured if one.requests == row.requests)


def records(measured: list[Row]) -> list[dict[str, object]]:
    """What stands in bench-scheduler.json."""
    made: list[dict[str, object]] = []
    for row in measured:
        first, latency = baseline(row, measured), percentile(row.latencies, 0.5)
        made.append(_record(row.name, row.rate, "Pods/s", first.rate))
        p99 = round(percentile(row.latencies, 0.99), 4)
        made.append(
            _record(f"{row.name}: scheduling latency", latency, "s", percentile(first.latencies, 0.5)) | {"p99": p99}
        )
        if row.histogram:
            value, high = histogram.quantile(row.histogram, 0.5), histogram.quantile(row.histogram, 0.99)
            made.append(_record(f"{row.name}: filter", value, "ms", 1.0) | {"p99": round(high, 4)})
        if row.cpu_share:
            made.append(
                _record(f"{row.name}: processor of the extender", statistics.median(row.cpu_share), "cores", 1.0)
            )
            made.append(_record(f"{row.name}: memory of the extender", row.peak_mib, "MiB", 150.0))
        if row.scheduler:
            taken = statistics.median(row.scheduler)
            made.append(_record(f"{row.name}: processor of kube-scheduler for a Pod", taken, "ms", 1.0))
        if row.unplaced:
            made.append(_record(f"{row.name}: never placed", row.unplaced, "Pods", 0.0))
    return made


def _record(name: str, value: float, unit: str, baseline: float) -> dict[str, object]:
    ratio = round(value / baseline, 3) if baseline else None
    return {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "baseline": round(baseline, 4),
        "ratio": ratio,
        "p99": None,
    }


def _own(timing: verbs.Timing) -> dict[str, object]:
    name = f"{timing.verb} of {verbs.NODES} names: {timing.situation}"
    value, p99 = verbs.percentile(timing.clock, 0.5), verbs.percentile(timing.clock, 0.99)
    return _record(name, value, "ms", 1.0) | {"p99": round(p99, 4)}


def table(measured: list[Row]) -> str:
    """For people."""
    head = f"{'':40}{'Pods/s':>8}{'ratio':>7}{'latency p50':>13}{'p99':>7}"
    head += f"{'filter p50':>12}{'p99':>7}{'cores':>7}{'MiB':>6}{'ms/Pod':>8}{'scheduler':>11}"
    lines = [head]
    for row in measured:
        first = baseline(row, measured).rate
        line = f"{row.name:40}{row.rate:8.0f}{row.rate / first if first else 0:7.2f}"
        line += f"{percentile(row.latencies, 0.5):12.1f}s{percentile(row.latencies, 0.99):6.1f}s"
        if row.histogram:
            line += f"{histogram.quantile(row.histogram, 0.5):10.2f}ms{histogram.quantile(row.histogram, 0.99):7.2f}"
        else:
            line += " " * 19
        line += f"{statistics.median(row.cpu_share):7.2f}{row.peak_mib:6.0f}" if row.cpu_share else " " * 13
        line += f"{statistics.median(row.own):8.2f}" if row.own else " " * 8
        line += f"{statistics.median(row.scheduler):11.2f}" if row.scheduler else ""
        lines.append(line + (f"  {row.unplaced} NEVER PLACED" if row.unplaced else ""))
    return "\n".join(lines)


async def run(args: argparse.Namespace) -> list[Row]:
    """All rounds."""
    measured = [row for row in rows() if not args.only or any(word in row.name for word in args.only)]
    async with planes.plane() as control:
        network, few = Network(capacity=1000, range=POOL), Network(FEW, 1000, {"cidr": "10.128.0.0/10"})
        await control.network(network)
        await control.network(few)
        started = time.monotonic()
        await control.nodes(args.nodes, args.nodes // 10, [few], [network])
        print(f"{args.nodes} nodes in {time.monotonic() - started:.0f} s", flush=True)
        bench = Bench(control, args.pods // args.rounds, args.percentage)
        for number in range(args.rounds):
            for row in measured if number % 2 == 0 else reversed(measured):
                started = time.monotonic()
                await bench.measure(row)
                rate = f"{row.rates[-1]:.0f} Pods/s" if row.rates else "nothing placed"
                print(f"round {number + 1}: {row.name}: {rate} ({time.monotonic() - started:.0f} s)", flush=True)
    return measured


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="bench-scheduler", description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=2000, help="for each row, in all rounds together")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--only", nargs="*", help="parts of the names of rows; the first of a kind is the baseline")
    parser.add_argument(
        "--percentage", type=int, default=0, help="percentageOfNodesToScore; 0: kube-scheduler's default"
    )
    measured = asyncio.run(run(parser.parse_args()))
    print("\n" + table(measured) + "\n")
    made = records(measured)
    made += [_own(timing) for timing in verbs.report(verbs.NODES)]
    mebibytes = asyncio.run(large.measure(large.NODES, large.PODS))
    made.append(_record(f"memory at {large.NODES} nodes and {large.PODS} Pods", mebibytes, "MiB", large.GOAL_MIB))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(made, indent=1) + "\n")
    return 1 if any(row.unplaced for row in measured) else 0


if __name__ == "__main__":
    sys.exit(main())
