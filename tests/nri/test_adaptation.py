"""The NRI client against the adaptation that containerd embeds (github.com/containerd/nri, Go), in each version whose
wire differs. Old ones lack things; what then happens is tested as well, because the rest of podnet must close it."""

import asyncio
import time

import pytest
from podnet_kni_server.nri import errors, recorder, types

from .conftest import NEWEST, Serve, Start

POD = {
    "id": "sandbox-1",
    "name": "web",
    "uid": "uid-1",
    "namespace": "default",
    "labels": {"app": "web"},
    "annotations": {"text": "x" * 10_000},
    "runtime_handler": "runc",
    "linux": {"namespaces": [{"type": "network", "path": "/var/run/netns/a"}]},
    "pid": 42,
    "ips": ["10.0.0.1", "fd00::1"],
}
CONTAINER = {"id": "container-1", "pod_sandbox_id": "sandbox-1", "name": "app", "env": ["A=1"]}


async def test_the_life_of_a_pod(start: Start, serve: Serve) -> None:
    mount = types.Mount("/etc/podnet", "bind", "/run/kni/sandbox-1", ("rbind", "ro"))
    handler = recorder.Recorder(adjustment=types.Adjustment((mount,), {"B": "2"}, {"c": "d" * 10_000}))
    async with start() as runtime, serve(handler):
        assert (await runtime.do("AwaitPlugin"))["error"] == ""
        assert (await runtime.do("RunPodSandbox", pod=POD))["error"] == ""
        created = await runtime.do("CreateContainer", pod=POD, container=CONTAINER)
        assert (await runtime.do("StopPodSandbox", pod=POD))["error"] == ""
        assert (await runtime.do("RemovePodSandbox", pod=POD))["error"] == ""
    assert created["error"] == ""
    assert created["adjust"]["mounts"] == [
        {"destination": "/etc/podnet", "type": "bind", "source": "/run/kni/sandbox-1", "options": ["rbind", "ro"]}
    ]
    assert created["adjust"]["env"] == [{"key": "B", "value": "2"}]
    assert created["adjust"]["annotations"] == {"c": "d" * 10_000}
    assert handler.calls == [
        ("configured", "nri-runtime v1 2"),
        ("synchronize", "0 pods, 0 containers"),
        ("run_pod_sandbox", "web"),
        ("create_container", "app"),
        ("stop_pod_sandbox", "web"),
        ("remove_pod_sandbox", "web"),
    ]


async def test_what_the_handler_is_given(start: Start, serve: Serve, version: str) -> None:
    handler = recorder.Recorder()
    async with start() as runtime, serve(handler):
        await runtime.do("AwaitPlugin")
        await runtime.do("RunPodSandbox", pod=POD)
        await runtime.do("CreateContainer", pod=POD, container=CONTAINER)
    [pod], [container] = handler.pods, handler.containers
    assert (pod.id, pod.name, pod.namespace, pod.uid, pod.pid) == ("sandbox-1", "web", "default", "uid-1", 42)
    assert (pod.labels, pod.annotations) == (POD["labels"], POD["annotations"])
    assert (pod.netns_path, pod.runtime_handler) == ("/var/run/netns/a", "runc")
    assert [str(ip) for ip in pod.ips] == ([] if version in ("v0.6.1", "v0.7.0") else POD["ips"]), "told since v0.8"
    assert container == types.Container("container-1", "sandbox-1", "app", env={"A": "1"})


@pytest.mark.parametrize("count", [1, 120])
async def test_synchronize_beyond_one_message(start: Start, serve: Serve, version: str, count: int) -> None:
    """120 pods with 100 kB each are more than the 4 MiB of a message: they come in parts."""
    handler = recorder.Recorder()
    async with start("-pods", str(count), "-annotation", "100000") as runtime, serve(handler) as states:
        if version == "v0.6.1" and count > 1:  # has no parts: the plugin never comes in, and the node stays tainted
            assert (await runtime.do("AwaitPlugin"))["error"] == "ttrpc: closed"
            assert not any(state.synchronized for state in states)
            return
        assert (await runtime.do("AwaitPlugin"))["error"] == ""
        assert (await runtime.do("RunPodSandbox", pod=POD))["error"] == ""
    assert [pod.name for pod in handler.pods] == [*(f"pod-{i}" for i in range(count)), "web"]
    assert [state.synchronized for state in states if state.connected] == [False, True]


async def refuse() -> None:
    raise errors.HookRefused("cannot attach web to red: no address left")


async def crash() -> None:
    raise ValueError("odd")


async def hang() -> None:
    await asyncio.sleep(60)


