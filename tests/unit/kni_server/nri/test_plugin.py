"""The whole client against the fake runtime: registration, events, deadlines, losses, reconnects, the end."""

import asyncio
import itertools
import pathlib
import socket
import time
from collections.abc import Awaitable, Callable

import pytest
from podnet_kni_server.nri import errors, events, fake, mux, nri_pb2, plugin, recorder, session, ttrpc, types

from .conftest import Serve, running

Code = errors.Code
Send = Callable[[fake.Plugin], Awaitable[object]]


async def sleep_long() -> None:
    await asyncio.sleep(60)


async def refuse() -> None:
    raise errors.HookRefused("cannot attach web to red: no address left")


def fail_times(count: int) -> recorder.Reaction:
    """A reaction that refuses `count` times, and then succeeds."""
    left = itertools.count(count, -1)

    async def react() -> None:
        if next(left) > 0:
            await refuse()

    return react


async def test_registration(serve: Serve) -> None:
    async with serve(fake.Runtime(name="containerd", version="v2.1", request_timeout=3)) as served:
        seen = await served.runtime.plugin()
        assert (seen.registration.plugin_name, seen.registration.plugin_idx) == ("kni", "10")
        assert seen.configuration.events == 0b1111
        assert served.handler.calls == [("configured", "containerd v2.1 3"), ("synchronize", "0 pods, 0 containers")]
        assert served.states == [
            plugin.State(True, False, "waiting for containerd v2.1 to synchronize"),
            plugin.State(True, True, "synchronized with containerd v2.1"),
        ]


@pytest.mark.parametrize("part", [0, 1, 3, 5, 10])
async def test_synchronize(serve: Serve, part: int) -> None:
    pods = [types.PodSandbox(f"s{i}", f"p{i}", "default", f"u{i}") for i in range(5)]
    containers = [types.Container(f"c{i}", f"s{i}", f"n{i}") for i in range(3)]
    async with serve(fake.Runtime(part=part, pods=pods, containers=containers)) as served:
        await served.runtime.plugin()
        assert (served.handler.pods, served.handler.containers) == (pods, containers)
        assert [method for method, _ in served.handler.calls] == ["configured", "synchronize"]


@pytest.mark.parametrize("old", [False, True])
async def test_the_life_of_a_pod(serve: Serve, pod: types.PodSandbox, container: types.Container, old: bool) -> None:
    handler = recorder.Recorder(adjustment=types.Adjustment(env={"A": "b"}))
    async with serve(fake.Runtime(old=old), handler) as served:
        seen = await served.runtime.plugin()
        await seen.run_pod_sandbox(pod)
        assert await seen.create_container(pod, container) == handler.adjustment
        await seen.stop_pod_sandbox(pod)
        await seen.remove_pod_sandbox(pod)
    assert [name for name, _ in handler.calls[2:]] == [
        "run_pod_sandbox",
        "create_container",
        "stop_pod_sandbox",
        "remove_pod_sandbox",
    ]
    assert handler.pods == [pod]


@pytest.mark.parametrize("size", [4000, 4096, 5000, 100_000, 3_000_000])
async def test_large_messages_both_ways(serve: Serve, container: types.Container, size: int) -> None:
    pod = types.PodSandbox("s", "p", "default", "u", annotations={"text": "x" * size})
    answer = types.Adjustment(annotations={"text": "y" * min(size, 1_000_000)})
    async with serve(handler=recorder.Recorder(adjustment=answer)) as served:
        seen = await served.runtime.plugin()
        assert await seen.create_container(pod, container) == answer
        await seen.run_pod_sandbox(pod)
        assert served.handler.pods == [pod]


@pytest.mark.parametrize(
    ("send", "code", "reason"),
    [
        (lambda p: p.call("StartContainer"), Code.UNIMPLEMENTED, "cannot serve method StartContainer"),
        (lambda p: p.call("Nonsense"), Code.UNIMPLEMENTED, "cannot serve method Nonsense"),
        (lambda p: p.call("Configure", service="x"), Code.UNIMPLEMENTED, "cannot serve service x"),
        (
            lambda p: p.call("RunPodSandbox", nri_pb2.RegisterPluginRequest(plugin_name="\x7f")),
            Code.INVALID_ARGUMENT,
            "cannot read PodRequest",
        ),
    ],
)
async def test_what_is_not_served(serve: Serve, pod: types.PodSandbox, send: Send, code: int, reason: str) -> None:
    async with serve() as served:
        seen = await served.runtime.plugin()
        with pytest.raises(errors.StatusError) as caught:
            await send(seen)
        assert caught.value.code == code
        assert caught.value.message.startswith(reason)
        await seen.run_pod_sandbox(pod)


