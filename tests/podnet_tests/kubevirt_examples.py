"""Virtual machines of KubeVirt with every field that speaks of networks."""

from __future__ import annotations

from typing import Any

from podnet_tests.fieldwalk import Example
from podnet_tests.foreign_objects import item

POD = {"name": "default", "pod": {}}
MAC = "02:00:00:00:00:01"


def multus(name: str, reference: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "multus": {"networkName": reference, **more}}


def machine(networks: list[dict[str, Any]], *interfaces: dict[str, Any], **devices: Any) -> dict[str, Any]:
    given = list(interfaces) or [{"name": one["name"], "bridge": {}} for one in networks]
    spec = {"networks": networks, "domain": {"devices": {"interfaces": given, **devices}}}
    return item("kubevirt.io/v1", "VirtualMachineInstance", "vm", spec, "a")


FULL = machine(
    [
        {"name": "default", "pod": {"vmNetworkCIDR": "10.0.2.0/24", "vmIPv6NetworkCIDR": "fd10:0:2::/120"}},
        multus("red", "infra/net1"),
        {"name": "dra", "resourceClaim": {"claimName": "nic", "requestName": "vf"}},
    ],
    {"name": "default", "masquerade": {}, "model": "virtio", "ports": [{"name": "ssh", "protocol": "TCP", "port": 22}],
     "bootOrder": 1, "tag": "mgmt", "acpiIndex": 7, "state": "down", "macAddress": "02:00:00:00:00:05",
     "dhcpOptions": {"bootFileName": "f", "tftpServerName": "t", "ntpServers": ["10.0.0.1"],
                     "privateOptions": [{"option": 240, "value": "x"}]}},
    {"name": "red", "bridge": {}, "macAddress": MAC, "pciAddress": "0000:81:01.0", "state": "up"},
    {"name": "dra", "sriov": {}},
    autoattachPodInterface=True,
    networkInterfaceMultiqueue=True,
)  # fmt: skip
DEFAULT = machine([multus("red", "infra/net1", default=True)], {"name": "red", "binding": {"name": "passt"}})
OTHERS = [machine([POD], {"name": "default", key: {}}) for key in ("passtBinding", "slirp", "macvtap", "passt")]
FIELDS = frozenset(
    ["spec.networks[].name", "spec.networks[].pod.vmNetworkCIDR", "spec.networks[].pod.vmIPv6NetworkCIDR",
     "spec.networks[].multus.networkName", "spec.networks[].multus.default", "spec.networks[].resourceClaim.claimName",
     "spec.networks[].resourceClaim.requestName"]
    + [f"spec.domain.devices.interfaces[].{key}" for key in (
        "name", "model", "bridge", "slirp", "masquerade", "sriov", "macvtap", "passt", "passtBinding", "binding.name",
        "ports", "macAddress", "bootOrder", "pciAddress", "dhcpOptions", "tag", "acpiIndex", "state")]
)  # fmt: skip

EXAMPLES = (
    Example("kubevirt", [FULL], more=[DEFAULT, *OTHERS], fields=FIELDS, marks=[("spec", "networks", 0, "pod")]),
)
