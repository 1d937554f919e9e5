"""Kinds of links that are not made in the batch of attach.py: one module for each, listed in MAKERS."""

from collections.abc import Mapping

from podnet_kni_server.datapath.makers.hostdevice import HostDevice
from podnet_kni_server.datapath.makers.maker import Maker
from podnet_kni_server.datapath.makers.sriov import Sriov

MAKERS: Mapping[str, Maker] = {
    "hostDevice": HostDevice(),
    "sriov": Sriov(),
}
"""By Link.kind."""
