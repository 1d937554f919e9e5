"""Datapath vlan: a VLAN of the uplink. Mode bridge: a bridge over it on the node, a veth port for each Pod; mode
direct: the VLAN device itself is the Pod's. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from podnet_api import kni, pools

from podnet_kni_server.datapath import model
from podnet_kni_server.kinds import bridge, kind
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox

_PREFIX, _DEVICE_PREFIX = "pv-", "pd-"


def device_name(config: kni.NetworkConfig) -> str:
    """Name of the VLAN device on the node, as people call it."""
    spelled = _spelled(config)
    return spelled if len(spelled) <= model.NAME_LIMIT else kind.device_name(_DEVICE_PREFIX, spelled)


def bridge_name(config: kni.NetworkConfig) -> str:
    """Name of the bridge over it: networks of the same VLAN share it, as they share the wire."""
    return kind.device_name(_PREFIX, _spelled(config))


def _spelled(config: kni.NetworkConfig) -> str:
    return f"{kind.uplink(config)}.{_spec(config).vid}"


def _spec(config: kni.NetworkConfig) -> kni.Vlan:
    assert config.spec.vlan is not None
    return config.spec.vlan


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    spec = _spec(request.config)
    if spec.mode == "direct":
        return Shape(kind="vlan", master=kind.uplink(request.config), vlan=spec.vid, own_mac=False)
    return kind.veth(sandbox, request, bridge_name(request.config), isolated=spec.port_isolation)


def _node(config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]) -> model.NodeLink:
    spec = config.spec
    if _spec(config).mode == "direct":
        return model.NodeLink(kind="uplink", name=kind.uplink(config))
    return model.NodeLink(
        kind="bridge",
        name=bridge_name(config),
        uplink=device_name(config),
        parent=kind.uplink(config),
        vid=_spec(config).vid,
        mtu=spec.mtu or 0,
        anti_spoof=spec.anti_spoof,
    )


def _capacity(config: kni.NetworkConfig) -> int:
    return 1 if _spec(config).mode == "direct" else bridge.PORTS - 1


KIND = Kind(_shape, _node, _capacity, takes=kind.COMMON | kind.EXTRAS, needs=("vlan",))
