"""Attach and detach by each datapath that the kernel has, beside the C floor of a bridge (floor.c), interleaved.

`python tests/benchmark/datapaths.py [ROUNDS]` as root (part of `make bench`). The floor is one veth on a bridge: what
another datapath costs more is work of the kernel, more links or more steps. Adds its rows to build/bench.json.
"""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
from collections.abc import Iterator

from benchmark import run
from podnet_kni_server.datapath import announce
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.datapath.model import Link, NodeLink
from podnet_kni_server.details import Extras, RoutedDetail, ShapingRecord, TapDetail

UPLINK = "bench-up"
HOPS = ("169.254.200.1", "fe80::1")
LIMITS = Extras(shaping=ShapingRecord(ingress_rate=10**9, egress_rate=10**9))


def variants(kinds: dict[str, str]) -> Iterator[tuple[str, dict[str, object]]]:
    """What of a link on the bridge is otherwise in each datapath that the kernel has."""
    upon: dict[str, object] = {"master": UPLINK, "host_name": "", "routes": ()}
    yield "bridge", {}
    yield "bridge with anti-spoofing", {"anti_spoof": True}
    yield "bridge with rates", {"extras": LIMITS}
    yield "routed", {"kind": "routed", "master": "", "routes": (), "detail": RoutedDetail(gateways=list(HOPS))}
    for kind in ("macvlan", "ipvlan"):
        if not kinds[kind]:
            yield kind, upon | {"kind": kind, "mode": "bridge" if kind == "macvlan" else "l2"}
    if not kinds["vlan"]:
        yield "vlan direct", upon | {"kind": "vlan", "vlan": 77, "mac": ""}
    if not kinds["tap"]:
        yield "tap", {"kind": "tap", "detail": TapDetail()}


async def measure(rounds: int) -> list[run.Row]:
    """Two rows for each datapath."""
    with run.namespaces(run.NODE):
        words = f"ip -n {run.NODE} link add {UPLINK} type veth peer name {UPLINK}x"
        for command in (words, *(f"ip -n {run.NODE} link set {name} up" for name in (UPLINK, f"{UPLINK}x"))):
            subprocess.run(command.split(), check=True)
        datapath = KernelDatapath(f"/run/netns/{run.NODE}")
        floor = run.Floor(run.compiled())
        try:
            chosen = list(variants(await datapath.kinds()))
            await datapath.ensure_node([NodeLink("bridge", run.BRIDGE), NodeLink("routed", "far", versions=(4,))])
            rows = {
                name: (run.Row(f"attach, {name}", [], []), run.Row(f"detach, {name}", [], [])) for name, _ in chosen
            }
            for number in range(-2, rounds):
                for at, (name, changed) in enumerate(chosen):
                    link = dataclasses.replace(run.link(1000 + 20 * (number + 2) + at, False), **changed)  # type: ignore[arg-type]
                    ours, theirs = await _once(datapath, floor, link, number)
                    for row, mine, its in zip(rows[name], ours, theirs, strict=True):
                        if number >= 0:
                            row.add([mine], [its])
        finally:
            floor.close()
            await datapath.close()
    return [row for pair in rows.values() for row in pair]


async def _once(datapath: KernelDatapath, floor: run.Floor, link: Link, number: int) -> tuple[list[float], list[float]]:
    """Milliseconds of attach and detach: ours, and the floor's."""
    plain = run.link(30000 + number, False)
    with run.namespaces(run.FLOOR_POD, run.OUR_POD):
        theirs = [run.floor_attach(floor, run.FLOOR_POD, plain)]
        ours = [await run.ours_attach(datapath, run.OUR_POD, link)]
        await asyncio.sleep(2 * announce.DELAY)
        ours.append(await run.ours_detach(datapath, run.OUR_POD, link))
        theirs.append(run.floor_detach(floor, plain))
    return ours, theirs


def main(rounds: int) -> None:
    """Measure, print, write."""
    records = [row.record() for row in asyncio.run(measure(rounds))]
    print("\n" + run.table(records))
    run.write(records)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
