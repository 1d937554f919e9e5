"""Character devices behind interfaces: what a container must have to open a tap or macvtap device.

Called in the worker's thread. A macvtap's device is found through a sysfs that shows the Pod's namespace.
"""

import os

from podnet_kni_server.datapath import mounts
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.datapath.worker import Pod
from podnet_kni_server.details import Device, MacvtapDetail

TUN = "/dev/net/tun"
TUN_NUMBER = (10, 200)
"""Fixed (admin-guide/devices.txt)."""
_ANYBODY = 0o666


def device(pod: Pod, link: Link, index: int) -> Device | None:
    """The device of `link`, which has this index in the Pod; None: it has none."""
    if link.kind == "tap":
        # Who may open the tap is said of the tap itself.
        return Device(path=TUN, major=TUN_NUMBER[0], minor=TUN_NUMBER[1], mode=_ANYBODY)
    if not isinstance(link.detail, MacvtapDetail):
        return None
    try:
        major, minor = pod.inside(_numbers, link.name, index)
    except (OSError, ValueError) as error:
        raise DatapathError(f"cannot find the character device of {link.name}: {error}") from error
    return Device(path=f"/dev/tap{index}", major=major, minor=minor, owner=link.detail.owner, group=link.detail.group)


def _numbers(name: str, index: int) -> tuple[int, int]:
    with mounts.fresh("sysfs") as root:
        fd = os.open(f"class/net/{name}/macvtap/tap{index}/dev", os.O_RDONLY | os.O_CLOEXEC, dir_fd=root)
        with open(fd) as file:
            major, _, minor = file.read().strip().partition(":")
    return int(major), int(minor)
