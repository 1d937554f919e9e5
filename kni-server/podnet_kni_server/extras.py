"""What an interface is to have on top of its kind: planned here, applied by datapath.extras. Pure.

What cannot be honoured is refused by name. Rates and ports need the node's end of the link, where the Pod cannot take
them away; ports need a node that reaches the Pod, which only a routed link and a bridge with gateways give.
"""

from __future__ import annotations

import fnmatch
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from podnet_api import kni, pools, reasons

from podnet_kni_server import kinds
from podnet_kni_server.details import Extras, PortRecord, ShapingRecord
from podnet_kni_server.errors import AttachError
from podnet_kni_server.kinds.kind import InterfaceAddress, Request, Shape
from podnet_kni_server.records import Sandbox

ALLOWED_SYSCTLS = (
    "net.ipv4.conf.IFNAME.*",
    "net.ipv6.conf.IFNAME.*",
    "net.ipv4.neigh.IFNAME.*",
    "net.ipv6.neigh.IFNAME.*",
    "net.mpls.conf.IFNAME.*",
    "net.core.somaxconn",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_*",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_syncookies",
)
"""The interface's own, and what Kubernetes calls safe below net. (KEP-34): all of the Pod's namespace alone."""
_NAME = re.compile(r"net(?:[./][A-Za-z0-9_-]+)+")
_FIRST_TABLE, _TABLES = 1 << 30, 1 << 30


@dataclass(frozen=True)
class Policy:
    """What this node allows. ``sysctls``: patterns, in which IFNAME stands for the Pod's interface and ``*`` for any
    part of a name. ``holder``: the Pod that has a port of the node by its own hostPort, or ""."""

    sysctls: Sequence[str] = ALLOWED_SYSCTLS
    holder: Callable[[PortRecord], str] = lambda port: ""


DEFAULT = Policy()


def of(
    sandbox: Sandbox,
    request: Request,
    shape: Shape,
    bound: Sequence[InterfaceAddress],
    gateways: Sequence[pools.Address],
    policy: Policy = DEFAULT,
) -> Extras | None:
    """The extras that network and attachment ask for; None: none, which costs nothing on the hot path.

    Raises AttachError naming what this datapath cannot do.
    """
    spec, own = request.config.spec, request.own
    promiscuous, all_multicast = spec.promiscuous or own.promiscuous, spec.all_multicast or own.all_multicast
    sysctls = bool(spec.sysctls or own.sysctls)
    limits = own.bandwidth or spec.bandwidth
    if not (promiscuous or all_multicast or sysctls or limits or own.port_mappings or spec.policy_routing):
        return None
    plan = _Plan(sandbox, request, shape, bound, gateways)
    if not kinds.KINDS[kinds.datapath_of(request.config)].extras:
        plan.refuse_all()
        return None
    return Extras(
        sysctls=plan.sysctls(policy) if sysctls else {},
        promiscuous=promiscuous,
        all_multicast=all_multicast,
        shaping=plan.shaping(limits) if limits else None,
        ports=plan.ports(policy),
        hidden=bool(own.port_mappings) and not spec.policy_routing,
        table=plan.table(),
        gateways=[str(gateway) for gateway in gateways],
        pod=sandbox.pod,
    )


def sysctl_path(name: str, interface: str) -> str:
    """A kernel parameter's name below /proc/sys. As with sysctl(8), the first separator decides: after a dot, dots
    and slashes change places; after a slash, dots belong to a name."""
    parts = name.split(name[3]) if len(name) > 3 else [name]
    if name[3:4] == ".":
        parts = [part.replace("/", ".") for part in parts]
    return "/".join(interface if part == "IFNAME" else part for part in parts)


