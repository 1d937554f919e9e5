"""Datapath bridge: a Linux bridge on the node, a veth port for each Pod. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from podnet_api import kni, pools

from podnet_kni_server.datapath import model
from podnet_kni_server.kinds import kind
from podnet_kni_server.kinds.kind import InterfaceAddress, Kind, Request, Shape
from podnet_kni_server.records import Sandbox

PORTS = 1023
"""Ports of a Linux bridge (BR_MAX_PORTS is 1024, port 0 is not used)."""
_PREFIX = "pn-"


def bridge_name(config: kni.NetworkConfig) -> str:
    """Name of the network's bridge on the node."""
    if config.spec.bridge and config.spec.bridge.name:
        return config.spec.bridge.name
    return kind.device_name(_PREFIX, config.metadata.name)


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    spec = request.config.spec.bridge or kni.Bridge()
    master = bridge_name(request.config)
    return kind.veth(sandbox, request, master, hairpin=spec.hairpin, isolated=spec.port_isolation, vlan=spec.vlan)


def _node(config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]) -> model.NodeLink:
    spec = config.spec
    gateways = _gateways(config)
    vlan = spec.bridge.vlan if spec.bridge else 0
    return model.NodeLink(
        kind="bridge",
        name=bridge_name(config),
        uplink=kind.uplink(config),
        mtu=spec.mtu or 0,
        gateways=gateways,
        masquerade=tuple(g.network for g in gateways) if spec.bridge and spec.bridge.ip_masq else (),
        anti_spoof=spec.anti_spoof,
        vlan=vlan,
        needs=("bridge-vlan",) if vlan else (),
    )


def _gateways(config: kni.NetworkConfig) -> tuple[InterfaceAddress, ...]:
    if not (config.spec.bridge and config.spec.bridge.gateway and config.spec.ipam):
        return ()
    ranges = [(r, ipaddress.ip_network(r.cidr)) for r in config.spec.ipam.ranges if r.gateway]
    return tuple(ipaddress.ip_interface(f"{r.gateway}/{network.prefixlen}") for r, network in ranges)


def _capacity(config: kni.NetworkConfig) -> int:
    return PORTS - bool(config.spec.uplink)


KIND = Kind(_shape, _node, _capacity, takes=kind.COMMON | kind.EXTRAS)