@pytest.mark.parametrize("old", [False, True])
async def test_a_refusal_reaches_the_runtime(serve: Serve, pod: types.PodSandbox, old: bool) -> None:
    async with serve(fake.Runtime(old=old), recorder.Recorder({"run_pod_sandbox": fail_times(1)})) as served:
        seen = await served.runtime.plugin()
        with pytest.raises(errors.StatusError, match=r"^cannot attach web to red: no address left$") as caught:
            await seen.run_pod_sandbox(pod)
        assert caught.value.code == Code.FAILED_PRECONDITION
        await seen.run_pod_sandbox(pod)


@pytest.mark.parametrize(
    ("configured", "asked", "least", "most"),
    [(1.2, None, 0.9, 1.2), (4.0, 0.8, 0.6, 0.8), (0.8, 5.0, 0.6, 0.8)],
)
async def test_the_answer_comes_at_three_quarters_of_the_timeout(
    serve: Serve, pod: types.PodSandbox, configured: float, asked: float | None, least: float, most: float
) -> None:
    handler = recorder.Recorder({"run_pod_sandbox": sleep_long})
    async with serve(fake.Runtime(request_timeout=configured), handler) as served:
        seen = await served.runtime.plugin()
        begin = time.monotonic()
        with pytest.raises(
            errors.StatusError, match=r"^cannot handle RunPodSandbox of pod default/web in time"
        ) as caught:
            await seen.call(
                "RunPodSandbox", nri_pb2.PodRequest(pod={"name": "web", "namespace": "default"}), timeout=asked
            )
        assert caught.value.code == Code.DEADLINE_EXCEEDED
        assert least <= time.monotonic() - begin < most, "at three quarters, and in time"
        await seen.stop_pod_sandbox(pod)
        assert len(served.states) == 2, "still connected"


async def test_waiting_in_the_queue_counts(serve: Serve, pod: types.PodSandbox) -> None:
    """Two events at once, the first one hangs: the second has no time left, but is answered in time."""
    handler = recorder.Recorder({"run_pod_sandbox": sleep_long, "stop_pod_sandbox": sleep_long})
    async with serve(fake.Runtime(request_timeout=0.4), handler) as served:
        seen = await served.runtime.plugin()
        both = await asyncio.gather(seen.run_pod_sandbox(pod), seen.stop_pod_sandbox(pod), return_exceptions=True)
        assert [error.code for error in both if isinstance(error, errors.StatusError)] == [4, 4]
        await seen.remove_pod_sandbox(pod)


async def test_events_do_not_overlap(serve: Serve, pod: types.PodSandbox) -> None:
    inside: list[int] = []

    async def count() -> None:
        inside.append(len(inside))
        await asyncio.sleep(0.01)
        assert len(inside) == 1
        inside.clear()

    async with serve(handler=recorder.Recorder({"run_pod_sandbox": count})) as served:
        seen = await served.runtime.plugin()
        await asyncio.gather(*(seen.run_pod_sandbox(pod) for _ in range(5)))


FRAME = mux.FRAME.pack


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (FRAME(1, mux.RECEIVE_MAX + 1), "cannot read mux frame: 4194315 bytes announced, maximum 4194314"),
        (FRAME(1, 10) + ttrpc.MESSAGE.pack(1 << 31, 1, 1, 0), "cannot read ttrpc message: 2147483648 bytes announced"),
        (FRAME(2, 10) + ttrpc.MESSAGE.pack(1 << 31, 1, 2, 0), "cannot read ttrpc message: 2147483648 bytes announced"),
        (FRAME(1, 100) + b"half", "cannot read mux frame: the connection was closed 12 bytes into it"),
        (b"\0\0", "cannot read mux frame: the connection was closed 2 bytes into it"),
        (FRAME(1, 4) + b"half", "cannot read ttrpc message: the connection was closed 4 bytes into it"),
        (b"", "cannot keep the connection: the runtime closed the connection"),
    ],
)
async def test_a_broken_connection_is_reported_and_replaced(
    serve: Serve, pod: types.PodSandbox, data: bytes, reason: str
) -> None:
    async with serve() as served:
        seen = await served.runtime.plugin()
        seen.trunk.send_raw(data)
        await seen.trunk.close()
        await (await served.runtime.plugin()).run_pod_sandbox(pod)
        lost = [state for state in served.states if not state.connected]
        assert len(lost) == 1
        assert lost[0].reason.startswith(reason)
        assert served.states[-1].synchronized
        assert [name for name, _ in served.handler.calls].count("synchronize") == 2


