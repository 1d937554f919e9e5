"""A node in a network namespace: the real KNI server as a process that can be killed, a runtime that calls it over
NRI and makes real namespaces for its sandboxes, and a wire to the API server that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from netns.lab import Place
from podnet_kni_server import faultpoints
from podnet_kni_server.datapath import spoof
from podnet_kni_server.datapath.model import HOST_PREFIX
from podnet_kni_server.nri import errors, fake, types
from podnet_kni_server.records import Record

from podnet_tests import kni_world

NODE = "crashing"
"""Name of the Node that the machine plays."""
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


async def eventually(look: Callable[[], Any], seconds: float = 10) -> None:
    """Wait until ``look`` finds nothing; fail with what it found last."""
    end = time.monotonic() + seconds
    while seen := look():
        assert time.monotonic() < end, seen
        await asyncio.sleep(0.05)


class Relay:
    """Carries TCP from a port inside a namespace to a port out here, unless it is cut."""

    def __init__(self, place: Place, port: int) -> None:
        self._place = place
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def mend(self) -> None:
        """Listen."""

        def listening() -> socket.socket:
            made = socket.socket()
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(("127.0.0.1", self._port))
            return made

        self._server = await asyncio.start_server(self._carry, sock=self._place.inside(listening))

    async def cut(self) -> None:
        """Refuse what comes and end what there is."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        self._open -= {writer, far_writer}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


