"""Values survive the wire; what the wire may hold that our types do not is read with care."""

import ipaddress

import hypothesis
import pytest
from hypothesis import strategies as st
from podnet_kni_server.nri import convert, errors, nri_pb2, types

texts = st.text(st.characters(codec="utf-8"), max_size=20)
maps = st.dictionaries(texts, texts, max_size=4)
namespaces = st.lists(st.builds(types.Namespace, texts, texts), max_size=3).map(tuple)
pods = st.builds(
    types.PodSandbox,
    id=texts,
    name=texts,
    namespace=texts,
    uid=texts,
    labels=maps,
    annotations=maps,
    runtime_handler=texts,
    namespaces=namespaces,
    pid=st.integers(0, 2**32 - 1),
    ips=st.lists(st.ip_addresses(), max_size=3).map(tuple),
)
mounts = st.lists(st.builds(types.Mount, texts, texts, texts, st.lists(texts, max_size=2).map(tuple)), max_size=2)
keys = texts.filter(lambda text: "=" not in text)
containers = st.builds(
    types.Container,
    id=texts,
    pod_sandbox_id=texts,
    name=texts,
    state=st.sampled_from(types.ContainerState),
    labels=maps,
    annotations=maps,
    env=st.dictionaries(keys, texts, max_size=3),
    mounts=mounts.map(tuple),
    pid=st.integers(0, 2**32 - 1),
)
numbers = st.integers(0, 2**32 - 1)
devices = st.builds(types.Device, texts, numbers, numbers, st.integers(0, 0o777), numbers, numbers)
adjustments = st.builds(
    types.Adjustment,
    mounts=mounts.map(tuple),
    env=maps,
    annotations=maps,
    devices=st.lists(devices, max_size=2).map(tuple),
)


@hypothesis.settings(deadline=None)
@hypothesis.given(pods)
def test_pods_survive(pod: types.PodSandbox) -> None:
    assert convert.pod_from(nri_pb2.PodSandbox.FromString(convert.pod_to(pod).SerializeToString())) == pod


@hypothesis.settings(deadline=None)
@hypothesis.given(containers)
def test_containers_survive(container: types.Container) -> None:
    wire = convert.container_to(container).SerializeToString()
    assert convert.container_from(nri_pb2.Container.FromString(wire)) == container


@hypothesis.settings(deadline=None)
@hypothesis.given(adjustments)
def test_adjustments_survive(adjustment: types.Adjustment) -> None:
    wire = convert.adjustment_to(adjustment).SerializeToString()
    assert convert.adjustment_from(nri_pb2.ContainerAdjustment.FromString(wire)) == adjustment


def namespace(*pairs: tuple[str, str]) -> types.PodSandbox:
    return types.PodSandbox("i", "n", "ns", "u", namespaces=tuple(types.Namespace(*pair) for pair in pairs))


@pytest.mark.parametrize(
    ("pod", "path", "host"),
    [
        (namespace(), None, True),
        (namespace(("ipc", ""), ("pid", "/proc/1/ns/pid")), None, True),
        (namespace(("network", "/var/run/netns/a")), "/var/run/netns/a", False),
        (namespace(("ipc", ""), ("network", "/var/run/netns/a")), "/var/run/netns/a", False),
        (namespace(("network", "")), None, False),
    ],
)
def test_the_network_namespace(pod: types.PodSandbox, path: str | None, host: bool) -> None:
    assert (pod.netns_path, pod.host_network) == (path, host)


def test_an_address_that_is_none() -> None:
    wire = nri_pb2.PodSandbox(namespace="default", name="web", ips=["10.0.0.300"])
    with pytest.raises(errors.StatusError, match=r"^cannot read the addresses of pod default/web: ") as caught:
        convert.pod_from(wire)
    assert caught.value.code == errors.Code.INVALID_ARGUMENT


def test_empty_addresses_are_left_out() -> None:
    wire = nri_pb2.PodSandbox(ips=["", "fd00::1"])
    assert convert.pod_from(wire).ips == (ipaddress.ip_address("fd00::1"),)


def test_a_state_of_the_future_is_unknown() -> None:
    wire = nri_pb2.Container.FromString(b"\x20\x63")  # state = 99
    assert convert.container_from(wire).state is types.ContainerState.UNKNOWN


@pytest.mark.parametrize(("entry", "key", "value"), [("A=1", "A", "1"), ("A=b=c", "A", "b=c"), ("A", "A", "")])
def test_environment(entry: str, key: str, value: str) -> None:
    assert convert.container_from(nri_pb2.Container(env=[entry])).env == {key: value}


@pytest.mark.parametrize(("milliseconds", "seconds"), [(500, 0.5), (2000, 2.0), (0, 7.0), (-1, 7.0)])
def test_request_timeout(milliseconds: int, seconds: float) -> None:
    wire = nri_pb2.ConfigureRequest(request_timeout=milliseconds)
    assert convert.configuration_from(wire, default_timeout=7.0).request_timeout == seconds


@pytest.mark.parametrize(
    ("wire", "data"),
    [
        (nri_pb2.RegisterPluginRequest(plugin_name="a", plugin_idx="b", nri_version="c"), b"\x0a\1a\x12\1b\x1a\1c"),
        (nri_pb2.ConfigureRequest(registration_timeout=1, request_timeout=2), b"\x20\1\x28\2"),
        (nri_pb2.ConfigureResponse(events=15), b"\x10\x0f"),
        (nri_pb2.SynchronizeRequest(more=True), b"\x18\1"),
        (nri_pb2.SynchronizeResponse(more=True), b"\x10\1"),
        (nri_pb2.StateChangeEvent(event="STOP_POD_SANDBOX"), b"\x08\2"),
        (nri_pb2.PodSandbox(runtime_handler="r", pid=1, ips=["x"]), b"\x3a\1r\x48\1\x52\1x"),
        (nri_pb2.LinuxPodSandbox(namespaces=[nri_pb2.LinuxNamespace(type="t", path="p")]), b"\x2a\6\x0a\1t\x12\1p"),
        (nri_pb2.ContainerAdjustment(env=[nri_pb2.KeyValue(key="k", value="v")]), b"\x22\6\x0a\1k\x12\1v"),
        (nri_pb2.ContainerAdjustment(mounts=[nri_pb2.Mount(source="s")]), b"\x1a\3\x1a\1s"),
    ],
)
def test_field_numbers(wire: nri_pb2.PodSandbox, data: bytes) -> None:
    assert wire.SerializeToString() == data


@pytest.mark.parametrize(("event", "bit"), [(event, 1 << index) for index, event in enumerate(types.Event)])
def test_event_mask(event: types.Event, bit: int) -> None:
    assert event.bit == bit
