"""Device information files (NPWG device information specification 1.1.0): what a device plugin knows of a device is
handed on to CNI plugins, which may change it, and to the Pod's network-status.

A device plugin writes dp/<resource>-<device>-device.json, with - for every slash; the runtime copies it to a file in
cni and tells its path by the capability CNIDeviceInfoFile. What is there after ADD goes into the status; DEL removes
it.
"""

import contextlib
import logging
import os
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)

DIRECTORY = "run/k8s.cni.cncf.io/devinfo"
"""Below the node's root. Everybody else calls it /var/run/..., a link that leads out of a root seen from elsewhere."""
LIMIT = 65536
VERSION = "1.1.0"
"""Of the specification."""


def of_address(address: str) -> str:
    """What can be said of a device by its address on the bus alone."""
    return msgspec.json.encode({"type": "pci", "version": VERSION, "pci": {"pci-address": address}}).decode()


class Files:
    """`root` is where the node's root directory is seen from here."""

    def __init__(self, root: str) -> None:
        self._directory = Path(root) / DIRECTORY

    def path(self, name: str) -> str:
        """How a plugin finds the file `name`."""
        return f"/var/{DIRECTORY}/cni/{_flat(name)}"

    def hand_on(self, resource: str, device: str, name: str) -> None:
        """Copy what the device plugin wrote of a device to the file `name`. Without it the plugin may write one."""
        text = self.of_plugin(resource, device)
        target = self._directory / "cni" / _flat(name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)  # of an attempt that did not come to its end
            if text:
                temporary = target.with_name(f".{target.name}.tmp")
                temporary.write_text(text)
                temporary.chmod(0o444)
                os.replace(temporary, target)
        except OSError as error:
            log.warning("cannot hand on what is known of device %s of %s: %s", device, resource, error)

    def of_plugin(self, resource: str, device: str) -> str:
        """What the device plugin wrote of a device, as JSON; empty: nothing."""
        return _read(self._directory / "dp" / f"{_flat(resource)}-{_flat(device)}-device.json")

    def read(self, name: str) -> str:
        """The device information in file `name` as JSON; empty: none."""
        return _read(self._directory / "cni" / _flat(name))

    def remove(self, name: str) -> None:
        """Remove the file `name`, if it is there."""
        with contextlib.suppress(OSError):
            (self._directory / "cni" / _flat(name)).unlink(missing_ok=True)


def _flat(name: str) -> str:
    return name.replace("/", "-")


def _read(path: Path) -> str:
    """A JSON object in a file; empty when there is none."""
    try:
        with path.open("rb") as file:
            text = file.read(LIMIT + 1)
        if len(text) > LIMIT or not isinstance(msgspec.json.decode(text), dict):
            raise ValueError("it is no JSON object, or too long")
        return text.decode()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, RecursionError) as error:
        log.warning("passed over %s: %s", path, error)
        return ""
