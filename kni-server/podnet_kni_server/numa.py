"""Which NUMA node a device of this node hangs on, as the kernel says in sysfs (sysfs-devices-numa)."""

from __future__ import annotations

import contextlib
import pathlib

_MOST = 29
"""What NodeNetwork can name."""


def of_interface(name: str, devices: pathlib.Path = pathlib.Path("/sys/class/net")) -> list[int]:
    """The NUMA node of the device behind interface ``name``; none for one of software, and where there is one
    node only (the kernel says -1)."""
    if not name:
        return []
    with contextlib.suppress(OSError, ValueError):
        number = int((devices / name / "device" / "numa_node").read_text())
        return [number] if 0 <= number <= _MOST else []
    return []
