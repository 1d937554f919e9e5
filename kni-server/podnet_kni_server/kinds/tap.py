"""Datapath tap: a tap device in the Pod for a guest, with a port on a bridge of the node. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from podnet_api import kni, pools

from podnet_kni_server.datapath import model
from podnet_kni_server.details import TapDetail
from podnet_kni_server.kinds import bridge, kind
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox


def _spec(config: kni.NetworkConfig) -> kni.Tap:
    return config.spec.tap or kni.Tap()


def _bridge(config: kni.NetworkConfig) -> str:
    return _spec(config).bridge or bridge.bridge_name(config)


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    spec = _spec(request.config)
    port = kind.veth(sandbox, request, _bridge(request.config))
    detail = TapDetail(owner=spec.owner, group=spec.group, multi_queue=spec.multi_queue)
    return dataclasses.replace(port, kind="tap", detail=detail, own_default=True)


def _node(config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]) -> model.NodeLink:
    spec = config.spec
    return model.NodeLink(
        kind="bridge",
        name=_bridge(config),
        uplink=kind.uplink(config),
        mtu=spec.mtu or 0,
        anti_spoof=spec.anti_spoof,
    )


def _capacity(config: kni.NetworkConfig) -> int:
    return bridge.PORTS - bool(config.spec.uplink)


KIND = Kind(_shape, _node, _capacity, takes=(kind.COMMON | kind.EXTRAS) - {"routes"}, needs=("tap",))
