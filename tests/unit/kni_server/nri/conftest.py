"""What the tests of the NRI client share: a pod, a socket path that is short enough, and a served plugin."""

import asyncio
import contextlib
import pathlib
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

import pytest
from podnet_kni_server.nri import fake, plugin, recorder, types

Serve = Callable[..., contextlib.AbstractAsyncContextManager["Served"]]


class Served:
    """A plugin kept by plugin.run, the fake runtime it talks to, and the states it reported."""

    def __init__(self, runtime: fake.Runtime, handler: recorder.Recorder, states: list[plugin.State]) -> None:
        self.runtime = runtime
        self.handler = handler
        self.states = states


@pytest.fixture
def socket_path() -> Iterator[pathlib.Path]:
    with tempfile.TemporaryDirectory(prefix="nri") as directory:
        yield pathlib.Path(directory) / "nri.sock"


@pytest.fixture
def pod() -> types.PodSandbox:
    network = types.Namespace("network", "/var/run/netns/a")
    return types.PodSandbox("sandbox-1", "web", "default", "uid-1", namespaces=(network,))


@pytest.fixture
def container() -> types.Container:
    return types.Container("container-1", "sandbox-1", "app")


@pytest.fixture
def serve(socket_path: pathlib.Path) -> Serve:
    """serve(runtime, handler) as a context: the plugin runs inside it, and is cancelled at its end."""

    @contextlib.asynccontextmanager
    async def served(
        runtime: fake.Runtime | None = None, handler: recorder.Recorder | None = None
    ) -> AsyncIterator[Served]:
        context = Served(runtime or fake.Runtime(), handler or recorder.Recorder(), [])
        async with context.runtime.listening(socket_path):
            keeping = plugin.run(socket_path, context.handler, report=context.states.append)
            async with running(keeping):
                yield context

    return served


@contextlib.asynccontextmanager
async def running(work: Coroutine[object, object, object]) -> AsyncIterator[asyncio.Task[object]]:
    """Run `work` beside the block and cancel it at the end. Raises: what it failed with."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
