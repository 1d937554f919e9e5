"""CNI for tests: a directory with debug plugins, and an executor that runs them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podnet_kni_server.cni.cache import Cache
from podnet_kni_server.cni.exec import Runner
from podnet_kni_server.cni.executor import Executor
from podnet_kni_server.cni.request import Pod, Request

SOURCE = Path(__file__).with_name("cni_debug_plugin.py")
POD = Pod("sandbox1", "ns", "web-0", "uid1")


@dataclass
class Node:
    """A node's plugins, configurations and cache below one directory."""

    directory: Path
    seconds: float = 10.0

    def __post_init__(self) -> None:
        for name in ("bin", "net.d"):
            (self.directory / name).mkdir(exist_ok=True)
        self.restart()

    def restart(self) -> None:
        """The server dies and comes back: only files remain."""
        self.runner = Runner([str(self.directory / "bin")])
        self.cache = Cache(self.directory / "cache")
        self.cache.open()
        self.executor = Executor(self.runner, self.cache, self.directory / "net.d", self.seconds)

    def plugin(self, name: str = "debug") -> str:
        """Installs the debug plugin under a name; the name."""
        path = self.directory / "bin" / name
        path.write_text(f"#!{sys.executable} -IS\n" + SOURCE.read_text())
        path.chmod(0o755)
        return name

    def config(self, *plugins: dict[str, Any], version: str = "1.1.0", **keys: Any) -> str:
        """A list of plugins that record their calls; one debug plugin unless told otherwise."""
        listed = [{"type": "debug", "record": str(self.record), **plugin} for plugin in plugins or ({},)]
        return json.dumps({"cniVersion": version, "name": "net-a", "plugins": listed, **keys})

    @property
    def record(self) -> Path:
        """Where calls are written."""
        return self.directory / "calls"

    def calls(self) -> list[dict[str, Any]]:
        """Every call so far."""
        return [json.loads(line) for line in self.record.read_text().splitlines()] if self.record.exists() else []

    def commands(self) -> list[str]:
        """The calls so far, as `command program`; VERSION left out."""
        found = [f"{call['env']['CNI_COMMAND']} {call['program']}" for call in self.calls()]
        return [one for one in found if not one.startswith("VERSION")]


def asked(**changed: Any) -> Request:
    """An attachment of net1."""
    return Request(**{"pod": POD, "netns": "/proc/self/ns/net", "interface": "net1", **changed})
