"""``cni`` and ``networks`` of a Pod -> its native list, by Genie's precedence. Pure.

``k8s.v1.cni.cncf.io/networks`` comes first (then Genie does as Multus does, and so do we), then a ``cni`` that is not
empty, then ``networks`` beside an empty ``cni``. With ``cni`` empty and alone Genie asks cAdvisor which plugin has
bandwidth left. Without ``cni`` the Pod has the nodes' default plugin. Entries are ``<name>[@<interface>]``;
an interface without a name takes the lowest ethN that is free (getIntfName).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from podnet_api.errors import InvalidError
from podnet_api.faults import FaultType

from podnet_compat import bare, names
from podnet_compat.reader import Notes
from podnet_compat.systems import base
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.genie import networks

STATUS = "multi-ip-preferences"
_NUMBERED = re.compile(r"eth([0-9]{1,9})")


@dataclass(frozen=True)
class Entry:
    """One entry as it is written."""

    path: str
    name: str
    interface: str


def is_genies(pod: Source, _: Objects) -> bool:
    """Whether Genie's own annotations decide over ``pod``."""
    if names.NETWORKS in pod.annotations or bare.CNI not in pod.annotations:
        return False
    return bool(pod.annotations[bare.CNI].strip()) or bare.owner(pod.annotations) != bare.KNITTER


def translate(pod: Source, objects: Objects) -> Made:
    """The list of ``pod`` with what it needs. Raises InvalidError with every fault."""
    notes = Notes()
    plugins, text = pod.annotations[bare.CNI], pod.annotations.get(bare.KEY, "")
    listing = base.Listing(pod, notes, adds=False)
    further: list[Made] = []
    if plugins.strip():
        if text.strip():
            notes.warn(f"metadata.annotations[{bare.KEY}]", f"has no effect beside {bare.CNI}, which names plugins")
        further = _plugins(listing, plugins, objects)
    elif bare.owner(pod.annotations) == bare.GENIE:
        _logical(listing, text, objects)
    else:
        message = "is empty: cAdvisor chose the plugin; name a network, or remove it for the cluster's default"
        notes.fault(f"metadata.annotations[{bare.CNI}]", message, type_=FaultType.REQUIRED)
    if STATUS in pod.annotations:
        notes.warn(f"metadata.annotations[{STATUS}]", "is Genie's status of the Pod; podnet-compat writes it anew")
    return base.merge(listing.made(), *further)


def _plugins(listing: base.Listing, text: str, objects: Objects) -> list[Made]:
    made = []
    for entry, interface in _entries(text, bare.CNI, listing.notes):
        name = base.network_name(networks.NAME, entry.path, entry.name, "", listing.notes)
        listing.add(entry.path, name, interface, origin=entry.name)
        if name and objects.get("multinetwork.x-k8s.io", "PodNetwork", name) is None:
            file = f"the nodes' configuration with the name {entry.name} attaches it; Genie went by the file's own name"
            listing.notes.warn(entry.path, file)
            made.append(networks.plugin_network(entry.name, name))
    return made


def _logical(listing: base.Listing, text: str, objects: Objects) -> None:
    pod, notes = listing.pod, listing.notes
    for entry, interface in _entries(text, bare.KEY, notes):
        found = networks.find(objects, networks.LOGICAL, pod.namespace, entry.name)
        if found is None:
            message = f"there is no {networks.LOGICAL} {pod.namespace}/{entry.name}"
            notes.fault(entry.path, message, entry.name, FaultType.NOT_FOUND)
            continue
        own = Notes()
        networks.read(found, objects, own)
        if own.faults:
            notes.unsupported(entry.path, message=str(InvalidError(found.subject, own.faults)))
            continue
        name = base.network_name(networks.NAME, entry.path, entry.name, pod.namespace, notes)
        listing.add(entry.path, name, interface, origin=found.subject)


def _entries(text: str, key: str, notes: Notes) -> list[tuple[Entry, str]]:
    """The entries, each with the name of its interface."""
    listed = [
        _entry(item, f"metadata.annotations[{key}][{place}]", notes) for place, item in enumerate(text.split(","))
    ]
    found = [entry for entry in listed if entry is not None]
    taken = {int(match[1]) for entry in found if (match := _NUMBERED.fullmatch(entry.interface))}
    free = (number for number in range(len(found) + len(taken) + 1) if number not in taken)
    return [(entry, entry.interface or f"eth{next(free)}") for entry in found]


def _entry(item: str, path: str, notes: Notes) -> Entry | None:
    name, *interface = (part.strip() for part in item.split("@"))
    if not name:
        notes.fault(path, "names nothing: a comma too many?", item, FaultType.REQUIRED)
    elif len(interface) > 1:
        notes.fault(path, "has more than one '@': want <name>[@<interface>]", item.strip())
    else:
        return Entry(path, name, "".join(interface))
    return None
