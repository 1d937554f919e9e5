"""The plugins of this node, put together from the server's arguments. Made by main."""

import contextlib
from collections.abc import Callable, Collection
from pathlib import Path

from podnet_api import names

from podnet_kni_server import devinfo
from podnet_kni_server.cni import config, default, upkeep
from podnet_kni_server.cni.attach import Plugins
from podnet_kni_server.cni.cache import Cache
from podnet_kni_server.cni.devices import Devices
from podnet_kni_server.cni.errors import ConfigError
from podnet_kni_server.cni.exec import Runner
from podnet_kni_server.cni.executor import Executor
from podnet_kni_server.datapath.allocation import Allocation, NoAllocation


def programs(root: str, directories: str) -> Path:
    """The first directory of the node's plugins, as seen from here."""
    return Path(root) / directories.partition(":")[0].lstrip("/")


class Node:
    """`root` is where the node's root directory is seen from here; the other paths are the node's own."""

    def __init__(
        self, root: str, directories: str, configurations: str, results: str, allocation: Allocation | None = None
    ) -> None:
        below = Path(root)
        self.programs = programs(root, directories)
        self._cache = Cache(below / results.lstrip("/"))
        runner = Runner([one for one in directories.split(":") if one], root)
        self.configurations = below / configurations.lstrip("/")
        self._cluster = ""
        self.executor = Executor(runner, self._cache, self.configurations)
        devices = Devices(allocation or NoAllocation(), devinfo.Files(root), self.executor.entries)
        self.plugins = Plugins(self.executor, runner, devices=devices)

    def open(self) -> None:
        """Read what is remembered. Before anything is attached."""
        self._cache.open()

    def cluster_network(self) -> str:
        """The name of the cluster's own network, as its configuration has it; ``default`` where we see none."""
        if not self._cluster:
            with contextlib.suppress(ConfigError):
                self._cluster = config.parse(default.cluster_text(self.configurations)).name
        return self._cluster or names.DEFAULT_NETWORK

    async def run(self, alive: Callable[[], Collection[str]], changed: Callable[[], None]) -> None:
        """See upkeep.run."""
        await upkeep.run(self.executor, self.plugins, alive, changed)

    async def keep_leases(self) -> None:
        """See dhcp.Dhcp.run."""
        await self.plugins.dhcp.run()
