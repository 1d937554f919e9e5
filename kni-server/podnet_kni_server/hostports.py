"""Ports of the node that its Pods have by Kubernetes' own hostPort. Nothing listens there, so that only the Pods tell:
of such a port and one of ours, one would win in silence. What comes after a mapping of ours cannot be kept off, for
it needs nothing of us; it is told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from msgspec import field
from podnet_api import core
from podnet_api.meta import Model

from podnet_kni_server.details import PortRecord


class Port(Model, frozen=True, kw_only=True):
    """A port of a container. Of one on the host's network the API server fills the node's port in."""

    host_port: int = 0
    host_ip: str = field(name="hostIP", default="")
    protocol: str = "TCP"


class Resources(Model, frozen=True, kw_only=True):
    """What a container asks for, quantities as the API server writes them."""

    requests: dict[str, str | int] = {}


class Container(Model, frozen=True, kw_only=True):
    """What is needed of a container."""

    ports: list[Port] = []
    resources: Resources = Resources()


class Spec(core.PodSpec, frozen=True, kw_only=True):
    """A Pod's spec with its containers."""

    containers: list[Container] = []
    init_containers: list[Container] = []


class Pod(core.Pod, frozen=True, kw_only=True):
    """A Pod of this node."""

    spec: Spec = Spec()


def holder(pods: Iterable[Pod], wanted: PortRecord) -> str:
    """The Pod (``namespace/name``) that has a port of the node; empty: none."""
    for pod in pods:
        if not pod.finished and any(_meet(port, wanted) for port in _ports(pod)):
            return f"{pod.metadata.namespace}/{pod.metadata.name}"
    return ""


def shadowed(pod: Pod, mapped: Iterable[tuple[str, PortRecord]]) -> Iterator[str]:
    """What to tell of each hostPort of a new Pod that is mapped to another already. ``mapped``: Pod and its port."""
    wanted = [] if pod.finished else [port for port in _ports(pod) if port.host_port]
    own = f"{pod.metadata.namespace}/{pod.metadata.name}"
    for owner, record in mapped if wanted else ():
        if owner != own and any(_meet(port, record) for port in wanted):
            what = f"{record.protocol} port {record.host_port} of node {pod.spec.node_name}"
            yield f"cannot lead {what} to this Pod: portMappings of Pod {owner} took it before"


def _ports(pod: Pod) -> Iterable[Port]:
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        yield from container.ports


def _meet(port: Port, wanted: PortRecord) -> bool:
    same = (port.host_port, port.protocol or "TCP") == (wanted.host_port, wanted.protocol)
    return same and (_is_any(port.host_ip) or _is_any(wanted.host_ip) or port.host_ip == wanted.host_ip)


def _is_any(address: str) -> bool:
    try:
        return not address or ip_address(address).is_unspecified
    except ValueError:
        return False  # what the API server took and cannot be read leads nowhere
