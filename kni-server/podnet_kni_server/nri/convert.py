"""The values of types to and from protobuf, in both directions (the fake runtime needs the other one)."""

import ipaddress

from podnet_kni_server.nri import errors, nri_pb2, types


def pod_from(wire: nri_pb2.PodSandbox) -> types.PodSandbox:
    """Raises: errors.StatusError INVALID_ARGUMENT if an address is none."""
    return types.PodSandbox(
        id=wire.id,
        name=wire.name,
        namespace=wire.namespace,
        uid=wire.uid,
        labels=dict(wire.labels),
        annotations=dict(wire.annotations),
        runtime_handler=wire.runtime_handler,
        namespaces=tuple(types.Namespace(each.type, each.path) for each in wire.linux.namespaces),
        pid=wire.pid,
        ips=tuple(_address(wire, text) for text in wire.ips if text),
    )


def _address(wire: nri_pb2.PodSandbox, text: str) -> types.IPAddress:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        reason = f"cannot read the addresses of pod {wire.namespace}/{wire.name}: {error}"
        raise errors.StatusError(errors.Code.INVALID_ARGUMENT, reason) from error


def pod_to(pod: types.PodSandbox) -> nri_pb2.PodSandbox:
    namespaces = [nri_pb2.LinuxNamespace(type=each.kind, path=each.path) for each in pod.namespaces]
    return nri_pb2.PodSandbox(
        id=pod.id,
        name=pod.name,
        namespace=pod.namespace,
        uid=pod.uid,
        labels=pod.labels,
        annotations=pod.annotations,
        runtime_handler=pod.runtime_handler,
        linux=nri_pb2.LinuxPodSandbox(namespaces=namespaces),
        pid=pod.pid,
        ips=[str(ip) for ip in pod.ips],
    )


def container_from(wire: nri_pb2.Container) -> types.Container:
    return types.Container(
        id=wire.id,
        pod_sandbox_id=wire.pod_sandbox_id,
        name=wire.name,
        state=_state(wire.state),
        labels=dict(wire.labels),
        annotations=dict(wire.annotations),
        env=dict(_key_value(entry) for entry in wire.env),
        mounts=tuple(_mount_from(mount) for mount in wire.mounts),
        pid=wire.pid,
    )


def _state(number: int) -> types.ContainerState:
    try:
        return types.ContainerState(number)
    except ValueError:
        return types.ContainerState.UNKNOWN


def _key_value(entry: str) -> tuple[str, str]:
    key, _, value = entry.partition("=")
    return key, value


def container_to(container: types.Container) -> nri_pb2.Container:
    return nri_pb2.Container(
        id=container.id,
        pod_sandbox_id=container.pod_sandbox_id,
        name=container.name,
        state=nri_pb2.ContainerState.Name(container.state),
        labels=container.labels,
        annotations=container.annotations,
        env=[f"{key}={value}" for key, value in container.env.items()],
        mounts=[_mount_to(mount) for mount in container.mounts],
        pid=container.pid,
    )


def _mount_from(wire: nri_pb2.Mount) -> types.Mount:
    return types.Mount(wire.destination, wire.type, wire.source, tuple(wire.options))


def _mount_to(mount: types.Mount) -> nri_pb2.Mount:
    return nri_pb2.Mount(destination=mount.destination, type=mount.kind, source=mount.source, options=mount.options)


def adjustment_from(wire: nri_pb2.ContainerAdjustment) -> types.Adjustment:
    return types.Adjustment(
        mounts=tuple(_mount_from(mount) for mount in wire.mounts),
        env={pair.key: pair.value for pair in wire.env},
        annotations=dict(wire.annotations),
        devices=tuple(_device_from(device) for device in wire.linux.devices),
    )


def _device_from(wire: nri_pb2.LinuxDevice) -> types.Device:
    return types.Device(wire.path, wire.major, wire.minor, wire.file_mode.value, wire.uid.value, wire.gid.value)


def _device_to(device: types.Device) -> nri_pb2.LinuxDevice:
    return nri_pb2.LinuxDevice(
        path=device.path,
        type=_CHARACTER,
        major=device.major,
        minor=device.minor,
        file_mode=nri_pb2.OptionalFileMode(value=device.mode),
        uid=nri_pb2.OptionalUInt32(value=device.owner),
        gid=nri_pb2.OptionalUInt32(value=device.group),
    )


_CHARACTER = "c"


def adjustment_to(adjustment: types.Adjustment) -> nri_pb2.ContainerAdjustment:
    return nri_pb2.ContainerAdjustment(
        mounts=[_mount_to(mount) for mount in adjustment.mounts],
        env=[nri_pb2.KeyValue(key=key, value=value) for key, value in adjustment.env.items()],
        annotations=adjustment.annotations,
        linux=_linux(adjustment) if adjustment.devices else None,
    )


def _linux(adjustment: types.Adjustment) -> nri_pb2.LinuxContainerAdjustment:
    return nri_pb2.LinuxContainerAdjustment(devices=[_device_to(device) for device in adjustment.devices])


def configuration_from(wire: nri_pb2.ConfigureRequest, default_timeout: float) -> types.Configuration:
    """A runtime that does not say its request timeout (or says 0) has `default_timeout` seconds."""
    timeout = wire.request_timeout / 1000 if wire.request_timeout > 0 else default_timeout
    return types.Configuration(wire.runtime_name, wire.runtime_version, timeout, wire.nri_version)


def policy_to(policy: types.FailurePolicy) -> nri_pb2.FailurePolicy:
    return nri_pb2.FailurePolicy(fail_request=policy.fail_request, keep_connected=policy.keep_connected)
