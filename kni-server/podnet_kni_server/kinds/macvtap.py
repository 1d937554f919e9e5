"""Datapath macvtap: a macvlan that a guest opens as a character device; its addresses are the guest's. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from podnet_api import kni, pools

from podnet_kni_server.datapath import model
from podnet_kni_server.details import MacvtapDetail
from podnet_kni_server.kinds import kind, macvlan
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox


def _spec(config: kni.NetworkConfig) -> kni.Macvtap:
    return config.spec.macvtap or kni.Macvtap()


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    spec = _spec(request.config)
    macvlan.refuse_mac(sandbox, request, spec.mode)
    return Shape(
        kind="macvtap",
        master=kind.uplink(request.config),
        mode=spec.mode,
        own_mac=spec.mode != macvlan.PASSTHRU,
        own_default=True,
        detail=MacvtapDetail(owner=spec.owner or 0, group=spec.group or 0),
    )


def _node(config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]) -> model.NodeLink:
    return macvlan.uplink(config, _spec(config).mode)


def _capacity(config: kni.NetworkConfig) -> int:
    return macvlan.most(_spec(config).mode)


KIND = Kind(_shape, _node, _capacity, takes=(kind.COMMON | kind.EXTRAS) - {"routes"}, needs=("macvtap",))
