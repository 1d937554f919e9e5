"""Plugins behind the first of a chain -> what a NetworkConfig puts upon the link. Pure; called by ``nad``.

tuning    kernel parameters, MTU, promiscuous, all multicast
bandwidth limits at the node's end
portmap   ports of the node: done by the network itself, where the node has an address in it
sbr       a routing table of the network's own

Any other plugin, and any key that cannot be said, leaves the whole chain to the nodes' plugins.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import structs
from podnet_api import kni

from podnet_compat import datapath, extras
from podnet_compat.reader import Reader

Spec = kni.NetworkConfigSpec
_SYSCTL = re.compile(r"net([./][A-Za-z0-9_-]+)+")
_MOST_SYSCTL = 256


def _tuning(reader: Reader, spec: Spec) -> Spec:
    found = {key: value for key, value in reader.mapping("sysctl").items() if _parameter(reader, key, value)}
    if found:
        message = "kernel parameters need the leave of the nodes (--allowed-sysctls of podnet-kni-server)"
        reader.notes.warn(reader.at("sysctl"), message)
    reader.refuse("mac", why="is the same for every Pod")
    reader.refuse("txQLen")
    reader.ignore("dataDir", why="nothing has to be put back")
    return structs.replace(
        spec,
        sysctls={**spec.sysctls, **{key: str(value) for key, value in found.items()}},
        mtu=reader.integer("mtu", 68, 65535) or spec.mtu,
        promiscuous=reader.boolean("promisc") or spec.promiscuous,
        all_multicast=reader.boolean("allmulti") or spec.all_multicast,
    )


def _parameter(reader: Reader, key: str, value: object) -> bool:
    at = f"{reader.at('sysctl')}.{key}"
    if not isinstance(value, str):
        reader.notes.fault(at, "must be a string", value)
    elif not _SYSCTL.fullmatch(key) or len(value) > _MOST_SYSCTL:
        reader.notes.unsupported(at, value, "is no parameter below net., which belong to the Pod's own namespace")
    else:
        return True
    return False


def _bandwidth(reader: Reader, spec: Spec) -> Spec:
    reader.refuse("shapedSubnets", "unshapedSubnets")
    made = extras.bandwidth(reader)
    if made is None:
        return spec
    both = (("ingress", made.ingress_rate, made.ingress_burst), ("egress", made.egress_rate, made.egress_burst))
    for way in (way for way, rate, burst in both if rate and not burst):
        reader.notes.fault(reader.at(f"{way}Burst"), f"is missing beside {way}Rate: the plugin wants both")
    if not (spec.bridge or spec.routed):
        reader.notes.unsupported(reader.path, message="this datapath has no end on the node that could be limited")
    return structs.replace(spec, bandwidth=made)


def _portmap(reader: Reader, spec: Spec) -> Spec:
    if not (spec.routed or (spec.bridge and spec.bridge.gateway)):
        reader.notes.unsupported(reader.path, message="the node has no address in this network")
    if reader.has("snat") and not reader.boolean("snat"):
        reader.notes.unsupported(reader.at("snat"), False, "who asks is hidden from the Pod: the way back needs it")
    reader.refuse("masqAll", "conditionsV4", "conditionsV6")
    reader.ignore("backend", "markMasqBit", "externalSetMarkChain", why="ports are elements of nftables maps")
    return spec


def _sbr(reader: Reader, spec: Spec) -> Spec:
    reader.refuse("table", why="the number of the routing table is podnet's to choose")
    reader.refuse("gateways", "addSourceHints")
    return structs.replace(spec, policy_routing=True)


MAKERS: dict[str, Callable[[Reader, Spec], Spec]] = {
    "tuning": _tuning,
    "cnv-tuning": _tuning,
    "bandwidth": _bandwidth,
    "portmap": _portmap,
    "sbr": _sbr,
}
"""By plugin type; cnv-tuning is another name of tuning."""


def covered(plugin: Reader) -> bool:
    """Whether the type of ``plugin`` is one of these; a fault where it is not."""
    kind, at = plugin.string("type"), plugin.at("type")
    if kind in MAKERS:
        return True
    if not kind and not plugin.notes.faulty(at):
        plugin.notes.fault(at, "the configuration must name the type of a plugin")
    elif kind:
        why = datapath.NOT_NATIVE.get(kind, f"only {', '.join(MAKERS)} become a part of a network")
        plugin.notes.unsupported(at, kind, why)
    return False


def add(plugin: Reader, spec: Spec) -> Spec:
    """``spec`` with what ``plugin`` puts upon the link."""
    return MAKERS[plugin.string("type")](plugin, spec)
