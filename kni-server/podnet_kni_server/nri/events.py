"""Which method of the Plugin service calls which method of the handler, and what is answered.

Runtimes with NRI 0.12 or newer have a method per pod event; older ones send pod events as StateChange. A newer
runtime goes over to StateChange for good when it is once answered UNIMPLEMENTED, so no handler's failure may
ever carry that code.
"""

import dataclasses
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from podnet_kni_server.nri import convert, hooks, nri_pb2, protobuf, types

SERVICE = "nri.pkg.api.v1alpha1.Plugin"
REQUEST_TIMEOUT = 2.0
"""Seconds; NRI's default, until the runtime says its own."""

POD_METHODS = {
    types.Event.RUN_POD_SANDBOX: "RunPodSandbox",
    types.Event.STOP_POD_SANDBOX: "StopPodSandbox",
    types.Event.REMOVE_POD_SANDBOX: "RemovePodSandbox",
}
IGNORED = ("Shutdown", "UpdatePodSandbox", "PostUpdatePodSandbox")
"""Acknowledged, as the runtime expects; nothing here depends on them."""

PodHook = Callable[[types.PodSandbox], Awaitable[None]]


class Handler(Protocol):
    """What the KNI server does on each event.

    Calls never overlap, except that a cancelled one may still clean up. Raise errors.HookRefused to refuse an
    event with a reason; any other exception refuses it too. A call that lasts too long is cancelled and has
    failed for the runtime; it may use `finally` and `except CancelledError` to clean up, and must re-raise.
    """

    async def configured(self, runtime: str, version: str, request_timeout: float) -> None:
        """The runtime took the plugin in. It waits `request_timeout` seconds for each answer."""

    async def synchronize(self, pods: Sequence[types.PodSandbox], containers: Sequence[types.Container]) -> None:
        """Everything that exists now; events follow. After each reconnect this comes again."""

    async def run_pod_sandbox(self, pod: types.PodSandbox) -> None:
        """The sandbox has its default network, and no container yet. An error fails the sandbox."""

    async def stop_pod_sandbox(self, pod: types.PodSandbox) -> None:
        """The containers are stopped; the network namespace may be gone. An error is only logged."""

    async def remove_pod_sandbox(self, pod: types.PodSandbox) -> None:
        """The sandbox is forgotten. May come without a stop."""

    async def create_container(self, pod: types.PodSandbox, container: types.Container) -> types.Adjustment:
        """A container is about to be created, and can be changed. An error denies it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A decoded event: `what` names it in messages, `work` runs the handler and encodes the answer."""

    what: str
    work: hooks.Work


class Events:
    """The Plugin service of one connection: it holds what the runtime has told on it so far."""

    def __init__(self, handler: Handler, policy: types.FailurePolicy) -> None:
        self._handler = handler
        self._policy = policy
        self._pods: list[types.PodSandbox] = []
        self._containers: list[types.Container] = []
        self.configuration: types.Configuration | None = None
        self.synchronized = False
        self._pod_hooks: dict[int, PodHook] = {
            types.Event.RUN_POD_SANDBOX: handler.run_pod_sandbox,
            types.Event.STOP_POD_SANDBOX: handler.stop_pod_sandbox,
            types.Event.REMOVE_POD_SANDBOX: handler.remove_pod_sandbox,
        }
        self._methods: dict[str, Callable[[bytes], Prepared]] = {
            "Configure": self._configure,
            "Synchronize": self._synchronize,
            "CreateContainer": self._create_container,
            "StateChange": self._state_change,
            **{POD_METHODS[event]: functools.partial(self._pod, event) for event in POD_METHODS},
            **{method: functools.partial(_ignored, method) for method in IGNORED},
        }

    @property
    def methods(self) -> frozenset[str]:
        return frozenset(self._methods)

    def prepare(self, method: str, payload: bytes) -> Prepared:
        """Decode the event. Raises: errors.StatusError INVALID_ARGUMENT; KeyError outside `methods`."""
        return self._methods[method](payload)

    def _configure(self, payload: bytes) -> Prepared:
        request = protobuf.decode(nri_pb2.ConfigureRequest(), payload)
        configuration = convert.configuration_from(request, REQUEST_TIMEOUT)

        async def work() -> bytes:
            timeout = configuration.request_timeout
            await self._handler.configured(configuration.runtime, configuration.version, timeout)
            self.configuration = configuration
            mask = sum(event.bit for event in types.Event)
            policy = convert.policy_to(self._policy)
            return nri_pb2.ConfigureResponse(events=mask, failure_policy=policy).SerializeToString()

        return Prepared("Configure", work)

    def _synchronize(self, payload: bytes) -> Prepared:
        """Parts are gathered and acknowledged with `more`; the last one calls the handler with everything."""
        request = protobuf.decode(nri_pb2.SynchronizeRequest(), payload)
        self._pods += map(convert.pod_from, request.pods)
        self._containers += map(convert.container_from, request.containers)
        if request.more:
            return _answered("Synchronize", nri_pb2.SynchronizeResponse(more=True).SerializeToString())
        pods, self._pods = self._pods, []
        containers, self._containers = self._containers, []

        async def work() -> bytes:
            await self._handler.synchronize(pods, containers)
            self.synchronized = True
            return b""

        return Prepared("Synchronize", work)

    def _pod(self, event: types.Event, payload: bytes) -> Prepared:
        return self._pod_event(event, protobuf.decode(nri_pb2.PodRequest(), payload).pod)

    def _pod_event(self, event: types.Event, wire: nri_pb2.PodSandbox) -> Prepared:
        pod = convert.pod_from(wire)

        async def work() -> bytes:
            await self._pod_hooks[event](pod)
            return b""

        return Prepared(f"{POD_METHODS[event]} of pod {pod.namespace}/{pod.name}", work)

    def _create_container(self, payload: bytes) -> Prepared:
        request = protobuf.decode(nri_pb2.CreateContainerRequest(), payload)
        pod, container = convert.pod_from(request.pod), convert.container_from(request.container)

        async def work() -> bytes:
            adjustment = convert.adjustment_to(await self._handler.create_container(pod, container))
            return nri_pb2.CreateContainerResponse(adjust=adjustment).SerializeToString()

        return Prepared(f"CreateContainer of {container.name} in pod {pod.namespace}/{pod.name}", work)

    def _state_change(self, payload: bytes) -> Prepared:
        request = protobuf.decode(nri_pb2.StateChangeEvent(), payload)
        if request.event not in self._pod_hooks:
            return _answered(f"StateChange {request.event}", b"")
        return self._pod_event(types.Event(request.event), request.pod)


def _ignored(method: str, _: bytes) -> Prepared:
    return _answered(method, b"")


def _answered(what: str, payload: bytes) -> Prepared:
    """An event that concerns no handler."""

    async def work() -> bytes:
        return payload

    return Prepared(what, work)
