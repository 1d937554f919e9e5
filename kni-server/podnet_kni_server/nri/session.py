"""One connection to the runtime, from its registration to its loss.

The socket is read at once, always; requests wait in a queue and are answered in the runtime's order. An
answer never waits for its handler beyond SHARE of the runtime's patience, see hooks.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from typing import NoReturn

from podnet_kni_server.nri import errors, events, hooks, mux, nri_pb2, ttrpc, types

log = logging.getLogger(__name__)

RUNTIME_SERVICE = "nri.pkg.api.v1alpha1.Runtime"
SHARE = 0.75
"""The part of the runtime's patience that an event may use; at its end it is answered as failed."""
_FIRST = ("Configure", "Synchronize")
"""Without these nothing else is called."""
_HEARD = 0.1
"""Seconds between the refusal of one of these and the end of the connection: what comes together with the end the
runtime may drop, and would not say why."""


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """How the plugin stands: Pods are caught only while `synchronized`. `reason` is for people."""

    connected: bool
    synchronized: bool
    reason: str


Report = Callable[[State], None]


class Session:
    """Serves `service` over `trunk`. Use once."""

    def __init__(self, trunk: mux.Trunk, service: events.Events, place: hooks.Hooks, report: Report) -> None:
        self._trunk = trunk
        self._service = service
        self._place = place
        self._report = report
        self._client = ttrpc.Client(lambda data: trunk.send(mux.RUNTIME, data))
        self._server = ttrpc.Server(
            lambda data: trunk.send(mux.PLUGIN, data), events.SERVICE, service.methods, mux.BURST_MAX
        )
        self._calls: asyncio.Queue[ttrpc.Call] = asyncio.Queue()
        self._unanswered: dict[int, str] = {}
        self._configured = asyncio.Event()
        self._fault = "the runtime closed the connection"

    async def run(self, identity: types.Identity, registration_timeout: float) -> None:
        """Register within `registration_timeout` seconds and serve.

        Raises: an ExceptionGroup of errors.NriError when the connection ends, for whatever reason.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(), name="nri read")
                tasks.create_task(self._serve(), name="nri serve")
                await self._register(identity, registration_timeout)
        finally:
            self._refuse_rest()
            await self._trunk.close()

    async def _register(self, identity: types.Identity, timeout: float) -> None:
        who = f"plugin {identity.index}-{identity.name}"
        try:
            async with asyncio.timeout(timeout):
                await self._client.call(RUNTIME_SERVICE, "RegisterPlugin", _registration(identity), timeout)
                await self._configured.wait()
        except (errors.StatusError, errors.NoAnswer) as error:
            raise errors.RegistrationFailed(f"cannot register {who}: {error}") from error
        except TimeoutError as error:
            reason = f"cannot register {who}: not configured by the runtime within {timeout:g} s"
            raise errors.RegistrationFailed(reason) from error

    async def _read(self) -> NoReturn:
        async for connection, payload in self._trunk.frames():
            if connection == mux.PLUGIN:
                for call in self._server.feed(payload):
                    self._unanswered[call.stream] = call.method
                    self._calls.put_nowait(call)
            elif connection == mux.RUNTIME:
                self._client.feed(payload)
        self._server.end()
        raise errors.ConnectionLost(f"cannot keep the connection: {self._fault}")

    async def _serve(self) -> NoReturn:
        while True:
            await self._answer(await self._calls.get())

    async def _answer(self, call: ttrpc.Call) -> None:
        try:
            prepared = self._service.prepare(call.method, call.payload)
            self._unanswered[call.stream] = prepared.what
            payload = await self._place.run(prepared.what, prepared.work, self._deadline(call))
        except errors.StatusError as error:
            self._fail(call, error)
            if call.method in _FIRST:
                # NRI before 0.8 keeps the connection and never calls on it again: only a new one helps.
                self._fault = f"the runtime was answered: {error}"
                await asyncio.sleep(_HEARD)
                raise errors.ConnectionLost(f"cannot keep the connection: {self._fault}") from error
        else:
            del self._unanswered[call.stream]
            self._server.reply(call.stream, payload)
            self._advance(call.method)

    def _deadline(self, call: ttrpc.Call) -> float:
        """The caller's own time counts where it is shorter: one timeout covers all parts of a Synchronize."""
        configuration = self._service.configuration
        patience = configuration.request_timeout if configuration else events.REQUEST_TIMEOUT
        return call.arrived + SHARE * min(patience, call.timeout or patience)

    def _fail(self, call: ttrpc.Call, error: errors.StatusError) -> None:
        log.warning("%s refused: %s", call.method, error)
        del self._unanswered[call.stream]
        self._server.fail(call.stream, error.code, error.message)

    def _refuse_rest(self) -> None:
        """The session is ending: a Pod whose event stays without an answer would start without its networks."""
        for stream, what in self._unanswered.items():
            reason = f"cannot handle {what}: the plugin is stopping"
            self._server.fail(stream, errors.Code.UNAVAILABLE, reason)

    def _advance(self, method: str) -> None:
        runtime = self._service.configuration
        if runtime and method == "Configure":
            self._configured.set()
            self._report(State(True, False, f"waiting for {runtime.runtime} {runtime.version} to synchronize"))
        elif runtime and method == "Synchronize" and self._service.synchronized:
            self._report(State(True, True, f"synchronized with {runtime.runtime} {runtime.version}"))
        elif method == "Shutdown":
            self._fault = "the runtime shut down"


def _registration(identity: types.Identity) -> bytes:
    request = nri_pb2.RegisterPluginRequest(plugin_name=identity.name, plugin_idx=identity.index)
    return request.SerializeToString()
