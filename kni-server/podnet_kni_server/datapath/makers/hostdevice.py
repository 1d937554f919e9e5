"""Makes links of kind hostDevice: an existing device of the node, moved into the Pod and given back."""

from collections.abc import Sequence

from podnet_kni_server.datapath import devices, giveback
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.devices import Device
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.lent import Lent
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.datapath.observe import Seen
from podnet_kni_server.datapath.worker import Pod
from podnet_kni_server.details import HostDeviceDetail


class HostDevice:
    """See maker.Maker. A device is noted before it is touched, and the note goes when it is back as it was."""

    kernel_kind = "*"

    def make(self, node: Node, pod: Pod, link: Link) -> int:
        """See Maker."""
        giveback.recover(node)
        detail = _detail(link)
        lent = node.lent.get(link.host_name)
        if lent is not None:
            found = devices.inside(pod, lent)
            if found is not None:
                return devices.correct(pod, link, found)
            self.remove(node, pod, link)
        present = devices.find_all(node.route)
        device = choose(node, detail, present)
        devices.refuse_busy(node, device, present)
        lent = devices.note(link, detail.pod, device)
        node.lent.write(lent)
        return devices.move(node, pod, link, device, lent)

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Maker."""
        lent = node.lent.get(link.host_name)
        if lent is not None:
            giveback.give_back(node, pod, lent)

    def fits(self, link: Link, found: Seen, on_node: dict[str, Seen]) -> bool:
        """See Maker: what the device is cannot have changed; its name and state are looked at by others."""
        return True


def choose(node: Node, detail: HostDeviceDetail, present: Sequence[Device]) -> Device:
    """The device that is asked for. Raises: DatapathError when it is not there, or another Pod has it."""
    device = next((one for one in present if matches(detail, one)), None)
    if device is not None and not (pod := devices.holder(node, device)):
        return device
    if device is None:
        pod = next((lent.pod for lent in node.lent if is_lent(detail, lent)), "")
    raise devices.missing(words(detail), f"Pod {pod} has it" if pod else "the node has no such device")


def matches(detail: HostDeviceDetail, device: Device) -> bool:
    """Whether a device is the one that is asked for."""
    if detail.name:
        return device.name == detail.name
    return device.seen.mac == detail.mac.lower() if detail.mac else device.address == detail.pci_address


def is_lent(detail: HostDeviceDetail, lent: Lent) -> bool:
    """Whether what is lent is the device that is asked for."""
    if detail.name:
        return lent.name == detail.name
    return lent.mac == detail.mac.lower() if detail.mac else lent.address == detail.pci_address


def words(detail: HostDeviceDetail) -> str:
    """The device, for messages."""
    return detail.name or (f"the device {detail.mac}" if detail.mac else f"the device at {detail.pci_address}")


def _detail(link: Link) -> HostDeviceDetail:
    if not isinstance(link.detail, HostDeviceDetail):
        raise DatapathError(f"cannot make {link.name}: nothing says which device it is")
    return link.detail
