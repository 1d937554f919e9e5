"""Networks of Knitter, as its REST interface gives them -> PodNetwork and NetworkConfig. Pure.

``{"network":{...}}``, ``{"networks":[...]}`` or ``{"provider_network":{...}}``. A public network is for all tenants
and so cluster-scoped; any other belongs to its owner, whose name is the namespace. A network of a provider says its
VLAN or VXLAN; of any other Knitter makes an overlay of its own, which becomes a VXLAN with a number made of the name.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from podnet_api import kni
from podnet_api import names as api_names
from podnet_api.faults import FaultType

from podnet_compat import addresses, ranges
from podnet_compat.addresses import Network
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base
from podnet_compat.systems.base import Made, Objects, Source

NAME = "knitter"
GROUP = "knitter"
OWN, PUBLIC = "Network", "PublicNetwork"
"""Kinds that exist here only: Knitter has no Kubernetes objects."""
_KEY = "network"
_STATE = ("network_id", "create_time", "state", "subnet_id")
_WRAPPERS = ("network", "provider_network")


def adopt(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The networks in a REST document, as Kubernetes would write them; [] for any other document."""
    single = [document[key] for key in _WRAPPERS if key in document]
    several = document.get("networks", [])
    items = [*single, *(several if isinstance(several, list) else [])]
    return [_object(item) for item in items if isinstance(item, dict)] if _is_rest(document) else []


def _is_rest(document: Mapping[str, Any]) -> bool:
    return len(document) == 1 and bool({*_WRAPPERS, "networks"} & set(document))


def _object(item: dict[str, Any]) -> dict[str, Any]:
    public = item.get("public") is True
    meta = {"name": item.get("name", ""), **({} if public else _namespace(item))}
    return {"apiVersion": f"{GROUP}/v1", "kind": PUBLIC if public else OWN, "metadata": meta, _KEY: item}


def _namespace(item: dict[str, Any]) -> dict[str, Any]:
    return {"namespace": item["owner"]} if item.get("owner") else {}


def find(objects: Objects, namespace: str, name: str) -> Source | None:
    """The network that a Pod of ``namespace`` means by ``name``: its tenant's own, else a public one."""
    return objects.get(GROUP, OWN, name, namespace) or objects.get(GROUP, PUBLIC, name)


def has_gateway(origin: Source) -> bool:
    """Whether the network has a gateway, so that a default route can lead over it."""
    held = origin.body.get(_KEY)
    return isinstance(held, dict) and bool(held.get("gateway"))


def translate(origin: Source, objects: Objects) -> Made:
    """The native objects of one network. Raises InvalidError with every fault."""
    notes = Notes()
    name = base.network_name(NAME, f"{_KEY}.name", origin.name, origin.namespace, notes)
    reader = origin.part(_KEY, notes)
    reader.accept("name", "public", "owner")
    pool = _pool(reader)
    path = _datapath(origin, name, reader, objects)
    if reader.boolean("external"):
        notes.warn(reader.at("external"), "has no effect: no node leads it out of the cluster; its gateway has to")
    for key in (*_STATE, "description"):
        reader.ignore(key, why="it is for people, or Knitter's own state")
    reader.finish(refuse=True)
    spec = kni.NetworkConfigSpec(
        vlan=path.vlan, vxlan=path.vxlan, bridge=path.bridge, uplink=path.uplink, ipam=pool, anti_spoof=False
    )
    return base.native(origin, name, spec, notes)


def _pool(reader: Reader) -> kni.Ipam | None:
    found = ranges.read(reader, "cidr", addresses.interface)
    if found is None:
        if not reader.has("cidr"):
            reader.notes.fault(reader.at("cidr"), "is required", type_=FaultType.REQUIRED)
        reader.accept("gateway", "allocation_pools")
        return None
    if found.ip != found.network.network_address:
        reader.notes.warn(reader.at("cidr"), f"has host bits set: the subnet is {found.network}")
    gateway = ranges.text(ranges.inside(reader, "gateway", found.network))
    pools = [_part(item, found.network, gateway) for item in reader.children("allocation_pools")]
    items = pools or [kni.Range(cidr=str(found.network), gateway=gateway)]
    return ranges.pool(reader, [items], "cluster")


def _part(item: Reader, subnet: Network, gateway: str | None) -> kni.Range:
    start, end = ranges.inside(item, "start", subnet), ranges.inside(item, "end", subnet)
    item.finish(refuse=True)
    return kni.Range(cidr=str(subnet), start=ranges.text(start), end=ranges.text(end), gateway=gateway)


def _datapath(origin: Source, name: str, reader: Reader, objects: Objects) -> kni.NetworkConfigSpec:
    kind, given = reader.string("provider:network_type"), reader.string("provider:physical_network")
    segment = _segment(reader)
    reader.refuse("vlan_transparent", why="a Pod's interface carries no VLANs of its own")
    if not kind and not given and not reader.has("provider:segmentation_id"):
        return _overlay(origin, name, reader, objects)
    if kind == "vxlan":
        reader.ignore("provider:physical_network", why="the VXLAN goes between the nodes' own addresses")
        return kni.NetworkConfigSpec(vxlan=kni.Vxlan(vni=max(1, segment)))
    uplink = _uplink(reader, given)
    if kind == "vlan" and 1 <= segment <= 4094:
        return kni.NetworkConfigSpec(vlan=kni.Vlan(vid=segment), uplink=uplink)
    if kind == "flat":
        return kni.NetworkConfigSpec(bridge=kni.Bridge(), uplink=uplink)
    key = "provider:segmentation_id" if kind == "vlan" else "provider:network_type"
    reader.notes.fault(reader.at(key), "want a type of vlan, vxlan or flat, and its number", segment or kind)
    return kni.NetworkConfigSpec()


def _segment(reader: Reader) -> int:
    """The number of a VLAN or VXLAN, which stands in a string."""
    key = "provider:segmentation_id"
    text = reader.string(key)
    if text and not (text.isascii() and text.isdigit() and 0 < int(text[:9]) < 2**24):
        reader.notes.fault(reader.at(key), "must be the number of a VLAN or VXLAN", text)
        return 0
    return int(text or 0)


def _uplink(reader: Reader, given: str) -> kni.Uplink | None:
    at = reader.at("provider:physical_network")
    if not given:
        return None
    problem = api_names.interface_name_problem(given)
    if problem:
        reader.notes.fault(at, problem, given)
        return None
    reader.notes.warn(at, f"is taken for the name of the nodes' interface: change the uplink if {given} is a label")
    return kni.Uplink(interface=given)


def _overlay(origin: Source, name: str, reader: Reader, objects: Objects) -> kni.NetworkConfigSpec:
    number = _vni(name)
    listed = (*objects.all(GROUP, OWN), *objects.all(GROUP, PUBLIC))
    others = [item for item in listed if (item.kind, item.namespace, item.name) != (origin.kind, origin.namespace,
                                                                                      origin.name)]  # fmt: skip
    for other in others:
        named = base.network_name(NAME, "", other.name, other.namespace, Notes())
        if named and named != name and _vni(named) == number:
            reader.notes.fault(reader.at("name"), f"gets the same VXLAN number as {other.subject}: rename one", number)
    reader.notes.warn(reader.at("name"), f"the overlay becomes VXLAN {number}, a number made of the name")
    return kni.NetworkConfigSpec(vxlan=kni.Vxlan(vni=number))


def _vni(name: str) -> int:
    return zlib.crc32(name.encode()) % (2**24 - 1) + 1
