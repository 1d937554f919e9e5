"""One attach and one detach inside the hook, against a C program that does the same (floor.c), interleaved.

`python tests/benchmark/run.py [ROUNDS]` as root (`make bench`). Each round makes fresh namespaces for both,
attaches a veth with IPv4, IPv6, a route and, in half of the rows, anti-spoofing to each, in changing order,
and detaches it: one Pod alone (caches cold after a pause, as on a quiet node), and ten in a row. Prints a
table and writes build/bench.json: a list of {name, value, unit, baseline, ratio, p99}. The datapath is
measured where a hook would call it: around `await datapath.attach`, in the event loop.
"""

import asyncio
import contextlib
import ctypes
import hashlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface
from pathlib import Path

from podnet_kni_server.datapath import announce, worker
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.datapath.model import Link, NodeLink, Route, host_name

HERE = Path(__file__).parent
OUTPUT = HERE.parents[1] / "build" / "bench.json"
NODE = "podnet-bench-node"
FLOOR_POD, OUR_POD = "podnet-bench-c", "podnet-bench-py"
BURST = 10
"""Attaches in a row: Pods come in bursts, and then code and kernel are warm."""
BRIDGE = "bench0"
GATEWAY = IPv4Address("10.77.0.1")
ROUTE = IPv4Network("10.78.0.0/16")
GOAL = 1.3
WARM_UP = 20
_BIND, _DETACH = 0x1000, 0x2
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Row:
    """One measured thing, in milliseconds."""

    name: str
    ours: list[float]
    floor: list[float]

    def add(self, ours: list[float], floor: list[float]) -> None:
        """What one round measured."""
        self.ours.extend(ours)
        self.floor.extend(floor)

    def record(self) -> dict[str, object]:
        """As it stands in bench.json."""
        value, baseline = statistics.median(self.ours), statistics.median(self.floor)
        return {
            "name": self.name,
            "value": round(value, 4),
            "unit": "ms",
            "baseline": round(baseline, 4),
            "ratio": round(value / baseline, 3),
            "p99": round(_p99(self.ours), 4),
            "baseline_p99": round(_p99(self.floor), 4),
        }


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


class Floor:
    """The C program, inside the namespace that plays the node."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", NODE, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, *words: object) -> float:
        """Milliseconds that one command took."""
        pipes = self._process
        assert pipes.stdin is not None
        assert pipes.stdout is not None
        pipes.stdin.write(" ".join(map(str, words)) + "\n")
        pipes.stdin.flush()
        answer = pipes.stdout.readline().split()
        if not answer or answer[0] != "ok":
            raise RuntimeError(f"cannot measure the floor: {' '.join(answer) or 'the program ended'}")
        return int(answer[1]) / 1e6

    def close(self) -> None:
        """End the program."""
        self._process.communicate()


def compiled() -> Path:
    """floor.c as a program, kept in the user's cache under a hash of its source."""
    source = HERE / "floor.c"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podnet"
    program = cache / f"floor-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        fresh = program.with_suffix(f".{os.getpid()}")
        subprocess.run(["cc", "-O2", "-o", str(fresh), str(source)], check=True)
        fresh.rename(program)
    return program


@contextlib.contextmanager
def namespaces(*names: str) -> Iterator[None]:
    """Fresh namespaces under /run/netns, gone afterwards; made without a process for each, as runtimes do."""
    paths = [Path("/run/netns") / name for name in names]
    try:
        for path in paths:
            _remove(path)
            path.parent.mkdir(exist_ok=True)
            path.touch()
            thread = threading.Thread(target=_pin_new_namespace, args=(path,))
            thread.start()
            thread.join()
        yield
    finally:
        for path in paths:
            _remove(path)


def _pin_new_namespace(path: Path) -> None:
    worker.unshare()
    if _libc.mount(b"/proc/thread-self/ns/net", str(path).encode(), None, _BIND, None):
        raise OSError(ctypes.get_errno(), f"cannot keep a namespace at {path}")


def _remove(path: Path) -> None:
    _libc.umount2(str(path).encode(), _DETACH)
    path.unlink(missing_ok=True)


def link(number: int, guarded: bool) -> Link:
    """A link on the bridge."""
    high, low = divmod(number % 60000 + 10, 250)
    return Link(
        kind="veth",
        name="net1",
        host_name=host_name(f"bench-{number}", "net1"),
        master=BRIDGE,
        mac=f"02:00:00:00:{high:02x}:{low:02x}",
        mtu=1500,
        addresses=(IPv4Interface(f"10.77.{high}.{low + 2}/16"), IPv6Interface(f"fd00:77::{high:x}:{low + 2:x}/64")),
        routes=(Route(ROUTE, GATEWAY),),
        default_gateways=(),
        anti_spoof=guarded,
    )


