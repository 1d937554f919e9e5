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
    resource: str = ""
    """Extended resource of which the kubelet gave the Pod devices; the next one comes before ``device_id``."""
    guid: str = ""
    """GUID of an InfiniBand interface."""
    ports: list[PortRecord] = []
    shaping: ShapingRecord | None = None
    default_versions: list[int] = []
    """Families whose default route is to lead over this interface."""


class NpwgRow(Model, frozen=True, kw_only=True):
    """One interface of a plugin's result as NPWG's network-status tells of it; ``ips`` are bare."""

    interface: str
    ips: list[str] = []
    mac: str = ""
    mtu: int = 0
    gateway: list[str] = []
    dns: dict[str, str | list[str]] = {}


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


class RoutedDetail(Model, frozen=True, kw_only=True, tag="routed"):
    """A point-to-point link: next hops (``gateways``) are addresses of the node's end."""

    gateways: list[str]
    proxy: str = ""
    """The uplink on which the node answers ARP and NDP for the Pod; empty: it does not."""


class TapDetail(Model, frozen=True, kw_only=True, tag="tap"):
    """A tap device. ``owner`` and ``group`` are ids that may open it; None: whoever may open /dev/net/tun."""

    owner: int | None = None
    group: int | None = None
    multi_queue: bool = False


class MacvtapDetail(Model, frozen=True, kw_only=True, tag="macvtap"):
    """A macvtap device: who owns its character device in the containers."""

    owner: int = 0
    group: int = 0


class BondDetail(Model, frozen=True, kw_only=True, tag="bond"):
    """A bond. ``parts`` are interfaces of the same Pod."""

    parts: list[str]
    mode: str = "active-backup"
    miimon: int = 100
    xmit_hash_policy: str = "layer2"
    fail_over_mac: str = "none"


class PartRoute(Model, frozen=True, kw_only=True):
    """A route over an interface that is part of a VRF: it stands in the VRF's table."""

    part: str
    destination: str
    gateway: str = ""


class VrfDetail(Model, frozen=True, kw_only=True, tag="vrf"):
    """A VRF. ``parts`` are interfaces of the same Pod, ``routes`` what leads over them."""

    parts: list[str]
    table: int
    routes: list[PartRoute] = []


class UserspaceDetail(Model, frozen=True, kw_only=True, tag="userspace"):
    """A socket that a user-space switch of the node and the Pod share."""

    protocol: str
    """vhost-user or memif."""
    role: str
    """server or client: the Pod's."""
    directory: str
    """On the node; the interface's own."""
    mount: str
    """The same directory in the containers."""
    socket: str
    """Name of the socket in it."""
    pod: str = ""
    """``namespace/name``."""
    network: str = ""


class Senders(Model, frozen=True, kw_only=True):
    """Who may send through a guarded port, where that is not its own interface alone: a bond over it."""

    macs: list[str]
    addresses: list[str] = []
    """With prefix length."""


class Device(Model, frozen=True, kw_only=True):
    """A character device that the Pod's containers need for an interface."""

    path: str
    major: int
    minor: int
    owner: int = 0
    group: int = 0
    mode: int = 0o660


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
    hidden: bool = False
    """Whether who connects to ``ports`` is hidden behind the gateway: the Pod's answers would go elsewhere."""
    table: int = 0
    """Routing table of the network's own in the Pod; 0: none."""
    gateways: list[str] = []
    """The next hops of the network: default routes of that table lead there."""
    pod: str = ""
    """``namespace/name``, for messages."""


Detail = (
    CniDetail
    | HostDeviceDetail
    | SriovDetail
    | RoutedDetail
    | TapDetail
    | MacvtapDetail
    | BondDetail
    | VrfDetail
    | UserspaceDetail
)
"""One class for each kind that needs more than a Link has; its tag is the kind."""