@dataclass(frozen=True)
class _Plan:
    sandbox: Sandbox
    request: Request
    shape: Shape
    bound: Sequence[InterfaceAddress]
    gateways: Sequence[pools.Address]

    def sysctls(self, policy: Policy) -> dict[str, str]:
        """Those of the attachment before those of the network."""
        interface = self.request.interface
        allowed = [sysctl_path(pattern, _literal(interface)) for pattern in policy.sysctls]
        found = {}
        for name, value in {**self.request.config.spec.sysctls, **self.request.own.sysctls}.items():
            path = sysctl_path(name, interface)
            if not _NAME.fullmatch(name) or not any(_fits(path, pattern) for pattern in allowed):
                raise self.refusal(f"sysctl {name} is not among those that this node allows (--allowed-sysctls)")
            found[path] = value
        return found

    def shaping(self, limits: kni.Bandwidth) -> ShapingRecord:
        """Limits are set at the node's end: within the Pod whoever may change its links could take them away."""
        if not self.shape.host_name:
            raise self.refusal("bandwidth needs an end of the link on the node")
        return shaping_of(limits)

    def ports(self, policy: Policy) -> list[PortRecord]:
        """Each port needs an address of its family that the node reaches, and must be nobody's."""
        found = [port_of(mapping) for mapping in self.request.own.port_mappings]
        for port in found:
            self._check_port(port)
            if pod := policy.holder(port):
                what = f"portMappings: {port.protocol} port {port.host_port} of the node"
                raise self.refusal(f"{what} is the hostPort of Pod {pod}; choose another port")
        return found

    def _check_port(self, port: PortRecord) -> None:
        what = f"portMappings: port {port.host_port} of the node"
        if self.request.config.spec.ipam and self.request.config.spec.ipam.dhcp:
            raise self.refusal(f"{what} needs an address that is known before, which ipam.dhcp has not")
        spec = self.request.config.spec
        if not (self.shape.single or (spec.bridge and spec.bridge.gateway)):
            raise self.refusal(f"{what} needs a network in which the node has an address: bridge with gateway, routed")
        versions = {6 if ":" in port.host_ip else 4} if port.host_ip else {4, 6}
        if not any(self._reached(address) for address in self.bound if address.version in versions):
            words = f"on {port.host_ip} " if port.host_ip else ""
            raise self.refusal(f"{what} {words}needs an address of the Pod in a range with a gateway")

    def _reached(self, address: InterfaceAddress) -> bool:
        if self.shape.single:
            return True
        return any(gateway.version == address.version and gateway in address.network for gateway in self.gateways)

    def table(self) -> int:
        """A number that follows from the interface's name, away from those that people choose."""
        if not self.request.config.spec.policy_routing:
            return 0
        if self.request.config.spec.ipam and self.request.config.spec.ipam.dhcp:
            raise self.refusal("policyRouting needs an address that is known before, which ipam.dhcp has not")
        if kinds.datapath_of(self.request.config) in kni.GUESTS:
            raise self.refusal("policyRouting is the guest's affair")
        return _FIRST_TABLE + zlib.crc32(self.request.interface.encode()) % _TABLES

    def refuse_all(self) -> None:
        """For links that are not ours to change; what an attachment may ask of them is refused elsewhere."""
        given = ", ".join(f"spec.{key}" for key in _of_network(self.request.config.spec))
        if given:
            raise self.refusal(f"{given} of NetworkConfig {self.request.config.metadata.name} is not supported")

    def refusal(self, message: str) -> AttachError:
        """An AttachError that names interface and datapath."""
        where = f"{self.request.interface} (datapath {kinds.datapath_of(self.request.config)})"
        text = f"cannot attach Pod {self.sandbox.pod}: {where}: {message}"
        return AttachError(text, reasons.PARAMS_UNSUPPORTED)


def shaping_of(limits: kni.Bandwidth) -> ShapingRecord:
    """Limits as the datapath takes them."""
    return ShapingRecord(
        ingress_rate=limits.ingress_rate,
        ingress_burst=limits.ingress_burst,
        egress_rate=limits.egress_rate,
        egress_burst=limits.egress_burst,
    )


def port_of(mapping: kni.PortMapping) -> PortRecord:
    """A port as the datapath takes it."""
    return PortRecord(
        host_port=mapping.host_port,
        container_port=mapping.container_port,
        protocol=mapping.protocol,
        host_ip=mapping.host_ip or "",
    )


def _of_network(spec: kni.NetworkConfigSpec) -> Iterator[str]:
    """Keys of a NetworkConfig that ask for extras."""
    given = {
        "policyRouting": spec.policy_routing,
        "promiscuous": spec.promiscuous,
        "allMulticast": spec.all_multicast,
        "bandwidth": spec.bandwidth,
        "sysctls": spec.sysctls,
    }
    return (key for key, value in given.items() if value)


def _literal(name: str) -> str:
    """An interface's name as fnmatch takes it for itself."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def _fits(path: str, pattern: str) -> bool:
    """Whether each part of the name fits its part of the pattern."""
    names, wanted = path.split("/"), pattern.split("/")
    return len(names) == len(wanted) and all(map(fnmatch.fnmatchcase, names, wanted))
