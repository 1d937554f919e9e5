"""Logicalnetwork and Physicalnetwork (alpha.network.k8s.io/v1) -> PodNetwork and NetworkConfig. Pure.

A Logicalnetwork names a plugin and a subnet, or a Physicalnetwork that does. Genie takes the nodes' configuration file
of that plugin and writes the subnet into its ``ipam``. A file cannot be changed from here: where the configuration is
known it stands in the NetworkConfig itself, else the file is used as it is and the subnet is told as lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from podnet_api import kni
from podnet_api import names as api_names
from podnet_api.faults import FaultType
from podnet_api.meta import ObjectMeta

from podnet_compat import addresses, legacy, ranges
from podnet_compat import nad as nads
from podnet_compat.addresses import Interface
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base
from podnet_compat.systems.base import Made, Objects, Source

NAME = "genie"
GROUP = "alpha.network.k8s.io"
LOGICAL, PHYSICAL = "Logicalnetwork", "Physicalnetwork"
KINDS = (LOGICAL, PHYSICAL, "LogicalNetwork", "PhysicalNetwork")
"""Both spellings are in use; the CRDs of the project have the first two."""


@dataclass(frozen=True)
class Physical:
    """What a Physicalnetwork says."""

    nic: str
    plugin: str
    subnet: Interface | None
    dedicated: bool


@dataclass(frozen=True)
class Plan:
    """What a Logicalnetwork comes to."""

    plugin: str
    subnet: Interface | None
    nic: str = ""


def find(objects: Objects, kind: str, namespace: str, name: str) -> Source | None:
    """A network object under either spelling of its kind."""
    kinds = [one for one in KINDS if one.lower() == kind.lower()]
    found = (objects.get(GROUP, one, name, namespace) for one in kinds)
    return next((item for item in found if item is not None), None)


def translate(origin: Source, objects: Objects) -> Made:
    """The native objects of a Logicalnetwork. Raises InvalidError with every fault."""
    notes = Notes()
    name = base.network_name(NAME, "metadata.name", origin.name, origin.namespace, notes)
    plan = read(origin, objects, notes)
    base.check(origin, notes)
    return base.native(origin, name, _spec(plan, notes), notes)


def read(origin: Source, objects: Objects, notes: Notes) -> Plan:
    """The Logicalnetwork in ``origin``, with what is wrong with it in ``notes``."""
    spec = origin.part("spec", notes)
    origin.check_top(notes, "spec")
    given, plugin = spec.string("physicalNet"), spec.string("plugin")
    subnet = _subnet(spec, "sub_subnet")
    spec.finish(refuse=False)
    if not given:
        _required(spec, "plugin", plugin, "without physicalNet")
        return Plan(plugin, subnet)
    physical = _physical(origin, given, objects, spec)
    if physical is None:
        return Plan(plugin, subnet)
    if physical.dedicated:
        if plugin:
            notes.warn(spec.at("plugin"), f"has no effect: {PHYSICAL} {given} is dedicated to {physical.plugin}")
        _check_inner(spec, subnet, physical)
        return Plan(physical.plugin, subnet or physical.subnet, physical.nic)
    _required(spec, "plugin", plugin, f"on {PHYSICAL} {given}, which is shared")
    _required(spec, "sub_subnet", str(subnet or ""), f"on {PHYSICAL} {given}, which is shared")
    return Plan(plugin, subnet, physical.nic)


def _required(spec: Reader, key: str, value: str, where: str) -> None:
    if not value and not spec.notes.faulty(spec.at(key)):
        spec.notes.fault(spec.at(key), f"must be there {where}", type_=FaultType.REQUIRED)


def _check_inner(spec: Reader, subnet: Interface | None, physical: Physical) -> None:
    outer = physical.subnet
    if subnet and outer and not (subnet.version == outer.version and subnet.network[0] in outer.network
                                 and subnet.network[-1] in outer.network):  # fmt: skip
        spec.notes.fault(spec.at("sub_subnet"), f"must be a part of {outer.network}", str(subnet))


def _subnet(reader: Reader, key: str) -> Interface | None:
    found = ranges.read(reader, key, addresses.interface)
    if found is not None and found.ip != found.network.network_address:
        reader.notes.warn(reader.at(key), f"has host bits set: the subnet is {found.network}")
    return found


def _physical(origin: Source, name: str, objects: Objects, spec: Reader) -> Physical | None:
    found = find(objects, PHYSICAL, origin.namespace, name)
    if found is None:
        message = f"there is no {PHYSICAL} {origin.namespace}/{name}"
        spec.notes.fault(spec.at("physicalNet"), message, name, FaultType.NOT_FOUND)
        return None
    own = Notes()
    made = read_physical(found, own)
    for fault in own.faults:
        spec.notes.unsupported(spec.at("physicalNet"), message=f"{found.subject} is wrong: {fault}")
    return made


def read_physical(origin: Source, notes: Notes) -> Physical:
    """The Physicalnetwork in ``origin``, with what is wrong with it in ``notes``."""
    spec = origin.part("spec", notes)
    origin.check_top(notes, "spec")
    shared = spec.child("sharedStatus")
    nic, plugin = spec.string("refer_nic"), shared.string("plugin")
    dedicated, subnet = shared.boolean("dedicatedNet"), _subnet(shared, "subnet")
    problem = api_names.interface_name_problem(nic) if nic else ""
    if problem:
        notes.fault(spec.at("refer_nic"), problem, nic)
    if dedicated:
        _required(shared, "plugin", plugin, "on a dedicated network")
    elif plugin:
        notes.warn(shared.at("plugin"), "has no effect on a shared network: the Logicalnetwork names the plugin")
    shared.finish(refuse=False)
    spec.finish(refuse=False)
    return Physical(nic, plugin, subnet, dedicated)


def translate_physical(origin: Source, objects: Objects) -> Made:
    """A Physicalnetwork becomes a part of the Logicalnetworks on it."""
    notes = Notes()
    found = read_physical(origin, notes)
    base.check(origin, notes)
    if found.nic:
        notes.warn("spec.refer_nic", "is the uplink of Logicalnetworks with plugin macvlan; others have no use for it")
    if not _users(origin, objects):
        notes.warn("spec", "no Logicalnetwork is on it, and it becomes nothing by itself")
    return Made(warnings=tuple(notes.warnings))


def _users(origin: Source, objects: Objects) -> list[Source]:
    listed = [item for kind in KINDS if kind.lower() == LOGICAL.lower() for item in objects.all(GROUP, kind)]
    specs = [(item, item.body.get("spec")) for item in listed if item.namespace == origin.namespace]
    return [item for item, spec in specs if isinstance(spec, dict) and spec.get("physicalNet") == origin.name]


def plugin_network(plugin: str, name: str) -> Made:
    """PodNetwork ``name`` for the nodes' configuration of ``plugin``, as the annotation ``cni`` names it."""
    notes = Notes()
    origin = Source("", "CNI configuration", "", plugin, {})
    return base.native(origin, name, _of_file(plugin), notes)


