"""Datapath cni: whatever CNI plugins make. They give addresses and routes; podnet sees to default routes. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from podnet_api import kni, pools, reasons

from podnet_kni_server.datapath import model
from podnet_kni_server.details import CniDetail, PortRecord, ShapingRecord
from podnet_kni_server.errors import AttachError
from podnet_kni_server.kinds import kind
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox

LINKS = 4096
"""Plugins say no limit; more than this no node runs."""
TAKES = kind.COMMON | {"cniArgs", "deviceID", "portMappings", "bandwidth", "infinibandGUID"}


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    spec = request.config.spec
    if spec.ipam is not None:
        name = request.config.metadata.name
        message = f"ipam of NetworkConfig {name} does nothing with datapath cni: its plugins give addresses"
        raise AttachError(f"cannot attach Pod {sandbox.pod}: {message}", reasons.PARAMS_INVALID)
    own = request.own
    detail = CniDetail(
        network=request.config.metadata.name,
        config=spec.cni.config if spec.cni else "",
        namespace=sandbox.namespace,
        pod=sandbox.name,
        uid=sandbox.uid,
        sandbox=sandbox.id,
        ips=list(own.addresses),
        args=dict(own.cni_args),
        device_id=own.device_id,
        resource=spec.cni.resource if spec.cni else "",
        guid=own.infiniband_guid or "",
        ports=[_port(mapping) for mapping in own.port_mappings],
        shaping=_shaping(own.bandwidth) if own.bandwidth else None,
        default_versions=list(request.default_versions),
    )
    return Shape(kind="cni", detail=detail, own_default=True, own_mac=False)


def _port(mapping: kni.PortMapping) -> PortRecord:
    return PortRecord(
        host_port=mapping.host_port,
        container_port=mapping.container_port,
        protocol=mapping.protocol,
        host_ip=mapping.host_ip or "",
    )


def _shaping(limits: kni.Bandwidth) -> ShapingRecord:
    return ShapingRecord(
        ingress_rate=limits.ingress_rate,
        ingress_burst=limits.ingress_burst,
        egress_rate=limits.egress_rate,
        egress_burst=limits.egress_burst,
    )


def _node(config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]) -> model.NodeLink:
    text = config.spec.cni.config if config.spec.cni else ""
    return model.NodeLink(
        kind="none", name=model.PLUGINS_PREFIX + config.metadata.name, mtu=config.spec.mtu or 0, plugins=text
    )


def _capacity(config: kni.NetworkConfig) -> int:
    return LINKS


KIND = Kind(_shape, _node, _capacity, takes=TAKES, extras=False)
