"""The keys of GKE's multi-network on a Pod -> its list. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from podnet_api import kni
from podnet_api import names as api_names
from podnet_api.errors import InvalidError
from podnet_api.faults import FaultType

from podnet_compat import jsontext
from podnet_compat.reader import Notes, Reader, readers
from podnet_compat.systems import decided
from podnet_compat.systems.base import Listing, Made, Objects, Source
from podnet_compat.systems.gke import objects as networks
from podnet_compat.systems.gke.keys import (
    DEFAULT_INTERFACE,
    DEFAULTS,
    GROUP,
    INTERFACES,
    MULTICAST,
    RESOURCES,
    SOURCE_IP,
    SOURCE_MAC,
    STATUS,
)


def at(key: str) -> str:
    """The path of an annotation."""
    return f"metadata.annotations[{key}]"


def translate(pod: Source, objects: Objects) -> Made:
    """The list of ``pod``. Raises InvalidError with every fault."""
    notes = Notes()
    entries = _entries(pod, notes)
    chosen = _default_interface(pod, entries, notes)
    listing = Listing(pod, notes, adds=True)
    named: list[str] = []
    for one in entries:
        named.append(_entry(listing, one, chosen, objects))
    if entries and not any(name in DEFAULTS for name in named):
        notes.warn(at(INTERFACES), "does not name the default network, which the Pod has all the same, as eth0")
    _unchecked(pod, named, objects, notes)
    for key in STATUS:
        if key in pod.annotations:
            notes.warn(at(key), "is a status that GKE wrote: podnet's is in network-status and the Pod's status")
    for path in _resources(pod.body):
        notes.warn(path, "remove it: without GKE no node has this resource, and the Pod would wait for ever")
    made = listing.made()
    return made if entries else Made(warnings=made.warnings)


def pod_ips(text: str, notes: Notes) -> list[tuple[str, str]]:
    """Network and address of each entry of the status ``networking.gke.io/pod-ips``, as GKE wrote it."""
    items = _load(text, at("networking.gke.io/pod-ips"), notes)
    found = []
    for one in readers(items, at("networking.gke.io/pod-ips"), notes):
        found.append((one.string("networkName"), one.string("ip")))
        one.finish(refuse=False)
    return found


def _load(text: str, path: str, notes: Notes) -> list[Any]:
    try:
        found = jsontext.load(text)
    except jsontext.BrokenJsonError as error:
        notes.fault(path, str(error))
        return []
    if not isinstance(found, list):
        notes.fault(path, "must be a JSON list", found)
        return []
    return found


def _entries(pod: Source, notes: Notes) -> list[Reader]:
    text = pod.annotations.get(INTERFACES, "")
    return readers(_load(text, at(INTERFACES), notes), at(INTERFACES), notes) if text else []


def _default_interface(pod: Source, entries: list[Reader], notes: Notes) -> str:
    """The interface over which the default route leads."""
    chosen = pod.annotations.get(DEFAULT_INTERFACE, "") or api_names.DEFAULT_INTERFACE
    there = [one.string("interfaceName") for one in entries]
    if chosen not in {*there, api_names.DEFAULT_INTERFACE}:
        message = f"is not one of the Pod's interfaces, which are {', '.join(there) or api_names.DEFAULT_INTERFACE}"
        notes.fault(at(DEFAULT_INTERFACE), message, chosen)
    elif not entries and DEFAULT_INTERFACE in pod.annotations:
        notes.warn(at(DEFAULT_INTERFACE), "has no effect: the Pod has only the cluster's default network")
    return chosen


def _entry(listing: Listing, one: Reader, chosen: str, objects: Objects) -> str:
    """Add one interface; the foreign name of its network."""
    notes = listing.notes
    interface, network, reference = one.string("interfaceName"), one.string("network"), one.string("interface")
    one.finish(refuse=True)
    if not interface:
        notes.fault(one.at("interfaceName"), "an interface must have a name", type_=FaultType.REQUIRED)
    if bool(network) == bool(reference):
        notes.fault(one.path, "must have exactly one of network and interface", f"{network}, {reference}")
        return network
    spec = kni.AttachmentConfigSpec()
    own = objects.get(GROUP, "NetworkInterface", reference, listing.pod.namespace) if reference else None
    if reference and own is None:
        message = f"NetworkInterface {listing.pod.namespace}/{reference} is not known"
        notes.fault(one.at("interface"), message, type_=FaultType.NOT_FOUND)
        return network
    if own is not None:
        inner = Notes()
        network, spec = networks.asked(own, objects, inner)
        if inner.faults:
            notes.fault(one.at("interface"), f"{own.subject}: {inner.faults[0]}", reference)
            return network
    if network in DEFAULTS:
        if interface != api_names.DEFAULT_INTERFACE:
            message = f"the cluster's default network is always {api_names.DEFAULT_INTERFACE}"
            notes.fault(one.at("interfaceName"), message, interface)
        return network
    known = _has_gateway(network, objects)
    if interface == chosen and not known:
        message = f"leads over network {network}, which has no range, so podnet knows no gateway: decide its addresses"
        notes.unsupported(at(DEFAULT_INTERFACE), chosen, f"{message} by a NetworkConfig ({decided.KEY})")
    path = one.at("interface") if own else one.at("network")
    name = networks.network_name(network, path, notes)
    gateways = frozenset({4}) if interface == chosen else frozenset[int]()
    made = networks.pair(own, name, spec) if own is not None and name else None
    at_name = one.at("interfaceName")
    listing.add(path, name, interface, origin=network, gateways=gateways, interface_path=at_name, own=made)
    return network


def _unchecked(pod: Source, named: list[str], objects: Objects, notes: Notes) -> None:
    """The keys that switch off what GKE checks, or on what it keeps from Pods."""
    checked = [name for name in named if _checks(name, objects)]
    for key in (SOURCE_IP, SOURCE_MAC):
        value = pod.annotations.get(key)
        if value is None:
            continue
        if value != "true":
            notes.warn(at(key), f"{value!r} has no effect: only 'true' has one")
        elif checked:
            message = (
                f"a node checks the Pods of a whole network (antiSpoof), not of one: network {checked[0]} needs a "
                f"NetworkConfig with antiSpoof: false, named in the annotation {decided.KEY} of the Network"
            )
            notes.unsupported(at(key), value, message)
        else:
            notes.warn(at(key), "needs nothing: on the Pod's networks nothing is checked")
    if MULTICAST in pod.annotations:
        value = pod.annotations[MULTICAST]
        message = "needs nothing: podnet's networks carry multicast" if value == "true" else f"{value!r} has no effect"
        notes.warn(at(MULTICAST), message)


def _checks(name: str, objects: Objects) -> bool:
    """Whether nodes check what Pods on network ``name`` send: only datapath vlan does of those made here."""
    made = _made(name, objects)
    return made is not None and made.anti_spoof


def _has_gateway(name: str, objects: Objects) -> bool:
    """Whether a default route can lead over network ``name``; of one that is decided, or not known, nobody can tell."""
    made = _made(name, objects)
    return made is None or made.ipam is not None


def _made(name: str, objects: Objects) -> kni.NetworkConfigSpec | None:
    """What Network ``name`` becomes, where it is known and can be translated."""
    found = objects.get(GROUP, "Network", name)
    try:
        made = networks.network(found, objects) if found is not None else Made()
    except InvalidError:
        return None
    return made.configs[0].spec if made.configs else None


def _resources(body: Mapping[str, Any]) -> Iterator[str]:
    """The paths of GKE's extended resources in containers."""
    spec = body.get("spec")
    for kind in ("initContainers", "containers"):
        listed = spec.get(kind) if isinstance(spec, dict) else None
        for place, one in enumerate(listed if isinstance(listed, list) else []):
            held = one.get("resources") if isinstance(one, dict) else None
            for part in ("requests", "limits"):
                amounts = held.get(part) if isinstance(held, dict) else None
                for key in sorted(map(str, amounts)) if isinstance(amounts, dict) else []:
                    if key.startswith(RESOURCES):
                        yield f"spec.{kind}[{place}].resources.{part}.{key}"


def status(addresses: Mapping[str, list[str]]) -> str:
    """GKE's status of a Pod, networking.gke.io/pod-ips, for ``addresses`` by network: for programs that read it."""
    items = [{"networkName": network, "ip": ip} for network in sorted(addresses) for ip in addresses[network]]
    return json.dumps(items, separators=(",", ":"))
