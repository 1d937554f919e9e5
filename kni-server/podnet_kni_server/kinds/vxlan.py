"""Datapath vxlan: an overlay across nodes, a bridge over it, a veth port for each Pod. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from podnet_api import kni, pools

from podnet_kni_server.datapath import model
from podnet_kni_server.kinds import bridge, kind
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox

_PREFIX = "px-"


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    spec = request.config.spec.vxlan
    isolated = bool(spec and spec.port_isolation)
    return kind.veth(sandbox, request, bridge.bridge_name(request.config), isolated=isolated)


def _node(config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]) -> model.NodeLink:
    spec = config.spec.vxlan
    assert spec is not None
    return model.NodeLink(
        kind="vxlan",
        name=bridge.bridge_name(config),
        vxlan_name=kind.device_name(_PREFIX, config.metadata.name),
        vni=spec.vni,
        port=spec.port,
        local=local,
        peers=frozenset(peers),
        mtu=config.spec.mtu or 0,
        anti_spoof=config.spec.anti_spoof,
    )


def _capacity(config: kni.NetworkConfig) -> int:
    return bridge.PORTS - 1


KIND = Kind(_shape, _node, _capacity, takes=kind.COMMON | kind.EXTRAS, needs=("vxlan",))
