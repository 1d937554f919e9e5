"""What sysfs tells of SR-IOV: which virtual functions a device has, and whose a function is. Reads files only.

The view of /sys is that of the namespace where it was mounted, the node's.
"""

import dataclasses
import json
import re
from pathlib import Path

_NET = Path("/sys/class/net")
_PCI = Path("/sys/bus/pci/devices")
_ADDRESS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
USER_SPACE = frozenset(("vfio-pci", "uio_pci_generic", "igb_uio"))
"""Drivers under which a function has no interface of the kernel: a program in the Pod drives it."""


@dataclasses.dataclass(frozen=True)
class Virtual:
    """A virtual function: its physical function's interface, its number there, its PCI address."""

    physical: str
    number: int
    address: str


def functions_of(physical: str) -> list[Virtual]:
    """The virtual functions of an interface, by number; none where it has no SR-IOV or it is switched off."""
    found = (_NET / physical / "device").glob("virtfn*")
    made = [Virtual(physical, int(path.name.removeprefix("virtfn")), path.readlink().name) for path in found]
    return sorted(made, key=lambda one: one.number)


def function_at(address: str) -> Virtual | None:
    """The virtual function at a PCI address; None: there is none."""
    if not _ADDRESS.fullmatch(address):
        return None
    for physical in sorted((_PCI / address / "physfn" / "net").glob("*")):
        found = (one for one in functions_of(physical.name) if one.address == address)
        if (function := next(found, None)) is not None:
            return function
    return None


def device_info(address: str) -> str:
    """A PCI device as NPWG tools are told of it (device information specification 1.1.0), in JSON, with the physical
    function that it belongs to. Empty: it is none (virtio and the like)."""
    if not _ADDRESS.fullmatch(address):
        return ""
    parent = _PCI / address / "physfn"
    told = {"pci-address": address, "pf-pci-address": parent.readlink().name if parent.is_symlink() else ""}
    return json.dumps({"type": "pci", "version": "1.1.0", "pci": {key: text for key, text in told.items() if text}})


def driver_of(address: str) -> str:
    """The driver of a PCI device; empty: none."""
    driver = _PCI / address / "driver"
    return driver.readlink().name if driver.is_symlink() else ""
