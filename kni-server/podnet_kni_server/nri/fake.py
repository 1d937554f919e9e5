"""A small runtime for tests: the other side of NRI, over a unix socket.

    async with fake.Runtime(pods=[pod]).listening(path) as runtime:
        plugin = await runtime.plugin()          # registered, configured and synchronized
        await plugin.run_pod_sandbox(pod)        # raises what the plugin answers

It does what containerd does. It can do it as an old one (`old`), split Synchronize (`part`), and send anything
at all (`Plugin.call`, `Plugin.trunk`). Unlike containerd it keeps a plugin that answers late.
"""

import asyncio
import contextlib
import dataclasses
import os
import socket
from collections.abc import AsyncIterator, Sequence

from google.protobuf import message

from podnet_kni_server.nri import convert, errors, events, mux, nri_pb2, protobuf, session, ttrpc, types


@dataclasses.dataclass(eq=False)
class Runtime:
    """How this runtime behaves. `request_timeout` in seconds; `part` is the number of pods and of containers in
    one Synchronize message, 0 for all in one; `old` sends pod events as StateChange."""

    name: str = "fake"
    version: str = "v0"
    request_timeout: float = 2.0
    old: bool = False
    part: int = 0
    pods: Sequence[types.PodSandbox] = ()
    containers: Sequence[types.Container] = ()
    ready: asyncio.Queue["Plugin"] = dataclasses.field(default_factory=asyncio.Queue)

    @contextlib.asynccontextmanager
    async def listening(self, path: str | os.PathLike[str]) -> AsyncIterator["Runtime"]:
        """Accept plugins on a unix socket until the block ends; then close them and remove the socket."""
        connections: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.add(asyncio.create_task(self.serve(reader, writer)))

        server = await asyncio.start_unix_server(accept, path)
        try:
            yield self
        finally:
            server.close()
            with contextlib.suppress(FileNotFoundError):  # from Python 3.13 on asyncio does it
                os.unlink(path)
            await _end(connections)

    async def plugin(self, timeout: float = 5.0) -> "Plugin":
        """The next plugin that has come through Synchronize. Raises: TimeoutError."""
        async with asyncio.timeout(timeout):
            return await self.ready.get()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection to its end."""
        plugin = Plugin(self, mux.Trunk(reader, writer, frame_max=mux.RECEIVE_MAX))
        try:
            await plugin.live()
        except* errors.NriError:
            pass  # the runtime drops such a plugin, and so does this one
        finally:
            await plugin.trunk.close()


class Plugin:
    """A plugin as the runtime sees it: what it registered as, and the events to send it."""

    def __init__(self, runtime: Runtime, trunk: mux.Trunk) -> None:
        self._runtime = runtime
        self.trunk = trunk
        self.registration = nri_pb2.RegisterPluginRequest()
        self.configuration = nri_pb2.ConfigureResponse()
        self.lost = asyncio.Event()
        self._registered = asyncio.Event()
        self._client = ttrpc.Client(lambda data: trunk.send(mux.PLUGIN, data))
        self._server = ttrpc.Server(
            lambda data: trunk.send(mux.RUNTIME, data), session.RUNTIME_SERVICE, ("RegisterPlugin",)
        )

    async def live(self) -> None:
        """Take the plugin in and read its answers. Raises: an ExceptionGroup of errors.NriError at the end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            await self._registered.wait()
            await self._configure()
            await self._synchronize()
            self._runtime.ready.put_nowait(self)

    async def _read(self) -> None:
        reason = errors.ConnectionLost("cannot reach the plugin: it closed the connection")
        try:
            async for connection, payload in self.trunk.frames():
                self._feed(connection, payload)
            raise reason
        finally:
            self._client.close(reason)
            self.lost.set()

    def _feed(self, connection: int, payload: bytes) -> None:
        if connection == mux.PLUGIN:
            self._client.feed(payload)
        else:
            for call in self._server.feed(payload):
                protobuf.decode(self.registration, call.payload)
                self._server.reply(call.stream, b"")
                self._registered.set()

    async def _configure(self) -> None:
        request = nri_pb2.ConfigureRequest(
            runtime_name=self._runtime.name,
            runtime_version=self._runtime.version,
            request_timeout=int(self._runtime.request_timeout * 1000),
        )
        protobuf.decode(self.configuration, await self.call("Configure", request))

    async def _synchronize(self) -> None:
        pods, containers = list(self._runtime.pods), list(self._runtime.containers)
        part = self._runtime.part or max(len(pods), len(containers), 1)
        for start in range(0, max(len(pods), len(containers), 1), part):
            end = start + part
            more = end < max(len(pods), len(containers))
            await self.synchronize(pods[start:end], containers[start:end], more=more)

    async def synchronize(
        self, pods: Sequence[types.PodSandbox], containers: Sequence[types.Container], *, more: bool = False
    ) -> None:
        """Raises: errors.ProtocolError if the plugin does not take parts; errors.StatusError."""
        request = nri_pb2.SynchronizeRequest(
            pods=map(convert.pod_to, pods), containers=map(convert.container_to, containers), more=more
        )
        response = protobuf.decode(nri_pb2.SynchronizeResponse(), await self.call("Synchronize", request))
        if more and not response.more:
            raise errors.ProtocolError("cannot synchronize the plugin: it does not take parts")

    async def run_pod_sandbox(self, pod: types.PodSandbox) -> None:
        """Raises: errors.StatusError as the plugin answers, as the others do."""
        await self._pod_event(types.Event.RUN_POD_SANDBOX, pod)

    async def stop_pod_sandbox(self, pod: types.PodSandbox) -> None:
        await self._pod_event(types.Event.STOP_POD_SANDBOX, pod)

    async def remove_pod_sandbox(self, pod: types.PodSandbox) -> None:
        await self._pod_event(types.Event.REMOVE_POD_SANDBOX, pod)

    async def _pod_event(self, event: types.Event, pod: types.PodSandbox) -> None:
        wire = convert.pod_to(pod)
        if self._runtime.old:
            await self.call("StateChange", nri_pb2.StateChangeEvent(event=event.name, pod=wire))
        else:
            await self.call(events.POD_METHODS[event], nri_pb2.PodRequest(pod=wire))

    async def create_container(self, pod: types.PodSandbox, container: types.Container) -> types.Adjustment:
        request = nri_pb2.CreateContainerRequest(pod=convert.pod_to(pod), container=convert.container_to(container))
        payload = await self.call("CreateContainer", request)
        return convert.adjustment_from(protobuf.decode(nri_pb2.CreateContainerResponse(), payload).adjust)

    async def call(
        self,
        method: str,
        request: message.Message | None = None,
        *,
        service: str = events.SERVICE,
        timeout: float | None = None,
    ) -> bytes:
        """Any method with any payload. Raises: errors.StatusError, errors.NoAnswer, errors.ConnectionLost."""
        payload = request.SerializeToString() if request is not None else b""
        return await self._client.call(service, method, payload, timeout or self._runtime.request_timeout)


async def pair(left_max: int = mux.SEND_MAX, right_max: int = mux.SEND_MAX) -> tuple[mux.Trunk, mux.Trunk]:
    """Two trunks joined by a socket pair, each with its own frame limit."""
    left, right = socket.socketpair()
    return (
        mux.Trunk(*await asyncio.open_unix_connection(sock=left), frame_max=left_max),
        mux.Trunk(*await asyncio.open_unix_connection(sock=right), frame_max=right_max),
    )


async def _end(connections: set[asyncio.Task[None]]) -> None:
    """Cancel and wait. Raises: what a connection failed with, cancellation apart."""
    for task in connections:
        task.cancel()
    for result in await asyncio.gather(*connections, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