async def test_frames_of_unknown_connections_are_ignored(serve: Serve, pod: types.PodSandbox) -> None:
    async with serve() as served:
        seen = await served.runtime.plugin()
        seen.trunk.send(77, b"for somebody else")
        seen.trunk.send(0, b"reserved")
        await seen.run_pod_sandbox(pod)


@pytest.mark.parametrize("step", ["configured", "synchronize"])
async def test_a_failing_start_is_reported_and_tried_again(serve: Serve, step: str) -> None:
    async with serve(handler=recorder.Recorder({step: fail_times(2)})) as served:
        await served.runtime.plugin()
        assert {state.reason for state in served.states if not state.connected} == {
            "cannot keep the connection: the runtime was answered: cannot attach web to red: no address left"
        }


async def test_shutdown_is_the_reason(serve: Serve) -> None:
    async with serve() as served:
        seen = await served.runtime.plugin()
        await seen.call("Shutdown")
        await seen.trunk.close()
        await served.runtime.plugin()
        assert served.states[2].reason == "cannot keep the connection: the runtime shut down"


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


async def test_the_runtime_comes_and_goes(socket_path: pathlib.Path, pod: types.PodSandbox) -> None:
    states: list[plugin.State] = []
    handler = recorder.Recorder()
    async with running(plugin.run(socket_path, handler, report=states.append)):
        await asyncio.sleep(0.3)  # several attempts
        assert states == [plugin.State(False, False, f"cannot connect to {socket_path}: No such file or directory")]
        for _ in range(2):
            async with fake.Runtime().listening(socket_path) as runtime:
                await (await runtime.plugin()).run_pod_sandbox(pod)
            await until(lambda: not states[-1].connected)
    assert [state.connected for state in states].count(True) == 4
    assert all(one != other for one, other in itertools.pairwise(states)), "only changes are reported"


async def test_a_socket_nobody_listens_on(socket_path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(socket_path))
    states: list[plugin.State] = []
    async with running(plugin.run(socket_path, recorder.Recorder(), report=states.append)):
        await until(lambda: states)
    assert states[0].reason == f"cannot connect to {socket_path}: Connection refused"


async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A runtime that accepts and says nothing."""
    await reader.read()
    writer.close()


async def rejecting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A runtime that dislikes the plugin's name."""
    await answering(mux.Trunk(reader, writer), lambda server, call: server.fail(call.stream, 2, "invalid plugin name"))


