"""Ports of the node that its Pods have by Kubernetes' own hostPort. Nothing listens there, so that only the Pods tell:
of such a port and one of ours, the rule that was made first would win in silence. Pure."""

from __future__ import annotations

from collections.abc import Iterable
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


class Container(Model, frozen=True, kw_only=True):
    """What is needed of a container."""

    ports: list[Port] = []


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
