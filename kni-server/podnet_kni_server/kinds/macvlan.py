"""Datapath macvlan: a link on the uplink with a MAC address of its own. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from podnet_api import kni, pools, reasons

from podnet_kni_server.datapath import model
from podnet_kni_server.errors import AttachError
from podnet_kni_server.kinds import kind
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox

LINKS = 4096
"""The kernel has no limit of its own; more than this no node runs."""
PASSTHRU = "passthru"
"""The mode in which one Pod has the uplink to itself, MAC address included."""


def _mode(config: kni.NetworkConfig) -> str:
    return (config.spec.macvlan or kni.Macvlan()).mode


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    mode = _mode(request.config)
    refuse_mac(sandbox, request, mode)
    return Shape(kind="macvlan", master=kind.uplink(request.config), mode=mode, own_mac=mode != PASSTHRU)


def refuse_mac(sandbox: Sandbox, request: Request, mode: str) -> None:
    """Raises AttachError: a link in mode passthru has its uplink's MAC address, and would change that."""
    if request.own.mac and mode == PASSTHRU:
        message = f"spec.mac is not supported by mode {PASSTHRU} of NetworkConfig {request.config.metadata.name}"
        raise AttachError(f"cannot attach Pod {sandbox.pod}: {message}", reasons.PARAMS_UNSUPPORTED)


def _node(config: kni.NetworkConfig, local: pools.Address | None, peers: Iterable[pools.Address]) -> model.NodeLink:
    return uplink(config, _mode(config))


def uplink(config: kni.NetworkConfig, mode: str) -> model.NodeLink:
    """The uplink, which macvlan and macvtap may share; a link in mode passthru shares it with none."""
    use = f"macvlan {PASSTHRU} of {config.metadata.name}" if mode == PASSTHRU else "macvlan"
    return model.NodeLink(kind="uplink", name=kind.uplink(config), use=use)


def _capacity(config: kni.NetworkConfig) -> int:
    return most(_mode(config))


def most(mode: str) -> int:
    """Most links of one network on a node."""
    return 1 if mode == PASSTHRU else LINKS


KIND = Kind(_shape, _node, _capacity, takes=kind.COMMON | kind.EXTRAS, needs=("macvlan",))
