"""Pods on Antrea's secondary networks -> their lists. Pure.

Of the NPWG annotation Antrea reads name, namespace, interface and MAC address. Interfaces without a name are eth1,
eth2, ..., past those that are named.
"""

from __future__ import annotations

from podnet_api import kni

from podnet_compat.annotation import Selection
from podnet_compat.reader import Notes
from podnet_compat.systems import npwg
from podnet_compat.systems.antrea import networks
from podnet_compat.systems.base import Listing, Made, Objects, Source

_LAST = 100
_DROPPED = "is not read by Antrea: the Pod does not get it"


def translate(pod: Source, objects: Objects) -> Made:
    """The list of ``pod``. Raises InvalidError with every fault."""
    notes = Notes()
    selections = npwg.selections(pod, notes)
    listing, used = Listing(pod, notes, adds=True), {one.interface for one in selections}
    for one in selections:
        _entry(listing, one, used, objects)
    return listing.made()


def _entry(listing: Listing, one: Selection, used: set[str], objects: Objects) -> None:
    notes = listing.notes
    nad = npwg.must_find(objects, one, notes)
    if nad is None:
        return
    if not networks.is_ours(nad):
        message = f"{nad.subject} is not of type antrea, which Antrea leaves out: who attaches it must be decided"
        notes.unsupported(f"{one.path}.name", one.name, message)
        return
    npwg.drop(one, _DROPPED, notes, keep=("interface", "mac"))
    interface = one.interface or _free(used)
    used.add(interface)
    spec = kni.AttachmentConfigSpec(mac=one.mac or None, addresses=[str(one) for one in networks.static(nad)])
    name = npwg.name(nad, notes, f"{one.path}.name")
    listing.add(one.path, name, interface, spec, origin=f"{nad.namespace}/{nad.name}")


def _free(used: set[str]) -> str:
    return next((name for place in range(1, _LAST + 1) if (name := f"eth{place}") not in used), f"eth{_LAST + 1}")
