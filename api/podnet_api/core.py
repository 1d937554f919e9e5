"""The parts of core/v1 kinds that podnet reads: Pod, Node, Namespace. Decoding skips every other field.

Reading only these fields costs a tenth of decoding whole objects (field notes, "Libraries").
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from podnet_api.meta import Model, ObjectMeta, Resource


class Container(Model, frozen=True, kw_only=True):
    """A container's name."""

    name: str = ""


class PodSpec(Model, frozen=True, kw_only=True):
    """What podnet needs of a Pod's spec."""

    node_name: str = ""
    host_network: bool = False
    service_account_name: str = ""
    scheduler_name: str = ""
    dns_policy: str = ""
    dns_config: dict[str, object] | None = None


class PodIP(Model, frozen=True, kw_only=True):
    """One address of the Pod on the cluster's default network."""

    ip: str = ""


class PodCondition(Model, frozen=True, kw_only=True):
    """A condition of a Pod, as whoever wrote it did: most have no reason, some no time. Nothing is required
    or bounded here, because one odd Pod must not stop a watch cache."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class PodStatus(Model, frozen=True, kw_only=True):
    """What podnet needs of a Pod's status."""

    phase: str = ""
    conditions: list[PodCondition] = []
    pod_ips: list[PodIP] = field(name="podIPs", default_factory=list)


class Pod(Model, frozen=True, kw_only=True):
    """A Pod."""

    resource: ClassVar[Resource] = Resource("Pod", "pods", "", "v1", True)

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def finished(self) -> bool:
        """Whether it has Succeeded or Failed and so holds no network any more (KEP-3698, in use)."""
        return self.status.phase in {"Succeeded", "Failed"}


class Taint(Model, frozen=True, kw_only=True):
    """A taint of a node."""

    key: str
    value: str = ""
    effect: str = ""


class NodeSpec(Model, frozen=True, kw_only=True):
    """What podnet needs of a Node's spec."""

    taints: list[Taint] = []
    unschedulable: bool = False


class NodeAddress(Model, frozen=True, kw_only=True):
    """An address of a node."""

    type: str
    address: str


class NodeStatus(Model, frozen=True, kw_only=True):
    """What podnet needs of a Node's status."""

    addresses: list[NodeAddress] = []
    allocatable: dict[str, str] = {}


class Node(Model, frozen=True, kw_only=True):
    """A Node."""

    resource: ClassVar[Resource] = Resource("Node", "nodes", "", "v1", False)

    metadata: ObjectMeta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def internal_ips(self) -> tuple[str, ...]:
        """Addresses of type InternalIP, as written."""
        return tuple(a.address for a in self.status.addresses if a.type == "InternalIP")


class Ordinals(Model, frozen=True, kw_only=True):
    """How a StatefulSet counts."""

    start: int = 0


class StatefulSetSpec(Model, frozen=True, kw_only=True):
    """What podnet needs of a StatefulSet's spec."""

    replicas: int = 1
    ordinals: Ordinals = Ordinals()


class StatefulSet(Model, frozen=True, kw_only=True):
    """A StatefulSet: its Pods are named after it and a number, and come back under that name."""

    resource: ClassVar[Resource] = Resource("StatefulSet", "statefulsets", "apps", "v1", True)

    metadata: ObjectMeta
    spec: StatefulSetSpec = StatefulSetSpec()

    def has(self, pod: str) -> bool:
        """Whether ``pod`` is the name of one of its members."""
        name, _, number = pod.rpartition("-")
        first = self.spec.ordinals.start
        counted = number.isascii() and number.isdigit() and str(int(number)) == number
        return name == self.metadata.name and counted and first <= int(number) < first + self.spec.replicas


class Namespace(Model, frozen=True, kw_only=True):
    """A Namespace."""

    resource: ClassVar[Resource] = Resource("Namespace", "namespaces", "", "v1", False)

    metadata: ObjectMeta