def _of_file(plugin: str) -> kni.NetworkConfigSpec:
    return kni.NetworkConfigSpec(cni=kni.Cni(config=base.plugin_file(plugin)), anti_spoof=False)


def _spec(plan: Plan, notes: Notes) -> kni.NetworkConfigSpec:
    config = _known(plan)
    if config is None:
        message = f"the nodes' configuration file of {plan.plugin} attaches it: podnet looks for that `name` in it"
        notes.warn("spec.plugin", message)
        if plan.subnet is not None:
            why = "has no effect: that file has a subnet of its own; write the configuration into the NetworkConfig"
            notes.warn("spec.sub_subnet", why)
        return _of_file(plan.plugin)
    nad = legacy.Nad(metadata=ObjectMeta(name=plan.plugin), spec=legacy.NadSpec(config=json.dumps(config)))
    made = nads.translate(nad)
    notes.warnings += [f"spec.plugin: {warning}" for warning in made.warnings]
    return made.config.spec


def _known(plan: Plan) -> dict[str, Any] | None:
    """The configuration that Genie comes to, where it does not hang on a file: its own defaults for bridge and
    macvlan, and that of weave, which has no other keys."""
    if plan.subnet is None:
        return None
    subnet = {"subnet": str(plan.subnet.network)}
    if plan.plugin == "bridge":
        return {"name": "mybridgenet", "type": "bridge", "ipam": {"type": "host-local", **subnet}}
    if plan.plugin == "macvlan" and plan.nic:
        return {"name": "macvlannet", "type": "macvlan", "master": plan.nic, "ipam": {"type": "host-local", **subnet}}
    if plan.plugin == "weave":
        return {"cniVersion": "0.3.0", "name": "weave", "type": "weave-net", "ipam": subnet}
    return None
