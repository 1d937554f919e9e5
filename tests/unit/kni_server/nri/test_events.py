"""Which method calls what, and how it is answered."""

import pytest
from podnet_kni_server.nri import convert, errors, events, nri_pb2, recorder, types

POD = types.PodSandbox("sandbox-1", "web", "default", "uid-1")
CONTAINER = types.Container("container-1", "sandbox-1", "app")
WIRE_POD = convert.pod_to(POD)


@pytest.fixture
def handler() -> recorder.Recorder:
    return recorder.Recorder()


@pytest.fixture
def service(handler: recorder.Recorder) -> events.Events:
    return events.Events(handler, types.FailurePolicy())


def state_change(event: int) -> bytes:
    return b"\x08" + bytes([event]) + nri_pb2.StateChangeEvent(pod=WIRE_POD).SerializeToString()


POD_REQUEST = nri_pb2.PodRequest(pod=WIRE_POD).SerializeToString()
CREATE = nri_pb2.CreateContainerRequest(pod=WIRE_POD, container=convert.container_to(CONTAINER)).SerializeToString()


@pytest.mark.parametrize(
    ("method", "payload", "what", "call"),
    [
        ("RunPodSandbox", POD_REQUEST, "RunPodSandbox of pod default/web", ("run_pod_sandbox", "web")),
        ("StopPodSandbox", POD_REQUEST, "StopPodSandbox of pod default/web", ("stop_pod_sandbox", "web")),
        ("RemovePodSandbox", POD_REQUEST, "RemovePodSandbox of pod default/web", ("remove_pod_sandbox", "web")),
        ("StateChange", state_change(1), "RunPodSandbox of pod default/web", ("run_pod_sandbox", "web")),
        ("StateChange", state_change(2), "StopPodSandbox of pod default/web", ("stop_pod_sandbox", "web")),
        ("StateChange", state_change(3), "RemovePodSandbox of pod default/web", ("remove_pod_sandbox", "web")),
        ("CreateContainer", CREATE, "CreateContainer of app in pod default/web", ("create_container", "app")),
        ("StateChange", state_change(0), "StateChange 0", None),
        ("StateChange", state_change(4), "StateChange 4", None),
        ("StateChange", state_change(6), "StateChange 6", None),
        ("StateChange", state_change(13), "StateChange 13", None),
        ("StateChange", state_change(99), "StateChange 99", None),
        ("UpdatePodSandbox", POD_REQUEST, "UpdatePodSandbox", None),
        ("PostUpdatePodSandbox", POD_REQUEST, "PostUpdatePodSandbox", None),
        ("Shutdown", b"", "Shutdown", None),
    ],
)
async def test_an_event_calls_its_handler(
    service: events.Events,
    handler: recorder.Recorder,
    method: str,
    payload: bytes,
    what: str,
    call: tuple[str, str] | None,
) -> None:
    prepared = service.prepare(method, payload)
    assert prepared.what == what
    assert await prepared.work() in (b"", b"\x0a\0"), "nothing, or an adjustment of nothing"
    assert handler.calls == ([call] if call else [])


@pytest.mark.parametrize(
    "method", ["Configure", "Synchronize", "RunPodSandbox", "StopPodSandbox", "StateChange", "CreateContainer"]
)
def test_a_payload_that_is_no_protobuf(service: events.Events, method: str) -> None:
    with pytest.raises(errors.StatusError, match=r"^cannot read ") as caught:
        service.prepare(method, b"\xff\xff")
    assert caught.value.code == errors.Code.INVALID_ARGUMENT


async def test_configure(service: events.Events, handler: recorder.Recorder) -> None:
    request = nri_pb2.ConfigureRequest(runtime_name="containerd", runtime_version="v2", request_timeout=3000)
    payload = await service.prepare("Configure", request.SerializeToString()).work()
    response = nri_pb2.ConfigureResponse.FromString(payload)
    assert response.events == 0b1111, "0 would subscribe to everything"
    assert (response.failure_policy.fail_request, response.failure_policy.keep_connected) == (True, True)
    assert handler.calls == [("configured", "containerd v2 3")]
    assert service.configuration == types.Configuration("containerd", "v2", 3.0)


def part(*names: str, more: bool, containers: int = 0) -> bytes:
    pods = [nri_pb2.PodSandbox(name=name) for name in names]
    request = nri_pb2.SynchronizeRequest(pods=pods, containers=[nri_pb2.Container()] * containers, more=more)
    return request.SerializeToString()


@pytest.mark.parametrize(
    ("parts", "names", "containers"),
    [
        ([part(more=False)], [], 0),
        ([part("a", "b", more=False, containers=1)], ["a", "b"], 1),
        ([part("a", more=True), part("b", more=True), part("c", more=False)], ["a", "b", "c"], 0),
        ([part("a", more=True, containers=2), part(more=False, containers=3)], ["a"], 5),
    ],
)
async def test_synchronize_in_parts(
    service: events.Events, handler: recorder.Recorder, parts: list[bytes], names: list[str], containers: int
) -> None:
    for payload in parts[:-1]:
        answer = await service.prepare("Synchronize", payload).work()
        assert nri_pb2.SynchronizeResponse.FromString(answer).more, "otherwise the runtime drops the plugin"
        assert handler.calls == []
    answer = await service.prepare("Synchronize", parts[-1]).work()
    assert not nri_pb2.SynchronizeResponse.FromString(answer).more
    assert [pod.name for pod in handler.pods] == names
    assert len(handler.containers) == containers
    assert service.synchronized


async def test_a_second_synchronize_starts_anew(service: events.Events, handler: recorder.Recorder) -> None:
    for name in ["a", "b"]:
        await service.prepare("Synchronize", part(name, more=False)).work()
        assert [pod.name for pod in handler.pods] == [name]


async def test_a_container_is_adjusted(service: events.Events, handler: recorder.Recorder) -> None:
    mount = types.Mount("/etc/podnet", "bind", "/run/kni/sandbox-1", ("rbind", "ro"))
    handler.adjustment = types.Adjustment((mount,), {"A": "b"}, {"c": "d"})
    response = nri_pb2.CreateContainerResponse.FromString(await service.prepare("CreateContainer", CREATE).work())
    assert convert.adjustment_from(response.adjust) == handler.adjustment
    assert handler.containers == [CONTAINER]
