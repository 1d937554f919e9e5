"""A handler for tests: it notes every call, and then reacts as told.

recorder = Recorder(reactions={"run_pod_sandbox": refuse})     # async def refuse() -> None: raise ...
"""

import dataclasses
from collections.abc import Awaitable, Callable, Sequence

from podnet_kni_server.nri import types

Reaction = Callable[[], Awaitable[None]]


@dataclasses.dataclass
class Recorder:
    """`calls` holds (method, name of the object); `reactions` are run by method name, after the note."""

    reactions: dict[str, Reaction] = dataclasses.field(default_factory=dict)
    adjustment: types.Adjustment = dataclasses.field(default_factory=types.Adjustment)
    calls: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    pods: list[types.PodSandbox] = dataclasses.field(default_factory=list)
    containers: list[types.Container] = dataclasses.field(default_factory=list)

    async def configured(self, runtime: str, version: str, request_timeout: float) -> None:
        await self._note("configured", f"{runtime} {version} {request_timeout:g}")

    async def synchronize(self, pods: Sequence[types.PodSandbox], containers: Sequence[types.Container]) -> None:
        self.pods, self.containers = list(pods), list(containers)
        await self._note("synchronize", f"{len(pods)} pods, {len(containers)} containers")

    async def run_pod_sandbox(self, pod: types.PodSandbox) -> None:
        self.pods.append(pod)
        await self._note("run_pod_sandbox", pod.name)

    async def stop_pod_sandbox(self, pod: types.PodSandbox) -> None:
        await self._note("stop_pod_sandbox", pod.name)

    async def remove_pod_sandbox(self, pod: types.PodSandbox) -> None:
        await self._note("remove_pod_sandbox", pod.name)

    async def create_container(self, pod: types.PodSandbox, container: types.Container) -> types.Adjustment:
        self.containers.append(container)
        await self._note("create_container", container.name)
        return self.adjustment

    async def _note(self, method: str, name: str) -> None:
        self.calls.append((method, name))
        if reaction := self.reactions.get(method):
            await reaction()
