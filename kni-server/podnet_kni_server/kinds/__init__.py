"""The datapaths that this version has, by their key in a NetworkConfig. See kind.Kind. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from podnet_api import kni

from podnet_kni_server.kinds import (
    bond,
    bridge,
    cni,
    hostdevice,
    ipvlan,
    macvlan,
    macvtap,
    routed,
    sriov,
    tap,
    userspace,
    vlan,
    vrf,
    vxlan,
)
from podnet_kni_server.kinds.kind import Kind

KINDS: Mapping[str, Kind] = {
    "bridge": bridge.KIND,
    "cni": cni.KIND,
    "hostDevice": hostdevice.KIND,
    "sriov": sriov.KIND,
    "vxlan": vxlan.KIND,
    "vlan": vlan.KIND,
    "ipvlan": ipvlan.KIND,
    "routed": routed.KIND,
    "tap": tap.KIND,
    "macvtap": macvtap.KIND,
    "bond": bond.KIND,
    "vrf": vrf.KIND,
    "userspace": userspace.KIND,
    "macvlan": macvlan.KIND,
}
_FIELDS = {"hostDevice": "host_device"}


def datapath_of(config: kni.NetworkConfig) -> str:
    """The key of the datapath that ``config`` sets, or ``""``."""
    return next((key for key in kni.DATAPATHS if getattr(config.spec, _FIELDS.get(key, key)) is not None), "")


def of_config(config: kni.NetworkConfig) -> Kind | None:
    """The kind of ``config``; None: this version has no such datapath."""
    return KINDS.get(datapath_of(config))