class Machine:
    """``alive`` are the sandboxes that run, by id."""

    def __init__(self, server: Any, directory: pathlib.Path, node: str, kubeconfig: pathlib.Path | None = None) -> None:
        self.node = node
        self._kubeconfig = kubeconfig or server.kubeconfig
        self.place = Place(f"pdm{os.getpid()}x{next(_numbers)}")
        self.run = directory / "run"
        self.run.mkdir()
        self.fault = directory / "fault"
        self.log = directory / "server.log"
        self.alive: dict[str, types.PodSandbox] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.plugin: fake.Plugin | None = None
        self.relay = Relay(self.place, int(server.url.rpartition(":")[2]))
        self._nri = directory / "nri.sock"
        self.runtime = fake.Runtime()
        self._exit = contextlib.AsyncExitStack()
        self._places: dict[str, Place] = {}

    async def open(self) -> None:
        """The runtime listens, the API server can be reached."""
        await self.relay.mend()
        await self._exit.enter_async_context(self.runtime.listening(self._nri))

    async def close(self) -> None:
        """All gone."""
        self.kill()
        await self.relay.cut()
        await self._exit.aclose()
        for place in (*self._places.values(), self.place):
            place.delete()

    # The server.

    async def start(self, *, timeout: float = 30, preload: str = "") -> float:
        """Start the server; the seconds until it is synchronized."""
        began = time.monotonic()
        self.spawn(preload=preload)
        try:
            self.plugin = await self.runtime.plugin(timeout)
        except TimeoutError as error:
            tail = self.log.read_text(errors="replace")[-4000:]
            raise AssertionError(f"not synchronized after {timeout:.0f} s:\n{tail}") from error
        return time.monotonic() - began

    def spawn(self, *, preload: str = "", more: Sequence[str] = ()) -> None:
        """Start the server, with ``more`` flags, and do not wait."""
        self.runtime.pods = list(self.alive.values())
        while not self.runtime.ready.empty():
            self.runtime.ready.get_nowait()
        words = ["ip", "netns", "exec", self.place.name, sys.executable, "-m", "podnet_kni_server.main"]
        words += ["--node-name", self.node, "--run-dir", str(self.run), "--nri-socket", str(self._nri)]
        words += ["--kubeconfig", str(self._kubeconfig), "--probes", "127.0.0.1:10262", *more]
        environment = os.environ | {faultpoints.ENVIRONMENT: str(self.fault)}
        if preload:
            environment["LD_PRELOAD"] = preload
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, env=environment, preexec_fn=_die_with_parent)

    def kill(self) -> None:
        """SIGKILL, if it has not died already."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = self.plugin = None

    async def died(self, seconds: float) -> bool:
        """Whether it dies by itself in time."""
        assert self.process is not None
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            await asyncio.sleep(0.01)
        return self.process.poll() is not None

    def arm(self, point: str) -> None:
        """From now on it dies at ``point``."""
        self.fault.write_text(point)

    # Sandboxes.

    async def run_pod(self, *networks: Any, name: str = "", uid: str = "") -> types.PodSandbox:
        """A sandbox with its namespace, through the hook. Raises what the plugin answers; it is gone then, unless the
        plugin was lost: a runtime goes on without one that is gone. What was late is tried again, as by the kubelet."""
        for tries_left in (2, 1, 0):
            pod = self.sandbox(*networks, name=name, uid=uid)
            assert self.plugin is not None
            try:
                await self.plugin.run_pod_sandbox(pod)
            except (errors.StatusError, errors.NoAnswer) as error:
                self.vanish(pod.id)
                if not tries_left or not str(error).endswith("in time"):
                    raise
            else:
                return pod
        raise AssertionError("not reached")

    def sandbox(self, *networks: Any, name: str = "", uid: str = "") -> types.PodSandbox:
        """A namespace, and what the runtime tells of it."""
        number = next(_numbers)
        made = kni_world.sandbox(*networks, id=f"s{os.getpid()}x{number}", name=name or f"p{number}", uid=uid)
        self._places[made.id] = Place(f"pdp{os.getpid()}x{number}")
        path = self._places[made.id].path
        namespaces = (types.Namespace("network", path),)
        pod = types.PodSandbox(
            made.id, made.name, "default", made.uid, annotations=made.annotations, namespaces=namespaces
        )
        self.alive[pod.id] = pod
        return pod

    async def stop_pod(self, id: str) -> None:
        """As the runtime does: Stop, then the namespace goes, then Remove. Raises what the plugin answers."""
        pod = self.alive[id]
        assert self.plugin is not None
        try:
            await self.plugin.stop_pod_sandbox(pod)
        finally:
            self.vanish(id)
        await self.plugin.remove_pod_sandbox(pod)

    def vanish(self, id: str) -> None:
        """The sandbox and its namespace are gone, and nobody is told."""
        self.alive.pop(id, None)
        self.forget_place(id)

    def forget_place(self, id: str) -> None:
        """The namespace alone."""
        place = self._places.pop(id, None)
        if place is not None:
            place.delete()

    def place_of(self, id: str) -> Place:
        """Its namespace."""
        return self._places[id]

    # What is there.

    def records(self) -> dict[str, Record]:
        """The checkpoints."""
        found = (self.run / "sandboxes").glob("*.json")
        return {path.stem: msgspec.json.decode(path.read_bytes(), type=Record) for path in found}

    def host_links(self) -> set[str]:
        """Host ends of ours."""
        return {name for name in self.place.links() if name.startswith(HOST_PREFIX)}

    def guarded(self) -> set[str]:
        """Ports that the anti-spoofing rules speak of."""
        listed = subprocess.run(
            ["ip", "netns", "exec", self.place.name, "nft", "-j", "list", "table", "bridge", spoof.TABLE],
            capture_output=True,
            check=False,
        )
        if listed.returncode:
            return set()
        sets = [entry["set"] for entry in json.loads(listed.stdout)["nftables"] if "set" in entry]
        return {
            e["concat"][0] for one in sets for e in one.get("elem", []) if str(e["concat"][0]).startswith(HOST_PREFIX)
        }

    def addresses_in(self, id: str, interface: str) -> set[str]:
        """Addresses of global scope that a sandbox really has."""
        shown = self.place_of(id).ip("-j", "address", "show", "dev", interface, "scope", "global")
        found = [a for link in json.loads(shown) for a in link.get("addr_info", [])]
        return {f"{a['local']}/{a['prefixlen']}" for a in found if "local" in a}  # ip prints {} for what it leaves out

    def faults(self) -> list[str]:
        """What is not as it must be while nothing is under way: leaks, and Pods without their networks."""
        records = self.records()
        names = {i.link.host_name for record in records.values() for i in record.interfaces}
        found = [f"checkpoint without a sandbox: {id}" for id in records.keys() - self.alive.keys()]
        found += [f"Pod without its networks: {id}" for id in self.alive.keys() - records.keys()]
        found += [f"checkpoint {id} is {r.state.value}" for id, r in records.items() if r.state.value != "attached"]
        found += [f"link without a sandbox: {name}" for name in self.host_links() - names]
        found += [f"sandbox without its link: {name}" for name in names - self.host_links()]
        found += [f"guard without a sandbox: {name}" for name in self.guarded() - names]
        found += [f"sandbox without its guard: {name}" for name in names - self.guarded()]
        for id in records.keys() & self.alive.keys():
            for interface in records[id].interfaces:
                real = self.addresses_in(id, interface.link.name)
                if real != set(interface.link.addresses):
                    found.append(f"{id} {interface.link.name} has {real}, not {interface.link.addresses}")
        return found


@contextlib.contextmanager
def tiny_file_system(path: pathlib.Path, size: int) -> Any:
    """A tmpfs of ``size`` bytes mounted at ``path``."""
    options = f"size={size}".encode()
    if _libc.mount(b"tiny", os.fsencode(path), b"tmpfs", 0, options):
        raise OSError(ctypes.get_errno(), "mount")
    try:
        yield
    finally:
        _libc.umount2(os.fsencode(path), 2)


def _die_with_parent() -> None:
    _libc.prctl(1, signal.SIGKILL)
