"""Plain CNI configurations, in files and ConfigMaps, and those of the plugin userspace."""

from __future__ import annotations

import json
from typing import Any

from podnet_tests.fieldwalk import Example
from podnet_tests.foreign_objects import Object, item

LOCAL = {"type": "host-local", "subnet": "10.1.0.0/24"}


def conf(name: str, type_: str, **keys: Any) -> Object:
    """A .conf file."""
    return {"cniVersion": "0.3.1", "name": name, "type": type_, **keys}


def conflist(name: str, *plugins: Object, **keys: Any) -> Object:
    """A .conflist file."""
    return {"cniVersion": "0.3.1", "name": name, "plugins": list(plugins), **keys}


def config_map(**data: Any) -> Object:
    """A ConfigMap; values that are no strings become JSON."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in data.items()}
    return item("v1", "ConfigMap", "cfg", None, "kube-flannel", data=texts)


FLANNEL = conflist("cbr0", {"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}},
                   {"type": "portmap", "capabilities": {"portMappings": True}})  # fmt: skip
"""As flannel ships it."""
NET = {
    "Network": "10.244.0.0/16", "IPv6Network": "fd00:244::/112", "EnableIPv4": True, "EnableIPv6": True,
    "SubnetLen": 25, "SubnetMin": "10.244.10.0", "SubnetMax": "10.244.99.0", "IPv6SubnetLen": 120,
    "IPv6SubnetMin": "fd00:244::", "IPv6SubnetMax": "fd00:244::f000",
    "Backend": {"Type": "vxlan", "VNI": 5, "Port": 8473, "MTU": 1400, "Learning": True, "MacPrefix": "0e-2a",
                "VtepMAC": "x"},
}  # fmt: skip
HOST_GW = {**NET, "Backend": {"Type": "host-gw"}}
WIREGUARD = {**NET, "Backend": {"Type": "wireguard", "ListenPort": 51820, "PSK": "x"}}


def flannel(net: Object) -> Object:
    """flannel's ConfigMap."""
    return config_map(**{"cni-conf.json": FLANNEL, "net-conf.json": net, "other": "x"})


def userspace(host: Object, container: Object | None = None, **keys: Any) -> Object:
    """A configuration of the plugin userspace."""
    return conf("memif", "userspace", host=host, **({"container": container} if container else {}), **keys)


_NET = ("Network", "IPv6Network", "EnableIPv4", "EnableIPv6", "SubnetLen", "SubnetMin", "SubnetMax", "IPv6SubnetLen",
        "IPv6SubnetMin", "IPv6SubnetMax", "Backend.Type", "Backend.VNI", "Backend.Port", "Backend.MTU")  # fmt: skip
_TEXT = "data.net-conf.json"
BOTH: Object = {
    "engine": "vpp", "iftype": "memif", "netType": "bridge", "memif": {"role": "master", "mode": "ethernet",
    "socketfile": "s"}, "vhost": {"mode": "server", "group": "g", "socketfile": "s"},
    "bridge": {"bridgeName": "4", "bridgeId": 4, "vlanId": 5},
}  # fmt: skip
SOCKET = userspace(
    {"engine": "vpp", "iftype": "memif", "netType": "none", "memif": {"role": "master", "mode": "ethernet"}},
    {"engine": "vpp", "iftype": "memif", "memif": {"role": "slave"}},
    kubeconfig="/etc/x", logFile="/l", logLevel="debug", mtu=1400,
)  # fmt: skip
HERE = {"apiVersion": "cni.dev/v1", "kind": "NetworkConfiguration", "metadata": {"name": "x"}}
SWITCHED = userspace(
    BOTH,
    {**BOTH, "memif": {**BOTH["memif"], "role": "slave"}},
    sharedDir="/d",
    kubeconfig="/k",
    logFile="/l",
    logLevel="d",
)
EXAMPLES = (
    Example("flannel", [flannel(NET)], more=[flannel(HOST_GW), flannel(WIREGUARD)], texts=[_TEXT],
            marks=[("data", "cni-conf.json")],
            refused=[(("data", "net-conf.json", "Backend", "GBP"), True), (("data", "net-conf.json", "novel"), 1),
                     (("data", "net-conf.json", "Backend", "DirectRouting"), True)],
            fields=frozenset(f"data[net-conf.json].{key}" for key in _NET)),
    Example("file", [{**HERE, "config": conf("x", "macvlan", master="eth1", mode="vepa", mtu=1400, ipam=LOCAL)}],
            marks=[("config", "cniVersion"), ("config", "ipam", "type"), ("config", "type")]),
    Example("chain", [{**HERE, "config": FLANNEL}], marks=[("config", "cniVersion")]),
    Example("userspace", [{**HERE, "config": SOCKET}],
            more=[{**HERE, "config": SWITCHED}],
            marks=[("config", "cniVersion"), ("config", "host", "netType"), ("config", "host", "memif", "mode"),
                   ("config", "host", "iftype"), ("config", "container", "iftype"), ("config", "host", "memif", "role"),
                   ("config", "container", "memif", "role")],
            fields=frozenset(f"config.host.{key}" for key in (
                "engine", "iftype", "netType", "memif.role", "memif.mode", "memif.socketfile", "vhost.mode",
                "vhost.group", "vhost.socketfile", "bridge.bridgeName", "bridge.bridgeId", "bridge.vlanId"))),
)  # fmt: skip
