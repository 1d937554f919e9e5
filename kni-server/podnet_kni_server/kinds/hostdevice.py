"""Datapath hostDevice: a device of the node, moved into the Pod. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from podnet_api import kni, pools

from podnet_kni_server.datapath import model
from podnet_kni_server.details import HostDeviceDetail
from podnet_kni_server.kinds import kind
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    return Shape(
        kind="hostDevice",
        host_name=model.host_name(sandbox.id, request.interface),
        detail=_device(request.config, sandbox.pod),
        own_mac=False,
    )


def _device(config: kni.NetworkConfig, pod: str = "") -> HostDeviceDetail:
    spec = config.spec.host_device or kni.HostDevice()
    return HostDeviceDetail(pod=pod, name=spec.name or "", mac=spec.mac or "", pci_address=spec.pci_address or "")


def _node(config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]) -> model.NodeLink:
    device = _device(config)
    return model.NodeLink(kind="device", name=device.name, device=device, mtu=config.spec.mtu or 0)


def _capacity(config: kni.NetworkConfig) -> int:
    """A device is in one Pod at a time."""
    return 1


KIND = Kind(_shape, _node, _capacity, takes=kind.COMMON | kind.EXTRAS)