async def forgetful(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A runtime that takes the registration, and never configures the plugin."""
    await answering(mux.Trunk(reader, writer), lambda server, call: server.reply(call.stream, b""))


async def answering(trunk: mux.Trunk, answer: Callable[[ttrpc.Server, ttrpc.Call], None]) -> None:
    server = ttrpc.Server(lambda data: trunk.send(mux.RUNTIME, data), session.RUNTIME_SERVICE, {"RegisterPlugin"})
    async for _, payload in trunk.frames():
        for call in server.feed(payload):
            answer(server, call)
    await trunk.close()


@pytest.mark.parametrize(
    ("runtime", "reason"),
    [
        (deaf, "cannot register plugin 10-kni: "),
        (rejecting, "cannot register plugin 10-kni: invalid plugin name"),
        (forgetful, "cannot register plugin 10-kni: not configured by the runtime within 0.1 s"),
    ],
)
async def test_a_registration_that_fails(
    socket_path: pathlib.Path,
    runtime: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    reason: str,
) -> None:
    states: list[plugin.State] = []
    server = await asyncio.start_unix_server(runtime, socket_path)
    keeping = plugin.run(socket_path, recorder.Recorder(), report=states.append, registration_timeout=0.1)
    async with running(keeping):
        await until(lambda: states)
    server.close()
    assert states[0].reason.startswith(reason)


async def test_the_end_answers_every_event(socket_path: pathlib.Path, pod: types.PodSandbox) -> None:
    """The one in progress and the one that waits behind it."""
    handler = recorder.Recorder({"run_pod_sandbox": sleep_long})
    async with fake.Runtime().listening(socket_path) as runtime:
        async with running(plugin.run(socket_path, handler)):
            seen = await runtime.plugin()
            calls = [asyncio.create_task(each(pod)) for each in (seen.run_pod_sandbox, seen.stop_pod_sandbox)]
            await until(lambda: len(handler.calls) == 3)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [(getattr(answer, "code", None), str(answer)) for answer in answers] == [
            (Code.UNAVAILABLE, "cannot handle RunPodSandbox of pod default/web: the plugin is stopping"),
            (Code.UNAVAILABLE, "cannot handle StopPodSandbox: the plugin is stopping"),
        ]
        await asyncio.wait_for(seen.lost.wait(), 1)


async def test_a_loss_cancels_the_handler_and_synchronize_waits_for_its_cleanup(
    serve: Serve, pod: types.PodSandbox
) -> None:
    order: list[str] = []

    async def attach() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)
            order.append("rolled back")

    async def synchronize() -> None:
        order.append("synchronize")

    handler = recorder.Recorder({"run_pod_sandbox": attach, "synchronize": synchronize})
    async with serve(handler=handler) as served:
        seen = await served.runtime.plugin()
        call = asyncio.create_task(seen.run_pod_sandbox(pod))
        await until(lambda: ("run_pod_sandbox", "web") in handler.calls)
        await seen.trunk.close()
        await served.runtime.plugin()
        with pytest.raises(errors.ConnectionLost):
            await call
    assert order == ["synchronize", "rolled back", "synchronize"]


async def test_a_report_that_fails_ends_it(socket_path: pathlib.Path) -> None:
    def report(_: plugin.State) -> None:
        raise ValueError("no more")

    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(plugin.run(socket_path, recorder.Recorder(), report=report), 1)
    assert caught.group_contains(ValueError)


async def test_a_good_connection_resets_the_backoff(socket_path: pathlib.Path) -> None:
    """Nine losses: without the reset the last waits alone would last 256 times the first."""
    backoff = plugin.Backoff(first=0.02, most=60)
    keeping = plugin.run(socket_path, recorder.Recorder(), backoff=backoff)
    async with fake.Runtime().listening(socket_path) as runtime, running(keeping):
        for _ in range(9):
            await (await runtime.plugin(timeout=1.0)).trunk.close()


async def test_failing_connections_are_spaced_out(socket_path: pathlib.Path) -> None:
    handler = recorder.Recorder({"configured": refuse})
    keeping = plugin.run(socket_path, handler, backoff=plugin.Backoff(first=0.1, most=60))
    async with fake.Runtime().listening(socket_path), running(keeping):
        await asyncio.sleep(0.6)
    assert 2 <= len(handler.calls) <= 4, "0, 0.05 to 0.1, 0.15 to 0.3, 0.35 to 0.7 s"


@pytest.mark.parametrize(
    ("backoff", "tops"),
    [
        (plugin.Backoff(), [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]),
        (plugin.Backoff(first=1, most=1), [1, 1, 1]),
    ],
)
def test_backoff_grows_to_a_bound(backoff: plugin.Backoff, tops: list[float]) -> None:
    for delay, top in zip(backoff.delays(), tops, strict=False):
        assert top / 2 <= delay <= top


def test_the_recorder_is_a_handler() -> None:
    handler: events.Handler = recorder.Recorder()
    assert handler


@pytest.mark.parametrize("ticks", range(12))
async def test_a_loss_does_not_swallow_the_end(socket_path: pathlib.Path, ticks: int) -> None:
    """The loss and the cancellation meet inside the task group, in every order."""
    async with fake.Runtime().listening(socket_path) as runtime:
        task = asyncio.create_task(plugin.run(socket_path, recorder.Recorder()))
        seen = await runtime.plugin()
        seen.trunk.send_raw(b"\xff" * 8)
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        assert task.cancelled()
