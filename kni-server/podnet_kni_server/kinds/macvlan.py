"""Datapath macvlan: a link on the uplink with a MAC address of its own. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from podnet_api import kni, pools

from podnet_kni_server.datapath import model
from podnet_kni_server.kinds import kind
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox

LINKS = 4096
"""The kernel has no limit of its own; more than this no node runs."""


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    spec = request.config.spec.macvlan or kni.Macvlan()
    return Shape(kind="macvlan", master=kind.uplink(request.config), mode=spec.mode)


def _node(config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]) -> model.NodeLink:
    return model.NodeLink(kind="uplink", name=kind.uplink(config))


def _capacity(config: kni.NetworkConfig) -> int:
    return LINKS


KIND = Kind(_shape, _node, _capacity, takes=kind.COMMON | kind.EXTRAS)
