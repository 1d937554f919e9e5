"""What one attachment hands to plugins: CNI_ARGS, args.cni and capability arguments. Pure.

A capability argument reaches a plugin that declares it. What the plugins do not declare may still reach them in
CNI_ARGS: `carried` says which requests depend on that, and refuses what nothing carries. No request is dropped
silently: the executor looks afterwards whether what was carried has been done (`unmet`).
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from podnet_kni_server.cni import config, result
from podnet_kni_server.cni.config import Network, Plugin
from podnet_kni_server.cni.errors import RequestError

READS_MAC = frozenset(("bridge", "cnv-bridge", "macvlan", "tap", "tuning", "cnv-tuning"))
"""Plugins known to take MAC from CNI_ARGS."""
IGNORES_MAC = frozenset(
    (
        *("ipvlan", "vlan", "host-device", "ptp", "loopback", "dummy", "vrf"),
        *("bandwidth", "firewall", "portmap", "sbr"),
    )
)
READS_IP = frozenset(("host-local", "static", "whereabouts"))
"""IPAM plugins known to take IP from CNI_ARGS."""
IGNORES_IP = frozenset(("dhcp",))
_HOST_LOCAL_LIMIT = 1
DEVICE_INFO = "CNIDeviceInfoFile"
"""Capability argument: the path of a file with the device's information (NPWG)."""
_OF_DEVICE = ("deviceID", DEVICE_INFO)
"""What a device brings with it: plugins read the id at the top of their configuration, and need not know the file."""


@dataclass(frozen=True)
class Pod:
    """For whom."""

    sandbox: str
    namespace: str
    name: str
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Request:
    """One attachment. `netns`: path of the Pod's namespace, empty when it is gone; `interface`: CNI_IFNAME."""

    pod: Pod
    netns: str
    interface: str
    mac: str = ""
    addresses: tuple[str, ...] = ()
    """As they are written, with or without the length of a prefix."""
    args: Mapping[str, object] = field(default_factory=dict)
    """args.cni: put over those of the configuration."""
    capabilities: Mapping[str, object] = field(default_factory=dict)
    """Capability arguments besides ips, mac and deviceID, by key."""
    device: str = ""


def supplied(request: Request) -> dict[str, object]:
    """Every capability argument that `request` has, by key (CNI conventions, "Dynamic plugin specific fields")."""
    own = {"ips": list(request.addresses), "mac": request.mac, "deviceID": request.device}
    return {key: value for key, value in {**request.capabilities, **own}.items() if value}


def arguments(request: Request) -> str:
    """CNI_ARGS. Raises RequestError when a value cannot be written there."""
    pairs = {
        "IgnoreUnknown": "true",
        "K8S_POD_NAMESPACE": request.pod.namespace,
        "K8S_POD_NAME": request.pod.name,
        "K8S_POD_INFRA_CONTAINER_ID": request.pod.sandbox,
        "K8S_POD_UID": request.pod.uid,
        "MAC": request.mac,
        "IP": ",".join(request.addresses),
    }
    for key, value in pairs.items():
        if ";" in value or "=" in value:
            raise RequestError(f"cannot write {key}={value!r} into CNI_ARGS: it has ; or =")
    return ";".join(f"{key}={value}" for key, value in pairs.items() if value)


def check(request: Request) -> None:
    """Raises RequestError when the ids cannot be used."""
    config.check_container(request.pod.sandbox)
    config.check_interface(request.interface)
    arguments(request)


def document(
    network: Network, plugin: Plugin, request: Request | None, previous: result.Result | None
) -> dict[str, object]:
    """What `plugin` reads from its standard input; no request: a command about the whole network."""
    given = supplied(request) if request else {}
    runtime = {key: given[key] for key in given if key in plugin.capabilities}
    changed: dict[str, object] = {"cniVersion": network.version, "name": network.name}
    if request and request.device:
        changed |= {"deviceID": request.device, "pciBusID": request.device}
    if request and request.args:
        changed["args"] = _merged_args(plugin.raw.get("args"), request.args)
    if runtime:
        changed["runtimeConfig"] = runtime
    if previous is not None:
        changed["prevResult"] = result.encode(previous, network.version)
    # Go takes the last of two keys that differ in case only: the ones that were written must go.
    folded = {key.lower() for key in changed}
    dropped = folded | {"prevresult", "runtimeconfig", "cniversions"}
    return {**{key: value for key, value in plugin.raw.items() if key.lower() not in dropped}, **changed}


def _merged_args(written: object, asked: Mapping[str, object]) -> dict[str, object]:
    whole = dict(written) if isinstance(written, dict) else {}
    under = whole.get("cni")
    return {**whole, "cni": {**(under if isinstance(under, dict) else {}), **asked}}


def carried(network: Network, request: Request) -> dict[str, str]:
    """Keys of the capabilities that only CNI_ARGS carries -> a warning about each.

    Raises RequestError naming plugin and key where nothing carries it.
    """
    declared = frozenset().union(*(plugin.capabilities for plugin in network.plugins))
    chain = ", ".join(plugin.type for plugin in network.plugins)
    warnings = {}
    for key in supplied(request):
        if key not in declared and key not in _OF_DEVICE:
            _refuse(network, request, key, chain)
            warnings[key] = (
                f"CNI network {network.name}: {chain} does not declare the capability {key}; CNI_ARGS carries it"
            )
    return warnings


def _refuse(network: Network, request: Request, key: str, chain: str) -> None:
    reached = {"mac": _mac_is_read, "ips": _ips_are_read}.get(key, lambda _: False)(network)
    if not reached:
        message = f"does not declare the capability {key}, and nothing else carries it there"
        raise RequestError(f"cannot use CNI network {network.name}: {chain} {message}", chain)
    ipams = {plugin.ipam for plugin in network.plugins}
    if key == "ips" and "host-local" in ipams and len(request.addresses) > _HOST_LOCAL_LIMIT:
        message = (
            f"host-local takes one address from CNI_ARGS, not {len(request.addresses)}; declare the capability ips"
        )
        raise RequestError(f"cannot use CNI network {network.name}: {message}", "host-local")
    if key == "ips" and "static" in ipams and not all("/" in address for address in request.addresses):
        message = f"static wants the length of the prefix with {', '.join(request.addresses)} (ips)"
        raise RequestError(f"cannot use CNI network {network.name}: {message}", "static")


def _mac_is_read(network: Network) -> bool:
    """By a plugin that is known to; one that is not known gets the benefit of the doubt, see `unmet`."""
    return any(plugin.type not in IGNORES_MAC for plugin in network.plugins)


def _ips_are_read(network: Network) -> bool:
    own = {plugin.type for plugin in network.plugins} - IGNORES_MAC - READS_MAC
    return any(plugin.ipam and plugin.ipam not in IGNORES_IP for plugin in network.plugins) or bool(own)


def unmet(request: Request, keys: Mapping[str, str], made: result.Result) -> str:
    """Which of the requests that only CNI_ARGS carried was not met, in words; empty when all were."""
    have = {ip.address.ip for ip in made.ips}
    macs = {link.mac for _, link in made.inside()}
    lost = [a for a in request.addresses if ipaddress.ip_interface(a).ip not in have] if "ips" in keys else []
    if lost:
        return f"ips: the address {', '.join(lost)} was not given"
    if "mac" in keys and macs and request.mac.lower() not in macs:
        return f"mac: the interface has {', '.join(sorted(macs))}, not {request.mac}"
    return ""
