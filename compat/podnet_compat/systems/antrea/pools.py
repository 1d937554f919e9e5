"""Antrea's IPPool (crd.antrea.io) and the bridge of its agent, as other objects have them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import yaml
from podnet_api import kni

from podnet_compat import addresses, ranges
from podnet_compat.addresses import Address, Network
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems.base import Objects, Source

GROUP = "crd.antrea.io"
CONFIG, CONFIG_NAMESPACE, AGENT = "antrea-config", "kube-system", "antrea-agent.conf"


@dataclass(frozen=True)
class Pool:
    """The addresses of one IPPool; ``vlan`` is 0 for none."""

    ranges: tuple[kni.Range, ...]
    vlan: int


def read(origin: Source, notes: Notes) -> Pool:
    """The pool ``origin``. v1beta1 says the subnet once (subnetInfo), v1alpha2 in each range."""
    spec = origin.part("spec", notes)
    whole = spec.child("subnetInfo")
    items, vlans = [], [whole.integer("vlan", 0, 4095)]
    subnet = _subnet(whole) if whole.written() else None
    for one in spec.children("ipRanges"):
        own = _subnet(one) if one.has("prefixLength") or subnet is None else subnet
        vlans.append(one.integer("vlan", 0, 4095))
        gateway = ranges.read(one, "gateway", addresses.address) or ranges.read(whole, "gateway", addresses.address)
        items += _range(one, own, gateway) if own is not None else []
        one.finish(refuse=True)
    version = spec.integer("ipVersion")
    if items and version and any((ranges.version(item)) != version for item in items):
        notes.fault(spec.at("ipVersion"), "is not that of the ranges", version)
    elif version:
        notes.warn(spec.at("ipVersion"), "the ranges say it")
    if not spec.children("ipRanges") and not notes.faulty(spec.at("ipRanges")):
        notes.fault(spec.at("ipRanges"), "must hold one range at least")
    if len({vlan for vlan in vlans if vlan}) > 1:
        notes.unsupported(spec.at("ipRanges"), message="ranges of several VLANs are several networks")
    whole.finish(refuse=True)
    spec.finish(refuse=True)
    return Pool(tuple(items), max(vlans))


def _subnet(reader: Reader) -> Network | None:
    """The subnet, as gateway and prefix length say it."""
    gateway, prefix = ranges.read(reader, "gateway", addresses.address), reader.integer("prefixLength", 1, 128)
    if gateway is None or not prefix:
        reader.notes.fault(reader.path, "needs gateway and prefixLength, which say the subnet")
        return None
    try:
        return addresses.interface(f"{gateway}/{prefix}").network
    except ValueError as error:
        reader.notes.fault(reader.at("prefixLength"), str(error), prefix)
        return None


def _range(one: Reader, subnet: Network, gateway: Address | None) -> list[kni.Range]:
    """``cidr``, or ``start`` and ``end``, within ``subnet``."""
    cidr = ranges.read(one, "cidr", addresses.subnet)
    start, end = (ranges.inside(one, key, subnet) for key in ("start", "end"))
    if one.has("cidr") == (one.has("start") or one.has("end")):
        one.notes.fault(one.path, "must have either cidr, or start and end")
        return []
    if cidr is not None:
        if cidr[0] not in subnet or cidr[-1] not in subnet:
            one.notes.fault(one.at("cidr"), f"must be within {subnet}", str(cidr))
            return []
        start = None if cidr[0] == subnet[0] else cidr[0]
        end = None if cidr[-1] == subnet[-1] else cidr[-1]
    elif start is None or end is None:
        return []
    return [kni.Range(cidr=str(subnet), start=ranges.text(start), end=ranges.text(end), gateway=ranges.text(gateway))]


def uplinks(objects: Objects) -> list[str] | None:
    """The node's interfaces on the agent's bridge for secondary networks; None where it is not known."""
    found = objects.get("", "ConfigMap", CONFIG, CONFIG_NAMESPACE)
    data = found.body.get("data") if found else None
    text = data.get(AGENT) if isinstance(data, dict) else None
    if not isinstance(text, str):
        return None
    try:
        agent = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    secondary = agent.get("secondaryNetwork") if isinstance(agent, dict) else None
    bridges = secondary.get("ovsBridges") if isinstance(secondary, dict) else None
    first = bridges[0] if isinstance(bridges, list) and bridges else None
    names = first.get("physicalInterfaces") if isinstance(first, dict) else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else None
