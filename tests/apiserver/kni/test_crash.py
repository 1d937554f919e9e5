"""The real KNI server on a real kernel, killed at every step and at any moment: nothing leaks, no Pod is without
its networks. And what else befalls a node: a full disk, no API server, namespaces that go, a clock that jumps.

The runtime is a small one that speaks NRI and makes real namespaces. `make chaos` runs the long form
(PODNET_CRASH_ROUNDS, PODNET_OUTAGE_SECONDS).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import pathlib
import random
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from typing import Any

import pytest
from podnet_api.kube import Client
from podnet_kni_server import faultpoints
from podnet_kni_server.nri import errors, types
from podnet_tests.machine import NODE, Machine, eventually, tiny_file_system

ROUNDS = int(os.environ.get("PODNET_CRASH_ROUNDS", "30"))
OUTAGE = float(os.environ.get("PODNET_OUTAGE_SECONDS", "5"))
KNI = "/apis/kni.multinetwork.x-k8s.io/v1alpha1"
MOST = 6
"""So many Pods at once."""


def leased(server: Any) -> dict[str, int]:
    """Addresses that the server has given, as it publishes them: what its blocks hold less what is free."""
    blocks = server.send("GET", f"{KNI}/ipblocks").body["items"]
    found = server.send("GET", f"{KNI}/nodenetworks/{NODE}")
    status = found.body.get("status", {}) if found.code == 200 else {}
    given = {}
    for entry in status.get("networks", []):
        name = entry["name"]
        held = sum(_usable(b["spec"]["cidr"]) for b in blocks if b["spec"]["networkConfig"] == name)
        given[name] = held - entry["addresses"]["free4"] - entry["addresses"]["free6"]
    return given


def _usable(cidr: str) -> int:
    network = ipaddress.ip_network(cidr)
    return network.num_addresses - (network[0] in _FIRST) - (network[-1] in _LAST)


_FIRST = {ipaddress.ip_address(a) for a in ("10.80.0.0", "fd80::", "10.81.0.0", "10.82.0.0")}
_LAST = {ipaddress.ip_address(a) for a in ("10.80.3.255", "10.81.0.127", "10.82.0.7")}


def leaked(server: Any, machine: Machine) -> str:
    """Addresses leased without a sandbox."""
    wanted: Counter[str] = Counter({"blue": 0, "green": 0, "tiny": 0, "kept": 0, "bare": 0})
    for record in machine.records().values():
        for interface in record.interfaces:
            wanted[interface.network] += len(interface.link.addresses)
    given = leased(server)
    return "" if given == wanted else f"leased {given}, in use {dict(wanted)}"


class Chaos:
    """Pods come and go on a machine whose server dies."""

    def __init__(self, machine: Machine, seed: int) -> None:
        self.machine = machine
        self.chance = random.Random(seed)
        self.killed: Counter[str] = Counter()

    async def round(self, point: str) -> None:
        """Work until the server dies at ``point``, or for a moment and then it is killed. It is started again."""
        self.machine.arm(point)
        if point == "any moment":
            delay = self.chance.random() * 0.15
            asyncio.get_running_loop().call_later(delay, self._shoot)
        end = time.monotonic() + 10
        while not await self.machine.died(0) and time.monotonic() < end:
            await self._something(point)
        died = await self.machine.died(0)
        self.killed[point] += died
        self.machine.kill()
        if died and self.chance.random() < 0.2 and point in faultpoints.POINTS:
            self.machine.spawn()  # it may die again while it puts things right
            self.killed[point + " again"] += await self.machine.died(1.5)
            self.machine.kill()
        self.machine.arm("")
        await self.machine.start()

    def _shoot(self) -> None:
        if self.machine.process is not None:
            self.machine.process.kill()

    async def _something(self, point: str) -> None:
        """A Pod comes or goes. When the server is gone, the runtime does not wait for it."""
        alive = list(self.machine.alive)
        going = point in faultpoints.DETACH or len(alive) >= MOST or self.chance.random() < 0.4
        going &= point != "claim.created"  # then all must be taken until a claim is needed
        with contextlib.suppress(errors.NriError):
            if alive and going:
                await self.machine.stop_pod(self.chance.choice(alive))
                return
            try:
                await self.machine.run_pod(*self.chance.choice((("blue",), ("green", "blue"), ("default", "green"))))
            except errors.ConnectionLost:
                if self.chance.random() < 0.5:  # the kubelet gives the sandbox up
                    self.machine.vanish(list(self.machine.alive)[-1])
                raise


POINTS = (*faultpoints.ATTACH, "any moment", *faultpoints.DETACH, "any moment")


async def test_killed_at_every_step_and_at_any_moment(apiserver: Any, machine: Machine) -> None:
    chaos, server = Chaos(machine, 1), apiserver
    await machine.start()
    for number in range(ROUNDS):
        await chaos.round(POINTS[number % len(POINTS)])
        await eventually(machine.faults)
        await eventually(lambda: leaked(server, machine))
    print("\nkilled:", ", ".join(f"{point} {count}" for point, count in sorted(chaos.killed.items())))
    assert {point for point in POINTS if chaos.killed[point]} >= set(POINTS[:ROUNDS])
    for id in list(machine.alive):
        await machine.stop_pod(id)
    assert not machine.records()
    assert not machine.faults()
    await eventually(lambda: leaked(server, machine))


async def test_killed_when_a_block_has_just_gone_back(apiserver: Any, machine: Machine) -> None:
    await machine.start()
    pod = await machine.run_pod("green")
    before = _blocks(apiserver, "green")
    machine.arm("claim.deleted")
    await machine.stop_pod(pod.id)
    assert await machine.died(30), "single addresses go back after ten seconds"
    machine.arm("")
    assert set(before) > set(_blocks(apiserver, "green"))
    await machine.start()
    await machine.run_pod("green")
    await eventually(machine.faults)
    await eventually(lambda: leaked(apiserver, machine))


def _blocks(server: Any, config: str) -> list[str]:
    items = server.send("GET", f"{KNI}/ipblocks").body["items"]
    return [item["metadata"]["uid"] for item in items if item["spec"]["networkConfig"] == config]


async def test_a_namespace_that_goes_before_stop(apiserver: Any, machine: Machine) -> None:
    await machine.start()
    pods = [await machine.run_pod("blue", "green") for _ in range(3)]
    for pod in pods:
        machine.forget_place(pod.id)
    assert machine.plugin is not None
    await machine.plugin.stop_pod_sandbox(pods[0])
    machine.alive.pop(pods[0].id)
    machine.alive.pop(pods[1].id)
    machine.kill()
    await machine.start()  # the second is not there any more, the third has no namespace
    machine.alive.pop(pods[2].id)
    await eventually(machine.faults)
    await eventually(lambda: leaked(apiserver, machine))
    assert not machine.records()


async def test_a_full_disk(apiserver: Any, machine: Machine) -> None:
    with tiny_file_system(machine.run, 256 * 1024):
        await machine.start()
        stays = await machine.run_pod("blue")
        filler = machine.run / "filler"
        with filler.open("wb", 0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        with pytest.raises(errors.StatusError, match="cannot write checkpoint of Pod"):
            await machine.run_pod("blue", "green")
        assert not machine.faults()
        await machine.stop_pod(stays.id)
        assert not machine.records()
        assert not machine.host_links()
        filler.unlink()
        await machine.run_pod("blue", "green")
        await eventually(machine.faults)
        await eventually(lambda: leaked(apiserver, machine))
        machine.kill()


async def test_without_the_api_server(apiserver: Any, machine: Machine) -> None:
    """What the node holds goes on being given; a server that starts meanwhile waits, and its Pods run on."""
    await machine.start()
    await machine.run_pod("blue")
    await machine.relay.cut()
    end, attached = time.monotonic() + OUTAGE, 0
    while time.monotonic() < end:
        pod = await machine.run_pod("blue")
        attached += 1
        await asyncio.sleep(OUTAGE / 100)
        await machine.stop_pod(pod.id)
    kept = [await machine.run_pod("blue") for _ in range(3)]
    assert attached > 10
    assert not machine.faults()
    machine.kill()
    machine.spawn()
    await asyncio.sleep(2)
    assert machine.process is not None
    assert machine.process.poll() is None, "it waits for the API server"
    assert len(machine.host_links()) == len(kept) + 1
    await machine.relay.mend()
    with pytest.raises(errors.StatusError, match="all 6 are in use"):
        await _use_up(machine)
    await eventually(machine.faults, 20)
    await eventually(lambda: leaked(apiserver, machine), 20)


async def _use_up(machine: Machine) -> None:
    """The smallest pool, as soon as the server is back."""
    machine.plugin = await machine.runtime.plugin(40)
    for _ in range(7):
        await machine.run_pod("tiny")


async def test_an_exhausted_pool_recovers(apiserver: Any, machine: Machine) -> None:
    await machine.start()
    pods = [await machine.run_pod("tiny") for _ in range(6)]
    for _ in range(2):
        with pytest.raises(errors.StatusError, match="all 6 are in use; enlarge a range or remove a Pod"):
            await machine.run_pod("blue", "tiny")
    await machine.stop_pod(pods[3].id)
    await machine.run_pod("tiny")
    await eventually(machine.faults)
    await eventually(lambda: leaked(apiserver, machine))


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long offset(void) {
    long seconds = 0;
    FILE *file = fopen(getenv("CLOCK_OFFSET"), "re");
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += offset();
    return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec; now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *place) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (place) *place = exact.tv_sec;
    return exact.tv_sec;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
async def test_a_clock_that_jumps(
    apiserver: Any, machine: Machine, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wall clock goes a day ahead, then two days back: nothing that the server does hangs on it."""
    (tmp_path / "clock.c").write_text(CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "clock.so", tmp_path / "clock.c", "-ldl"], check=True)
    offset = tmp_path / "offset"
    offset.write_text("0")
    monkeypatch.setenv("CLOCK_OFFSET", str(offset))
    await machine.start(preload=str(tmp_path / "clock.so"))
    first = await machine.run_pod("blue", "green")
    before = machine.records()[first.id]
    for seconds in ("86400", "-86400"):
        offset.write_text(seconds)
        pod = await machine.run_pod("blue", "green")
        await asyncio.sleep(3)  # idle blocks are looked at every two seconds
        assert machine.records()[first.id] == before
        assert apiserver.send("GET", f"{KNI}/ipblocks").body["items"]
        await machine.stop_pod(pod.id)
        await eventually(machine.faults)
    assert machine.process is not None
    assert machine.process.poll() is None
    log = machine.log.read_text()
    assert "Traceback" not in log