def floor_attach(floor: Floor, pod: str, link: Link) -> float:
    """Milliseconds of the C program."""
    four, six = link.addresses
    words = (link.host_name, link.name, BRIDGE, link.mac, four, six, ROUTE, GATEWAY, int(link.anti_spoof))
    return floor.ask("attach", f"/run/netns/{pod}", *words)


def floor_detach(floor: Floor, link: Link) -> float:
    """Milliseconds of the C program."""
    four, six = link.addresses
    return floor.ask("detach", link.host_name, link.mac, four, six, int(link.anti_spoof))


async def ours_attach(datapath: KernelDatapath, pod: str, link: Link) -> float:
    """Milliseconds, in the event loop."""
    begin = time.perf_counter()
    await datapath.attach(f"/run/netns/{pod}", [link])
    return (time.perf_counter() - begin) * 1e3


async def ours_detach(datapath: KernelDatapath, pod: str, link: Link) -> float:
    """Milliseconds, in the event loop."""
    begin = time.perf_counter()
    await datapath.detach(f"/run/netns/{pod}", [link])
    return (time.perf_counter() - begin) * 1e3


class Round:
    """`burst` Pods for each side, attached and detached in changing order of the sides."""

    def __init__(self, datapath: KernelDatapath, floor: Floor, number: int, burst: int, guarded: bool) -> None:
        self._datapath, self._floor, self._number = datapath, floor, number
        first = 2 * burst * number + 100
        self._theirs = [(f"{FLOOR_POD}-{i}", link(first + i, guarded)) for i in range(burst)]
        self._ours = [(f"{OUR_POD}-{i}", link(first + burst + i, guarded)) for i in range(burst)]

    @property
    def pods(self) -> list[str]:
        """The namespaces that the round needs."""
        return [pod for pod, _ in (*self._theirs, *self._ours)]

    async def attach(self) -> tuple[list[float], list[float]]:
        """Milliseconds of each attach: ours, and the floor's."""
        if self._number % 2:
            floor = [floor_attach(self._floor, *one) for one in self._theirs]
            return [await ours_attach(self._datapath, *one) for one in self._ours], floor
        ours = [await ours_attach(self._datapath, *one) for one in self._ours]
        return ours, [floor_attach(self._floor, *one) for one in self._theirs]

    async def detach(self) -> tuple[list[float], list[float]]:
        """Milliseconds of each detach: ours, and the floor's."""
        if self._number % 4 < 2:
            floor = [floor_detach(self._floor, link) for _, link in self._theirs]
            return [await ours_detach(self._datapath, *one) for one in self._ours], floor
        ours = [await ours_detach(self._datapath, *one) for one in self._ours]
        return ours, [floor_detach(self._floor, link) for _, link in self._theirs]


async def measure(rounds: int, burst: int, guarded: bool) -> list[Row]:
    """Rows for attach and detach of Pods that come alone, or `burst` of them in a row."""
    suffix = ("" if burst == 1 else f", {burst} in a row") + (", anti-spoofing" if guarded else "")
    attach, detach = Row(f"attach{suffix}", [], []), Row(f"detach{suffix}", [], [])
    with namespaces(NODE):
        datapath = KernelDatapath(f"/run/netns/{NODE}")
        await datapath.ensure_node([NodeLink("bridge", BRIDGE)])
        floor = Floor(compiled())
        try:
            for number in range(-WARM_UP // burst, rounds):
                one = Round(datapath, floor, number, burst, guarded)
                with namespaces(*one.pods):
                    attached = await one.attach()
                    # The announcement comes later and on purpose outside of the attach: not into the next one.
                    await asyncio.sleep(2 * announce.DELAY)
                    detached = await one.detach()
                if number >= 0:
                    attach.add(*attached)
                    detach.add(*detached)
        finally:
            floor.close()
            await datapath.close()
    return [attach, detach]


def write(records: list[dict[str, object]]) -> None:
    """Put `records` into build/bench.json, in place of those of the same names; others stay."""
    OUTPUT.parent.mkdir(exist_ok=True)
    former = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else []
    names = {record["name"] for record in records}
    kept = [record for record in former if record["name"] not in names]
    OUTPUT.write_text(json.dumps([*kept, *records], indent=2) + "\n")


def table(records: list[dict[str, object]]) -> str:
    """`records` for people."""
    columns = ("name", "value", "p99", "baseline", "baseline_p99", "unit", "ratio")
    rows = [columns, *(tuple(str(record[column]) for column in columns) for record in records)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def run(rounds: int) -> list[dict[str, object]]:
    """Measure, print, write."""
    plans = [(max(1, rounds // burst), burst, guarded) for burst in (1, BURST) for guarded in (False, True)]
    rows = [row for plan in plans for row in asyncio.run(measure(*plan))]
    records = [row.record() for row in rows]
    print("\n" + table(records))
    write(records)
    return records


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
