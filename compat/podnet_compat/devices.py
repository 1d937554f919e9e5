"""The keys of the plugins host-device and sriov -> native datapaths. Pure; listed in ``datapath``.

A virtual function comes from a device plugin, whose resource the NAD's annotation names (Multus hands its id to the
plugin); so does a host-device where the NAD has that annotation, and that is left to the plugin.
"""

from __future__ import annotations

import re
from typing import Literal, cast

from podnet_api import kni

from podnet_compat import addresses, links
from podnet_compat.links import Datapath
from podnet_compat.reader import Reader

_PCI = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_LINK_STATES = ("auto", "enable", "disable")
_TAGS = {"802.1q": "802.1Q", "802.1ad": "802.1ad"}
_MOST_RATE = 1000000


def host_device(reader: Reader) -> Datapath:
    """One device, by the first of its names."""
    name, mac, pci = links.interface(reader, "device"), _mac(reader), reader.string("pciBusID").lower()
    reader.refuse("kernelpath")
    if pci and not _PCI.fullmatch(pci):
        reader.notes.unsupported(reader.at("pciBusID"), pci, "must be a whole address, e.g. 0000:3b:00.1")
    given = [key for key, value in (("device", name), ("hwaddr", mac), ("pciBusID", pci)) if value]
    if len(given) != 1 and not reader.notes.faults:
        message = "names no device by itself" if not given else f"names it by {' and '.join(given)}: one is enough"
        reader.notes.unsupported(reader.path, message=message)
    made = kni.HostDevice(name=name or None, mac=mac or None, pci_address=pci or None)
    return Datapath(kni.NetworkConfigSpec(host_device=made, anti_spoof=False), leaves_node=True)


def _mac(reader: Reader) -> str:
    text = reader.string("hwaddr")
    try:
        return addresses.mac(text) if text else ""
    except ValueError as error:
        reader.notes.fault(reader.at("hwaddr"), str(error), text)
        return ""


def sriov(reader: Reader) -> Datapath:
    """A virtual function; ``nad`` says of which resource."""
    reader.refuse("deviceID", why="a device of one node: datapath sriov takes any of the resource")
    reader.refuse("mac", why="is the same for every Pod")
    reader.ignore("logLevel", "logFile", why="it configures the plugin's log")
    vlan, qos = reader.integer("vlan", 0, 4094), reader.integer("vlanQoS", 0, 7)
    tag = reader.string("vlanProto")
    if tag and tag.lower() not in _TAGS:
        reader.notes.fault(reader.at("vlanProto"), "must be 802.1q or 802.1ad", tag)
    for key, value in (("vlanQoS", qos), ("vlanProto", tag)):
        if value and not vlan:
            reader.notes.fault(reader.at(key), "needs a vlan", value)
    made = kni.Sriov(
        vlan=vlan,
        qos=qos,
        vlan_protocol=cast(Literal["802.1Q", "802.1ad"], _TAGS.get(tag.lower(), "802.1Q")),
        trust=_switch(reader, "trust", default=False),
        spoof_check=_switch(reader, "spoofchk", default=True),
        link_state=cast(Literal["auto", "enable", "disable"], links.choice(reader, "link_state", _LINK_STATES, "auto")),
        min_tx_rate=reader.integer("min_tx_rate", 0, _MOST_RATE),
        max_tx_rate=reader.integer("max_tx_rate", 0, _MOST_RATE),
    )
    return Datapath(kni.NetworkConfigSpec(sriov=made, anti_spoof=False), leaves_node=True, resource=True)


def _switch(reader: Reader, key: str, *, default: bool) -> bool:
    """``on`` or ``off``."""
    text = reader.string(key)
    if text not in {"", "on", "off"}:
        reader.notes.fault(reader.at(key), "must be on or off", text)
    return text == "on" if text else default
