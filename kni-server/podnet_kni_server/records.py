"""What the KNI server remembers of a sandbox: one Record per sandbox, written as a file by checkpoint.

Pure. Addresses are strings here because a record is JSON; plan turns them into what the kernel is to hold.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from podnet_api.meta import Model

from podnet_kni_server.details import Detail, Device, DhcpRecord, Extras, NpwgRow, PortRecord, Senders

FORMAT = 1


@dataclass(frozen=True)
class Sandbox:
    """A Pod's sandbox as the runtime tells of it. ``netns`` is a path, None when there is none (any more);
    ``ips`` are its addresses on the cluster's default network."""

    id: str
    uid: str
    namespace: str
    name: str
    netns: str | None
    annotations: Mapping[str, str] = field(default_factory=dict)
    host_network: bool = False
    ips: tuple[str, ...] = ()
    pid: int = 0
    """Of the sandbox's first process, as the node numbers it; 0: not told."""
    bare: bool = False
    """Whether nothing is attached yet, not even the default network: the second hook asks."""

    @property
    def pod(self) -> str:
        """``namespace/name``, for messages."""
        return f"{self.namespace}/{self.name}"


class State(enum.Enum):
    """How far a sandbox is. What is not ATTACHED after a crash is undone."""

    ATTACHING = "attaching"
    ATTACHED = "attached"
    DETACHING = "detaching"


class RouteRecord(Model, frozen=True, kw_only=True):
    """A route: subnet and, unless it is on the link, next hop."""

    destination: str
    gateway: str = ""


class LinkRecord(Model, frozen=True, kw_only=True):
    """One interface as it was asked of the datapath; datapath.Link in JSON."""

    kind: str
    name: str
    host_name: str = ""
    master: str
    mac: str
    mtu: int
    addresses: list[str] = []
    routes: list[RouteRecord] = []
    default_gateways: list[str] = []
    mode: str = "bridge"
    hairpin: bool = False
    isolated: bool = False
    anti_spoof: bool = False
    vlan: int = 0
    senders: Senders | None = None
    dhcp: DhcpRecord | None = None
    detail: Detail | None = None
    extras: Extras | None = None
    device: Device | None = None


class InterfaceRecord(Model, frozen=True, kw_only=True):
    """One attachment: which network it belongs to, its link, and what the Pod's status says of it."""

    network: str
    attachment: str = ""
    config: str
    link: LinkRecord
    state: State = State.ATTACHED
    """Of this interface alone, while the sandbox is ATTACHED: a running Pod's list changes one by one."""
    default_versions: list[int] | None = None
    """Families whose default route the list gives to it; None: a record of before this was noted."""
    no_other_defaults: bool = False
    """Whether the Pod keeps only the default routes that its list gives to a network."""
    rows: list[NpwgRow] | None = None
    """What plugins made, for NPWG's network-status; None: no plugin was asked."""
    device_info: str = ""
    """Of the device behind it (NPWG device information), as JSON; empty: none."""
    leaving: list[str] = []
    """Addresses that it had and is about to lose; they are in use until the kernel has let them go."""
    observed: list[str] = []
    """Addresses that came from outside (SLAAC), as last seen."""
    gateways: list[str] = []
    nameservers: list[str] = []
    search: list[str] = []
    dns_options: list[str] = []
    resolv_conf: bool = True
    """Whether these are for the Pod's resolv.conf, and not for its status alone."""


class Record(Model, frozen=True, kw_only=True):
    """All attachments of one sandbox."""

    format: int = FORMAT
    sandbox: str
    uid: str
    namespace: str
    name: str
    netns: str = ""
    state: State
    interfaces: list[InterfaceRecord] = []
    pod_ips: list[str] = []
    defaults: list[str] = []
    """The default routes that were there before an interface took their place, as the kernel tells them, in hex."""

    @property
    def pod(self) -> str:
        """``namespace/name``, for messages."""
        return f"{self.namespace}/{self.name}"

    @property
    def ports(self) -> list[PortRecord]:
        """Ports of the node that lead to it."""
        given = (interface.link.extras for interface in self.interfaces)
        return [port for extras in given if extras for port in extras.ports]
