"""What of an interface belongs to its kind alone, and what any kind may have on top. Pure.

Both cross JSON: they stand in the checkpoint as they are handed to the datapath, so that an interface can be
taken away by its record alone. A new kind adds a class to Detail; a new extra adds a field to Extras.
"""

from __future__ import annotations

from podnet_api.meta import Model


class PortRecord(Model, frozen=True, kw_only=True):
    """A port of the node that leads to the Pod."""

    host_port: int
    container_port: int
    protocol: str = "TCP"
    host_ip: str = ""


class ShapingRecord(Model, frozen=True, kw_only=True):
    """Limits in bits per second and bits; ingress is towards the Pod; 0: no limit."""

    ingress_rate: int = 0
    ingress_burst: int = 0
    egress_rate: int = 0
    egress_burst: int = 0


class CniDetail(Model, frozen=True, kw_only=True, tag="cni"):
    """A chain of CNI plugins, and what an attachment asks of it."""

    network: str
    """Name of the network where the configuration has none."""
    config: str
    """The network configuration (list) as JSON; empty: that of the node's file with the name ``network``."""
    namespace: str
    pod: str
    uid: str
    sandbox: str
    ips: list[str] = []
    """Addresses that the attachment asks for, with prefix length where given."""
    args: dict[str, str] = {}
    """``args.cni``: each value is JSON."""
    device_id: str = ""
    ports: list[PortRecord] = []
    shaping: ShapingRecord | None = None
    default_versions: list[int] = []
    """Families whose default route is to lead over this interface."""


class HostDeviceDetail(Model, frozen=True, kw_only=True, tag="hostDevice"):
    """A device of the node: exactly one of ``name``, ``mac`` and ``pci_address`` is set. ``pod`` is
    ``namespace/name`` of the Pod that gets it."""

    pod: str = ""
    name: str = ""
    mac: str = ""
    pci_address: str = ""


class SriovDetail(Model, frozen=True, kw_only=True, tag="sriov"):
    """A virtual function and its settings: the one with the PCI address ``device_id``, else one that the kubelet
    gave the Pod of ``resource``, else any free one of ``uplink``. ``pod`` is ``namespace/name``."""

    pod: str
    uplink: str = ""
    device_id: str = ""
    resource: str = ""
    devices: list[str] = []
    """PCI addresses that the kubelet gave the Pod; filled in when the Pod is attached."""
    vlan: int = 0
    qos: int = 0
    vlan_protocol: str = "802.1Q"
    spoof_check: bool = True
    trust: bool = False
    link_state: str = "auto"
    min_tx_rate: int = 0
    max_tx_rate: int = 0


class DhcpRecord(Model, frozen=True, kw_only=True):
    """An address by DHCP, and all that giving it back needs."""

    network: str
    namespace: str
    pod: str
    uid: str
    sandbox: str
    host_name: bool = True
    """Whether the server is told the Pod's name."""
    default: bool = False
    """Whether the default route leads to the router that the server names."""


class Extras(Model, frozen=True, kw_only=True):
    """What an interface of any kind may have on top. Applied in the order of the fields, undone in reverse."""

    sysctls: dict[str, str] = {}
    """Names below /proc/sys with slashes, e.g. ``net/ipv4/conf/net1/arp_ignore``."""
    promiscuous: bool = False
    all_multicast: bool = False
    shaping: ShapingRecord | None = None
    ports: list[PortRecord] = []
    table: int = 0
    """Routing table of the network's own in the Pod; 0: none."""


Detail = CniDetail | HostDeviceDetail | SriovDetail
"""One class for each kind that needs more than a Link has; its tag is the kind."""
