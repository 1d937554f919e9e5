"""What every datapath says of itself: the pure half. The other half makes links (datapath).

One module of this package for each datapath of a NetworkConfig; ``kinds.KINDS`` lists them. A kind says what
shape a Pod's link has (``shape``), what the node needs before (``node``), and how many a node can carry.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from podnet_api import kni, pools

from podnet_kni_server.datapath import model
from podnet_kni_server.details import Detail
from podnet_kni_server.records import Sandbox

InterfaceAddress = IPv4Interface | IPv6Interface


@dataclass(frozen=True)
class Request:
    """One attachment that a Pod asks for. ``pool`` is None where no addresses are given; ``static`` are
    addresses asked for by the attachment, with the prefix length that the Pod's interface gets."""

    network: str
    attachment: str
    interface: str
    default_versions: tuple[int, ...]
    config: kni.NetworkConfig
    own: kni.AttachmentConfigSpec
    pool: pools.Pool | None
    static: tuple[InterfaceAddress, ...]

    @property
    def leased_versions(self) -> tuple[int, ...]:
        """The families that need an address from the pool: those without a static one."""
        fixed = {address.version for address in self.static}
        return tuple(v for v in self.pool.versions if v not in fixed) if self.pool else ()


@dataclass(frozen=True)
class Shape:
    """What of a link follows from its kind; the rest (name, MAC, MTU, addresses, routes) is common to all.
    The fields are those of datapath.model.Link."""

    kind: str
    host_name: str = ""
    master: str = ""
    mode: str = "bridge"
    hairpin: bool = False
    isolated: bool = False
    anti_spoof: bool = False
    vlan: int = 0
    detail: Detail | None = None
    gateways: tuple[pools.Address, ...] = ()
    """Next hops in place of the gateways of the ranges, also for routes that name none."""
    single: bool = False
    """Whether addresses have no subnet on the link: the subnet is routed through the next hop like the rest."""
    own_default: bool = False
    """Whether the kind sees to default routes itself; else they lead to the gateways."""
    own_mac: bool = True
    """Whether we choose the MAC address, where the attachment does not. False: the kernel, the uplink or the
    device has one already."""


COMMON = frozenset({"addresses", "mac", "routes", "dns", "noOtherDefaultRoutes"})
"""Keys of an AttachmentConfig that every link of our own takes."""
EXTRAS = frozenset({"bandwidth", "sysctls", "portMappings", "promiscuous", "allMulticast"})
"""Keys of an AttachmentConfig that make extras (extras.of), which every link of the kernel takes."""


@dataclass(frozen=True)
class Kind:
    """One datapath. ``shape`` may raise AttachError; ``node`` gets the addresses of this and of the other
    nodes, which only overlays need. ``needs`` are kinds of links of the kernel (Datapath.kinds)."""

    shape: Callable[[Sandbox, Request], Shape]
    node: Callable[[kni.NetworkConfig, pools.Address | None, Iterable[pools.Address]], model.NodeLink]
    capacity: Callable[[kni.NetworkConfig], int]
    """Most attachments on one node."""
    takes: frozenset[str] = COMMON
    """Keys of an AttachmentConfig that it takes; any other is refused by name."""
    needs: tuple[str, ...] = ()
    extras: bool = True
    """Whether its links are the kernel's, so that extras can be put upon them."""
    parts: Callable[[kni.NetworkConfig], tuple[str, ...]] = lambda config: ()
    """Interfaces of the same Pod, of earlier entries of its list, that the link is made of."""
    bare_parts: bool = False
    """Whether these have no addresses of their own then."""


LINKS = 4096
"""For kinds without a limit in the kernel: more than this no node runs."""


def plenty(config: kni.NetworkConfig) -> int:
    """The capacity of a kind without a limit."""
    return LINKS


def nothing_on_node(
    config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]
) -> model.NodeLink:
    """What a kind needs on the node that lives in the Pod alone."""
    return model.NodeLink(kind="none", name=config.metadata.name, mtu=config.spec.mtu or 0)


_HOPS = ipaddress.ip_network("169.254.192.0/18")
_HOP6 = ipaddress.ip_address("fe80::1")


def next_hops(config: kni.NetworkConfig) -> tuple[pools.Address, ...]:
    """Next hops on a link that has no subnet: link-local addresses (RFC 3927, RFC 4291). That of IPv4 is the
    network's own, as a Pod with two such networks has one table of routes for both."""
    drawn = int(pools.pool_hash(config.metadata.name), 16) % (_HOPS.num_addresses - 2)
    return _HOPS.network_address + 1 + drawn, _HOP6


def veth(
    sandbox: Sandbox,
    request: Request,
    master: str,
    *,
    hairpin: bool = False,
    isolated: bool = False,
    vlan: int = 0,
) -> Shape:
    """The shape of a port of ``master``, a bridge of the node."""
    return Shape(
        kind="veth",
        host_name=model.host_name(sandbox.id, request.interface),
        master=master,
        hairpin=hairpin,
        isolated=isolated,
        vlan=vlan,
        anti_spoof=request.config.spec.anti_spoof,
    )


def uplink(config: kni.NetworkConfig) -> str:
    """The interface of the node that carries the network, or ``""``."""
    return config.spec.uplink.interface if config.spec.uplink else ""


def device_name(prefix: str, config: str) -> str:
    """Name of a device of the node that belongs to NetworkConfig ``config``: readable where it fits."""
    readable = prefix + config
    return readable if len(readable) <= model.NAME_LIMIT else prefix + pools.pool_hash(config)
