"""Datapath sriov: a virtual function of a device of the node. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from podnet_api import kni, pools

from podnet_kni_server.datapath import model
from podnet_kni_server.details import SriovDetail
from podnet_kni_server.kinds import kind
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox

FUNCTIONS = 4096
"""More virtual functions than any node has: where the uplink is known, NodeNetwork says how many there are."""


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    spec = request.config.spec.sriov or kni.Sriov()
    detail = SriovDetail(
        pod=sandbox.pod,
        uplink=kind.uplink(request.config),
        device_id=request.own.device_id,
        resource=spec.resource,
        vlan=spec.vlan,
        qos=spec.qos,
        vlan_protocol=spec.vlan_protocol,
        spoof_check=spec.spoof_check,
        trust=spec.trust,
        link_state=spec.link_state,
        min_tx_rate=spec.min_tx_rate,
        max_tx_rate=spec.max_tx_rate,
    )
    host_name = model.host_name(sandbox.id, request.interface)
    return Shape(kind="sriov", host_name=host_name, detail=detail, own_mac=False)


def _node(config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]) -> model.NodeLink:
    uplink = kind.uplink(config)
    if not uplink:
        return model.NodeLink(kind="none", name=config.metadata.name, mtu=config.spec.mtu or 0)
    return model.NodeLink(kind="functions", name=uplink, mtu=config.spec.mtu or 0)


def _capacity(config: kni.NetworkConfig) -> int:
    return FUNCTIONS


KIND = Kind(_shape, _node, _capacity, takes=kind.COMMON | kind.EXTRAS | {"deviceID"})
