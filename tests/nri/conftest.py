"""Builds the real runtime side of NRI (tests/nri/runtime, Go) and drives it from tests: each of its versions.

A binary is kept in the user's cache under a name made of the sources, so it is built once.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from podnet_kni_server.nri import plugin, recorder

SOURCES = pathlib.Path(__file__).with_name("runtime")
BUILD = ["go", "build", "-p", "1", "-trimpath", "-ldflags", "-s -w"]
NEWEST = "v0.12.5"
VERSIONS = ("v0.6.1", "v0.7.0", "v0.8.0", "v0.9.0", "v0.10.0", "v0.11.0", "v0.12.0", NEWEST)
"""v0.6 is containerd 1.7's; Synchronize in parts and timeouts came with v0.8, a method for each event with v0.12,
the failure policy with v0.12.5."""


class Runtime:
    """The Go process. `do` sends one command and waits for its result."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def do(self, operation: str, repeat: int = 1, **objects: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"op": operation, "repeat": repeat, **objects}).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), 60)
        result: dict[str, Any] = json.loads(line)
        return result


Start = Callable[..., contextlib.AbstractAsyncContextManager[Runtime]]
Serve = Callable[..., contextlib.AbstractAsyncContextManager[list[plugin.State]]]


@pytest.fixture(scope="session", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """The version of NRI that the runtime side has."""
    return str(request.param)


@pytest.fixture(scope="session")
def binary(version: str) -> pathlib.Path:
    if shutil.which("go") is None:
        pytest.skip("the runtime side of NRI is written in Go, and there is no Go here")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "podnet"
    command = [*BUILD, "-tags", tags(version), f"-modfile={modules(version)}"]
    path = cache / f"nri-runtime-{version}-{fingerprint(version, command)}"
    if not path.exists():
        build(path, command)
    return path


def modules(version: str) -> str:
    return "go.mod" if version == NEWEST else f"versions/{version}.mod"


def tags(version: str) -> str:
    return "nri_no_wasm,nri_0_6" if version.startswith("v0.6.") else "nri_no_wasm"


def fingerprint(version: str, command: list[str]) -> str:
    digest = hashlib.sha256(" ".join(command).encode())
    used = [*SOURCES.glob("*.go"), SOURCES / modules(version), (SOURCES / modules(version)).with_suffix(".sum")]
    for source in sorted(used):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


def build(path: pathlib.Path, command: list[str]) -> None:
    """Build beside `path` and rename: another run may be building too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    environment = {**os.environ, "CGO_ENABLED": "0"}
    subprocess.run([*command, "-o", str(partial), "."], cwd=SOURCES, env=environment, check=True, timeout=600)
    partial.rename(path)


@pytest.fixture
def socket_path() -> Iterator[pathlib.Path]:
    with tempfile.TemporaryDirectory(prefix="nri") as directory:
        yield pathlib.Path(directory) / "nri.sock"


@pytest.fixture
def start(binary: pathlib.Path, socket_path: pathlib.Path) -> Start:
    """start("-request-timeout", "1s") as a context: the runtime listens on socket_path inside it."""

    @contextlib.asynccontextmanager
    async def started(*arguments: str) -> AsyncIterator[Runtime]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            binary, "-socket", socket_path, *arguments, stdin=pipe, stdout=pipe, limit=16 << 20
        )
        try:
            yield Runtime(process)
        finally:
            process.kill()
            await process.wait()

    return started


@pytest.fixture
def serve(socket_path: pathlib.Path) -> Serve:
    """serve(handler) as a context: the plugin is kept registered inside it. Gives the states it reported."""

    @contextlib.asynccontextmanager
    async def served(handler: recorder.Recorder) -> AsyncIterator[list[plugin.State]]:
        states: list[plugin.State] = []
        task = asyncio.create_task(plugin.run(socket_path, handler, report=states.append))
        try:
            yield states
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return served
