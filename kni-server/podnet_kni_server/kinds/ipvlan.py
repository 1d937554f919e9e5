"""Datapath ipvlan: a link on the uplink that shares its MAC address. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from podnet_api import kni, pools

from podnet_kni_server.datapath import model
from podnet_kni_server.kinds import kind
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox


def _mode(config: kni.NetworkConfig) -> str:
    return (config.spec.ipvlan or kni.Ipvlan()).mode


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    """In the layer 3 modes the node's own routes count and nobody is asked by ARP or NDP: any next hop will do."""
    mode = _mode(request.config)
    gateways = () if mode == "l2" else kind.next_hops(request.config)
    return Shape(kind="ipvlan", master=kind.uplink(request.config), mode=mode, own_mac=False, gateways=gateways)


def _node(config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]) -> model.NodeLink:
    return model.NodeLink(
        kind="uplink", name=kind.uplink(config), mtu=config.spec.mtu or 0, use=f"ipvlan {_mode(config)}"
    )


KIND = Kind(_shape, _node, kind.plenty, takes=(kind.COMMON | kind.EXTRAS) - {"mac"}, needs=("ipvlan",))
