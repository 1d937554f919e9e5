"""Addresses by DHCP for links of the kernel: the CNI plugin `dhcp`, and the daemon of it that keeps the leases.

The daemon is a child of the server and holds leases in memory only. So every lease is asked for again when a daemon
starts, and looked at regularly: the daemon answers with the lease that it has, and what became of the address is
done to the link. What DEL needs is in the executor's cache.
"""

import asyncio
import contextlib
import logging
import os
import signal

import msgspec
from podnet_api.errors import PodnetError

from podnet_kni_server.cni import config, routes
from podnet_kni_server.cni.cache import Entry
from podnet_kni_server.cni.errors import PluginError
from podnet_kni_server.cni.exec import Runner
from podnet_kni_server.cni.executor import Executor
from podnet_kni_server.cni.request import Pod, Request
from podnet_kni_server.cni.result import Result
from podnet_kni_server.datapath.errors import DatapathError, NetnsMissing
from podnet_kni_server.datapath.model import Interface, Link
from podnet_kni_server.datapath.worker import Worker
from podnet_kni_server.details import DhcpRecord

log = logging.getLogger(__name__)
PLUGIN = "dhcp"
_VERSION = "1.0.0"
_START_SECONDS = 5.0
_LOOK_SECONDS = 15.0
_PAUSE_SECONDS = 2.0
# The daemon's own patience: with a request that nobody answers, and altogether before it gives up.
_DAEMON_FLAGS = ("-timeout", "3s", "-resendtimeout", "30s")


class Dhcp:
    """Leases of one node. `socket`: of the daemon, as the node sees it."""

    def __init__(self, executor: Executor, runner: Runner, worker: Worker, socket: str) -> None:
        self._executor = executor
        self._runner = runner
        self._worker = worker
        self._socket = socket
        self._wanted = asyncio.Event()
        self._up = asyncio.Event()

    async def lease(self, netns_path: str, link: Link, asked: DhcpRecord) -> Result:
        """Have a lease for `link`, which is there, and its address upon it. Raises DatapathError."""
        known = self._executor.result(asked.sandbox, link.name)
        if known is not None and await self._worker.call(self._holds, netns_path, link, known):
            return known
        await self._executor.delete(asked.sandbox, link.name)
        await self._daemon()
        request = Request(Pod(asked.sandbox, asked.namespace, asked.pod, asked.uid), netns_path, link.name)
        made = (await self._executor.add(request, self._config(asked), asked.network)).result
        try:
            await self._worker.call(self._put, netns_path, link, made, ())
        except DatapathError:
            await self._executor.delete(asked.sandbox, link.name)
            raise
        return made

    async def release(self, link: Link, asked: DhcpRecord) -> None:
        """Give the lease back while the link is there to say so over it; no error when there is none."""
        if self._executor.knows(asked.sandbox, link.name):
            await self._daemon()
            await self._executor.delete(asked.sandbox, link.name)

    def _config(self, asked: DhcpRecord) -> str:
        provided = [{"option": "host-name", "fromArg": "K8S_POD_NAME"}] if asked.host_name else []
        ipam = {"type": PLUGIN, "daemonSocketPath": self._socket, "provide": provided}
        return msgspec.json.encode(
            {"cniVersion": _VERSION, "name": asked.network, "type": PLUGIN, "ipam": ipam}
        ).decode()

    async def _daemon(self) -> None:
        """Wait until the daemon answers; it is started when it is first needed."""
        self._wanted.set()
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._up.wait()
        except TimeoutError as error:
            raise PluginError("cannot ask for addresses: the daemon of the CNI plugin dhcp does not run") from error

    def _holds(self, netns_path: str, link: Link, made: Result) -> bool:
        with self._worker.pod(netns_path) as pod:
            return routes.holds(pod.channel, link.name, _addresses(made))

    def _put(self, netns_path: str, link: Link, made: Result, gone: tuple[Interface, ...]) -> None:
        with self._worker.pod(netns_path) as pod:
            routes.put(pod.channel, link, made, gone)

    async def run(self) -> None:
        """Keep the daemon running once it is wanted, and the leases what the servers say. Until cancelled."""
        if self._leases():
            self._wanted.set()
        while True:
            await self._wanted.wait()
            try:
                await self._keep()
            except PodnetError as error:
                log.error("%s", error)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _keep(self) -> None:
        """One life of the daemon."""
        seen = self._runner.seen(self._socket)
        seen.unlink(missing_ok=True)
        process = await self._runner.start(PLUGIN, "daemon", "-socketpath", self._socket, *_DAEMON_FLAGS)
        try:
            while process.returncode is None and not seen.exists():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
            self._up.set()
            while process.returncode is None:
                await self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await process.wait()
            log.error("the daemon of the CNI plugin dhcp ended with status %s; it is started again", process.returncode)
        finally:
            self._up.clear()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                await asyncio.shield(asyncio.ensure_future(process.wait()))

    async def _look(self) -> None:
        """Ask for every lease again; one that fails is tried again the next time."""
        for entry in self._leases():
            try:
                await self._again(entry)
            except PodnetError as error:
                log.warning("Pod %s/%s, interface %s: %s", entry.namespace, entry.name, entry.interface, error)

    async def _again(self, entry: Entry) -> None:
        before = self._executor.result(entry.sandbox, entry.interface)
        made = await self._executor.again(entry.sandbox, entry.interface)
        if before is None or made is None or _addresses(before) == _addresses(made):
            return
        log.warning("Pod %s/%s, interface %s: the DHCP server gave another address, %s instead of %s", entry.namespace,
                    entry.name, entry.interface, _words(made), _words(before))  # fmt: skip
        link = Link(kind="", name=entry.interface, host_name="", master="", mac="", mtu=0)
        with contextlib.suppress(NetnsMissing):
            await self._worker.call(self._put, entry.netns, link, made, _addresses(before))

    def _leases(self) -> list[Entry]:
        """The attachments that a chain of this plugin alone made."""
        return [one for one in self._executor.entries() if one.result and config.parse(one.config).only == PLUGIN]


def _addresses(made: Result) -> tuple[Interface, ...]:
    return tuple(ip.address for ip in made.ips)


def _words(made: Result) -> str:
    return ", ".join(str(address) for address in _addresses(made))
