"""What NRI events carry, as plain values. Protobuf stops below (see convert).

Fields keep NRI's names and meaning (NRI pkg/api). Mappings are never changed after construction.
"""

import dataclasses
import enum
import ipaddress
from collections.abc import Mapping

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Event(enum.IntEnum):
    """The events the plugin subscribes to."""

    RUN_POD_SANDBOX = 1
    STOP_POD_SANDBOX = 2
    REMOVE_POD_SANDBOX = 3
    CREATE_CONTAINER = 4

    @property
    def bit(self) -> int:
        """Its place in the event mask."""
        return 1 << (self - 1)


class ContainerState(enum.IntEnum):
    """A state this list does not know is read as UNKNOWN."""

    UNKNOWN = 0
    CREATED = 1
    PAUSED = 2
    RUNNING = 3
    STOPPED = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Namespace:
    """A Linux namespace: `kind` as in the OCI runtime spec ("network", "pid", ...), `path` of its file."""

    kind: str
    path: str


@dataclasses.dataclass(frozen=True, slots=True)
class PodSandbox:
    """One sandbox of a Pod. The kubelet retries with a new `id` and the same `uid`."""

    id: str
    name: str
    namespace: str
    uid: str
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    runtime_handler: str = ""
    namespaces: tuple[Namespace, ...] = ()
    pid: int = 0
    ips: tuple[IPAddress, ...] = ()

    @property
    def netns_path(self) -> str | None:
        """The file of the Pod's network namespace; None for a Pod on the host's network, or if not told."""
        paths = (each.path for each in self.namespaces if each.kind == "network")
        return next(paths, None) or None

    @property
    def host_network(self) -> bool:
        """The sandbox has no network namespace of its own."""
        return all(each.kind != "network" for each in self.namespaces)


@dataclasses.dataclass(frozen=True, slots=True)
class Mount:
    """A mount as in the OCI runtime spec; `options` such as ("rbind", "ro")."""

    destination: str
    kind: str
    source: str
    options: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Device:
    """A character device that the container may open; the runtime makes it, and allows it in the cgroup."""

    path: str
    major: int
    minor: int
    mode: int = 0o660
    owner: int = 0
    group: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Container:
    """A container being created (its `id` is set, its process is not) or found in Synchronize."""

    id: str
    pod_sandbox_id: str
    name: str
    state: ContainerState = ContainerState.UNKNOWN
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    pid: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Adjustment:
    """What to change in a container being created. The default changes nothing."""

    mounts: tuple[Mount, ...] = ()
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    devices: tuple[Device, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class FailurePolicy:
    """What the runtime does when the plugin does not answer (runtimes with NRI above 0.12.0; older ones drop
    the plugin and start the Pod without it)."""

    fail_request: bool = True
    """Fail the event instead of going on without the plugin."""
    keep_connected: bool = True
    """A late answer does not end the registration."""


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """How the plugin registers: `name` of [a-zA-Z0-9_.+-], `index` of two digits, lowest called first."""

    name: str = "kni"
    index: str = "10"
    policy: FailurePolicy = FailurePolicy()


@dataclasses.dataclass(frozen=True, slots=True)
class Configuration:
    """What the runtime says of itself when it configures the plugin. Timeouts in seconds."""

    runtime: str
    version: str
    request_timeout: float
    nri_version: str = ""
