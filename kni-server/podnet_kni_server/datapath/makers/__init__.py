"""Kinds of links that are not made in the batch of attach.py: one module for each, listed in MAKERS."""

from collections.abc import Mapping

from podnet_kni_server.datapath import links
from podnet_kni_server.datapath.makers.bond import Bond
from podnet_kni_server.datapath.makers.hostdevice import HostDevice
from podnet_kni_server.datapath.makers.maker import Maker
from podnet_kni_server.datapath.makers.routed import Routed
from podnet_kni_server.datapath.makers.sriov import Sriov
from podnet_kni_server.datapath.makers.tap import Tap
from podnet_kni_server.datapath.makers.upon import Upon
from podnet_kni_server.datapath.makers.userspace import Userspace
from podnet_kni_server.datapath.makers.vrf import Vrf

MAKERS: Mapping[str, Maker] = {
    "hostDevice": HostDevice(),
    "sriov": Sriov(),
    "vlan": Upon("vlan", lambda link: links.vlan_data(link.vlan)),
    "ipvlan": Upon("ipvlan", lambda link: links.ipvlan_data(link.mode)),
    "macvlan": Upon("macvlan", lambda link: links.macvlan_data(link.mode)),
    "macvtap": Upon("macvtap", lambda link: links.macvlan_data(link.mode)),
    "routed": Routed(),
    "tap": Tap(),
    "bond": Bond(),
    "vrf": Vrf(),
    "userspace": Userspace(),
}
"""By Link.kind."""