class Ping:
    """Datagrams from one sandbox to another, every 10 ms; a thread echoes them. ``lost`` are those without answer."""

    def __init__(self, machine: Machine, source: types.PodSandbox, target: types.PodSandbox) -> None:
        address = machine.records()[target.id].interfaces[0].link.addresses[0].partition("/")[0]
        self._echo = machine.place_of(target.id).inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._echo.bind((address, 7))
        self._mouth = machine.place_of(source.id).inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._mouth.connect((address, 7))
        self._mouth.settimeout(0.3)
        self._stop = threading.Event()
        self._answered: set[int] = set()
        self.sent = 0
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._answer, self._send, self._hear)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> int:
        """End; how many were lost."""
        self._stop.set()
        time.sleep(0.5)
        for one in (self._echo, self._mouth):
            one.close()
        return self.sent - len(self._answered)

    def _answer(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, sender = self._echo.recvfrom(64)
                self._echo.sendto(data, sender)

    def _send(self) -> None:
        while not self._stop.wait(0.01):
            with contextlib.suppress(OSError):
                self._mouth.send(str(self.sent).encode())
            self.sent += 1

    def _hear(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError):
                self._answered.add(int(self._mouth.recv(64)))


PODS = 250


async def test_a_restart_with_250_pods(apiserver: Any, machine: Machine, client: Client) -> None:
    """Killed and started again with all of them there: all is as it was, and not one packet is lost."""
    await machine.start()
    pods = [await machine.run_pod("blue") for _ in range(PODS)]
    before = machine.records()
    ping = Ping(machine, pods[0], pods[-1])
    ping.start()
    await asyncio.sleep(1)
    taken = []
    for _ in range(3):
        machine.kill()
        await asyncio.sleep(0.5)
        taken.append(await machine.start())
        assert machine.records() == before
    lost = ping.stop()
    print(f"\n{PODS} Pods: synchronized {', '.join(f'{t:.2f}' for t in taken)} s after the start;",
          f"{lost} of {ping.sent} packets lost")  # fmt: skip
    assert lost == 0
    assert ping.sent > 100
    await eventually(lambda: leaked(apiserver, machine))
    assert machine.host_links() == {r.interfaces[0].link.host_name for r in before.values()}
