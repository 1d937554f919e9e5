"""Carries out the operations of CNI on whole networks: chains of plugins, results passed on, everything undone.

Called by the datapath `cni` and by the shim. The intent is written before the first plugin runs, and the result
after the last: an operation that a kill interrupted is found in the cache and taken away. DEL and CHECK work from
the cache alone, so that it does not matter what became of the configuration since.
"""

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from podnet_api.errors import PodnetError

from podnet_kni_server.cni import cache, config, exec, files, request, result
from podnet_kni_server.cni.cache import Cache, Entry
from podnet_kni_server.cni.config import File, Network, Plugin
from podnet_kni_server.cni.errors import CniError, Code, PluginError
from podnet_kni_server.cni.request import Request
from podnet_kni_server.cni.result import Result

log = logging.getLogger(__name__)
VALID_ATTACHMENTS = "cni.dev/valid-attachments"
_YOUNG_SECONDS = 600


@dataclass(frozen=True)
class Added:
    """An attachment that was made. `warnings`: what plugins were asked for in a way that they need not obey."""

    network: Network
    result: Result
    warnings: tuple[str, ...] = ()


class Executor:
    """The networks of one node that are made by plugins. `configurations`: the directory of --cni-conf-dir."""

    def __init__(self, runner: exec.Runner, kept: Cache, configurations: Path, seconds: float = exec.SECONDS) -> None:
        self._runner = runner
        self._cache = kept
        self._configurations = configurations
        self.seconds = seconds
        self._busy: dict[str, int] = {}
        self._idle = asyncio.Condition()

    async def add(self, asked: Request, text: str, name: str, *, runtime: bool = False) -> Added:
        """ADD: the attachment `asked`, to the network that `text` configures or the node's file called `name`.

        `runtime`: the container runtime asks, which offers every capability argument that it has to any plugin.

        Raises CniError, or CheckpointError; nothing is left behind then, or what is left is in the cache.
        When the caller is cancelled the attachment is half made: `delete` takes it away.
        """
        network, text, folder = files.load(self._configurations, text, name)
        request.check(asked)
        carried = {} if runtime else request.carried(network, asked)
        entry = cache.entry(asked, network.name, text, folder, runtime=runtime)
        async with self._shared(network.name):
            # Before any of them is called: one that refuses the version refuses DEL, too, and nothing could be undone.
            for plugin in network.plugins:
                await self._speaks(network, plugin)
            self._cache.put(entry)
            try:
                made = await self._add_chain(network, asked)
                if lost := request.unmet(asked, carried, made):
                    chain = ", ".join(plugin.type for plugin in network.plugins)
                    message = f"cannot attach to CNI network {network.name}: {chain} did not do what CNI_ARGS asked for"
                    raise PluginError(f"{message}: {lost}", plugin=chain)
                self._cache.put(_with_result(entry, made))
            except Exception:  # whatever it was: plugins have been called
                await self._roll_back(entry)
                raise
        return Added(network, made, tuple(carried.values()))

    async def _add_chain(self, network: Network, asked: Request) -> Result:
        previous: Result | None = None
        for plugin in network.plugins:
            out = await self._call(network, plugin, "ADD", asked, previous)
            previous = result.decode(out, network.version, plugin.type)
        assert previous is not None
        return previous

    async def _roll_back(self, entry: Entry) -> None:
        try:
            await self._delete(entry)
        except PodnetError as error:
            log.error("cannot undo CNI network %s of sandbox %s yet: %s", entry.network, entry.sandbox, error)

    async def again(self, sandbox: str, interface: str) -> Result | None:
        """ADD once more for an attachment that is there: for plugins that answer with what they have. None when
        it is gone meanwhile. Raises CniError; the former result stays then."""
        entry = self._cache.get(sandbox, interface)
        if entry is None or not entry.result:
            return None
        made = await self._add_chain(_network(entry), entry.request)
        if self._cache.get(sandbox, interface) is not entry:
            return None
        self._cache.put(_with_result(entry, made))
        return made

    def entries(self) -> list[Entry]:
        """Every attachment that is known."""
        return self._cache.entries()

    def knows(self, sandbox: str, interface: str) -> bool:
        """Whether an attachment is known, if only begun."""
        return self._cache.get(sandbox, interface) is not None

    async def delete(self, sandbox: str, interface: str) -> None:
        """DEL, from the cache; no error when nothing is known. Raises CniError; it can be called again then."""
        entry = self._cache.get(sandbox, interface)
        if entry is not None:
            async with self._shared(entry.network):
                await self._delete(entry)

    async def _delete(self, entry: Entry) -> None:
        network = _network(entry)
        asked = entry.request
        if asked.netns and not self._runner.exists(asked.netns):
            asked = dataclasses.replace(asked, netns="")
        previous = _result(entry) if config.at_least(network.version, "0.4.0") else None
        for plugin in reversed(network.plugins):
            await self._call(network, plugin, "DEL", asked, previous)
        self._cache.remove(entry.sandbox, entry.interface)

    async def delete_unknown(self, asked: Request, text: str) -> None:
        """DEL of an attachment that somebody else made to the network that `text` configures. Raises CniError."""
        network, text, folder = files.load(self._configurations, text, "")
        async with self._shared(network.name):
            await self._delete(cache.entry(asked, network.name, text, folder))

    async def check(self, sandbox: str, interface: str) -> None:
        """CHECK, from the cache. Raises CniError when something is not as the plugins left it."""
        entry = self._cache.get(sandbox, interface)
        if entry is None or not entry.result:
            message = f"cannot check interface {interface} of sandbox {sandbox}: no plugin attached it"
            raise CniError(message, Code.UNKNOWN_CONTAINER)
        network = _network(entry)
        if not config.at_least(network.version, "0.4.0"):
            message = f"cannot check CNI network {network.name}: version {network.version} has no CHECK"
            raise CniError(message, Code.INCOMPATIBLE_VERSION)
        if network.disable_check:
            return
        for plugin in network.plugins:
            await self._call(network, plugin, "CHECK", entry.request, _result(entry))

    async def status(self, text: str, name: str) -> None:
        """STATUS: whether the network can be attached to. Raises CniError when not.

        Before 1.1.0 there is no such command; then it only has to have its programs, in its version.
        """
        network, _, _ = files.load(self._configurations, text, name)
        for plugin in network.plugins:
            await self._speaks(network, plugin)
            if plugin.ipam:
                self._runner.find(plugin.ipam)
        if config.at_least(network.version, "1.1.0"):
            for plugin in network.plugins:
                await self._call(network, plugin, "STATUS", None, None)

    async def _speaks(self, network: Network, plugin: Plugin) -> None:
        """Raises PluginError when a plugin is not there, or does not speak the version of its network."""
        spoken = await self._runner.versions(plugin.type)
        if network.version not in spoken:
            have = ", ".join(sorted(spoken))
            message = f"cannot use CNI network {network.name}: {plugin.type} speaks {have}, not {network.version}"
            raise PluginError(message, Code.INCOMPATIBLE_VERSION, plugin.type)

    async def collect(self, text: str, name: str) -> None:
        """GC: tell the plugins of a network which attachments there are; they remove what else they hold.

        Waits until no operation on the network is under way. Every plugin is told, whatever the others
        say; raises one CniError with all that failed.
        """
        network, _, _ = files.load(self._configurations, text, name)
        if network.disable_gc or not config.at_least(network.version, "1.1.0"):
            return
        failed = []
        async with self._alone(network.name):
            valid = [
                {"containerID": one.sandbox, "ifname": one.interface}
                for one in self._cache.entries()
                if one.network == network.name
            ]
            for plugin in network.plugins:
                try:
                    await self._call(network, plugin, "GC", None, None, {VALID_ATTACHMENTS: valid})
                except CniError as error:
                    failed.append(str(error))
        if failed:
            raise CniError("; ".join(failed))

    async def sweep(self, keep: Collection[str]) -> list[str]:
        """DEL whatever belongs to a sandbox that is not in `keep`; what was removed, in words.

        What the runtime asked for is its own to take away. It cannot when the second hook has gone meanwhile:
        so that goes as well, but not in the minutes in which a sandbox may still be in the making.
        """
        young = time.time() - _YOUNG_SECONDS
        strange = [one for one in self._cache.entries() if one.sandbox not in keep]
        gone = [one for one in strange if not one.runtime or one.made < young]
        removed = []
        for entry in gone:
            try:
                await self.delete(entry.sandbox, entry.interface)
                removed.append(f"{entry.interface} of Pod {entry.namespace}/{entry.name} ({entry.network})")
            except CniError as error:
                log.error("cannot remove interface %s of sandbox %s: %s", entry.interface, entry.sandbox, error)
        return removed

    def result(self, sandbox: str, interface: str) -> Result | None:
        """The cached result of an attachment."""
        entry = self._cache.get(sandbox, interface)
        return _result(entry) if entry is not None else None

    def forget_defaults(self, sandbox: str, interface: str, versions: Collection[int]) -> None:
        """The default routes of these families were taken away after the ADD: CHECK must not look for them."""
        entry = self._cache.get(sandbox, interface)
        found = _result(entry) if entry is not None else None
        if entry is None or found is None:
            return
        kept = tuple(r for r in found.routes if r.destination.prefixlen or r.destination.version not in versions)
        self._cache.put(_with_result(entry, dataclasses.replace(found, routes=kept)))

    async def _call(
        self,
        network: Network,
        plugin: Plugin,
        command: str,
        asked: Request | None,
        previous: Result | None,
        extra: dict[str, Sequence[object]] | None = None,
    ) -> bytes:
        variables = {}
        if asked is not None:
            variables = {
                "CNI_CONTAINERID": asked.pod.sandbox,
                "CNI_NETNS": asked.netns,
                "CNI_IFNAME": asked.interface,
                "CNI_ARGS": request.arguments(asked),
            }
        text = {**request.document(network, plugin, asked, previous), **(extra or {})}
        return await self._runner.call(plugin.type, command, variables, msgspec.json.encode(text), self.seconds)

    @contextlib.asynccontextmanager
    async def _shared(self, name: str) -> AsyncIterator[None]:
        """Operations on attachments run side by side, but not beside GC (CNI 1.1.0, "Lifecycle & Ordering")."""
        async with self._idle:
            await self._idle.wait_for(lambda: self._busy.get(name, 0) >= 0)
            self._busy[name] = self._busy.get(name, 0) + 1
        try:
            yield
        finally:
            await self._leave(name)

    @contextlib.asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[None]:
        async with self._idle:
            await self._idle.wait_for(lambda: not self._busy.get(name))
            self._busy[name] = -1
        try:
            yield
        finally:
            await self._leave(name)

    async def _leave(self, name: str) -> None:
        async with self._idle:
            self._busy[name] = max(self._busy[name] - 1, 0)
            if not self._busy[name]:
                del self._busy[name]
            self._idle.notify_all()


def _network(entry: Entry) -> Network:
    folder: Iterable[File] = (File(name, text) for name, text in entry.folder.items())
    return config.parse(entry.config, entry.network, folder)


def _result(entry: Entry) -> Result | None:
    if not entry.result:
        return None
    return result.decode(entry.result, config.VERSIONS[-1], "cache")


def _with_result(entry: Entry, made: Result) -> Entry:
    text = msgspec.json.encode(result.encode(made, made.version)).decode()
    return msgspec.structs.replace(entry, result=text)