async def block() -> None:
    """What no handler may do: the event loop stands still, and no deadline can be kept."""
    time.sleep(0.7)


METHODS = {
    "RunPodSandbox": "run_pod_sandbox",
    "StopPodSandbox": "stop_pod_sandbox",
    "CreateContainer": "create_container",
}


@pytest.mark.parametrize("event", METHODS)
@pytest.mark.parametrize(
    ("reaction", "reason"),
    [
        (refuse, "cannot attach web to red: no address left"),
        (crash, "ValueError: odd"),
        (hang, "cannot handle"),
    ],
)
async def test_a_failure_fails_the_event_and_the_plugin_stays(
    start: Start, serve: Serve, event: str, reaction: recorder.Reaction, reason: str
) -> None:
    handler = recorder.Recorder({METHODS[event]: reaction})
    async with start("-request-timeout", "400ms") as runtime, serve(handler) as states:
        await runtime.do("AwaitPlugin")
        failed = await runtime.do(event, pod=POD, container=CONTAINER)
        assert reason in failed["error"]
        handler.reactions.clear()
        await asyncio.sleep(0)
        assert (await runtime.do(event, pod=POD, container=CONTAINER))["error"] == ""
        assert [state.connected for state in states][-2:] == [True, True], "never disconnected"
    assert [method for method, _ in handler.calls].count("synchronize") == 1


@pytest.mark.parametrize("event", METHODS)
async def test_a_plugin_that_stands_still(start: Start, serve: Serve, version: str, event: str) -> None:
    """Before v0.12.5 the runtime drops it and starts the Pod: only the default validator closes that. It comes back."""
    handler = recorder.Recorder({METHODS[event]: block})
    async with start("-request-timeout", "400ms") as runtime, serve(handler) as states:
        await runtime.do("AwaitPlugin")
        failed = await runtime.do(event, pod=POD, container=CONTAINER)
        handler.reactions.clear()
        if version == NEWEST:
            assert "plugin 10-kni failed to handle" in failed["error"]
        else:
            assert failed["error"] == ""
            assert (await runtime.do("AwaitPlugin"))["error"] == ""
        assert (await runtime.do(event, pod=POD, container=CONTAINER))["error"] == ""
        assert states[-1].synchronized
    methods = [method for method, _ in handler.calls]
    assert methods.count(METHODS[event]) == 2, "before and after"
    assert methods.count("synchronize") == (1 if version == NEWEST else 2)


async def test_a_synchronize_that_fails_comes_again(start: Start, serve: Serve) -> None:
    """v0.6 keeps such a connection and never calls on it, so the client must close it."""
    handler = recorder.Recorder({"synchronize": refuse})
    async with start("-pods", "1") as runtime, serve(handler) as states:
        assert "no address left" in (await runtime.do("AwaitPlugin"))["error"]
        handler.reactions.clear()
        while (await runtime.do("AwaitPlugin"))["error"]:
            pass
        assert (await runtime.do("RunPodSandbox", pod=POD))["error"] == ""
        assert states[-1].synchronized
    assert "web" in [name for _, name in handler.calls]


async def test_the_event_in_progress_fails_when_the_plugin_stops(start: Start, serve: Serve) -> None:
    handler = recorder.Recorder({"run_pod_sandbox": hang})
    async with start() as runtime:
        async with serve(handler):
            await runtime.do("AwaitPlugin")
            event = asyncio.create_task(runtime.do("RunPodSandbox", pod=POD))
            await asyncio.sleep(0.2)
        assert "cannot handle RunPodSandbox of pod default/web: the plugin is stopping" in (await event)["error"]


async def test_a_runtime_that_restarts_is_found_again(start: Start, serve: Serve) -> None:
    handler = recorder.Recorder()
    async with serve(handler):
        for _ in range(2):
            async with start() as runtime:
                assert (await runtime.do("AwaitPlugin"))["error"] == ""
                assert (await runtime.do("RunPodSandbox", pod=POD))["error"] == ""
    assert [name for _, name in handler.calls].count("web") == 2


async def test_the_round_trip_is_short(start: Start, serve: Serve) -> None:
    small = {**POD, "annotations": {}}
    async with start() as runtime, serve(recorder.Recorder()):
        await runtime.do("AwaitPlugin")
        await runtime.do("RunPodSandbox", pod=small, repeat=100)
        result = await runtime.do("RunPodSandbox", pod=small, repeat=1000)
    print(f"hook round trip: {result['microseconds']:.0f} us")
    assert result["error"] == ""
    assert result["microseconds"] < 5000
