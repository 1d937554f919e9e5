"""Datapath routed: a point-to-point link to the node, which routes. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from podnet_api import kni, pools

from podnet_kni_server.datapath import model
from podnet_kni_server.details import RoutedDetail
from podnet_kni_server.kinds import kind
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    hops = kind.next_hops(request.config)
    return Shape(
        kind="routed",
        host_name=model.host_name(sandbox.id, request.interface),
        gateways=hops,
        single=True,
        detail=RoutedDetail(gateways=[str(hop) for hop in hops], proxy=_proxy(request.config)),
    )


def _proxy(config: kni.NetworkConfig) -> str:
    return kind.uplink(config) if config.spec.routed and config.spec.routed.proxy else ""


def _node(config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]) -> model.NodeLink:
    pool = config.spec.ipam
    versions = {4 if ":" not in r.cidr else 6 for r in pool.ranges} if pool else {4}
    return model.NodeLink(
        kind="routed",
        name=config.metadata.name,
        uplink=_proxy(config),
        mtu=config.spec.mtu or 0,
        versions=tuple(sorted(versions)),
    )


KIND = Kind(_shape, _node, kind.plenty, takes=kind.COMMON | kind.EXTRAS)
