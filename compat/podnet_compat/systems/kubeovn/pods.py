"""Pods with keys of Kube-OVN -> their lists. Pure.

The list is counted as Multus does. What a NIC asks for stands on in the Pod's annotations, where Kube-OVN's controller
reads it; address and MAC address are parameters of the attachment as well, so that podnet knows them.
"""

from __future__ import annotations

from podnet_api import kni
from podnet_api import names as api_names

from podnet_compat import addresses, parts
from podnet_compat.annotation import Selection
from podnet_compat.reader import Notes
from podnet_compat.systems import npwg
from podnet_compat.systems.base import Listing, Made, Objects, Source
from podnet_compat.systems.kubeovn import keys
from podnet_compat.systems.kubeovn.keys import Nic

_STAYS = "stays Kube-OVN's, whose controller reads it from the Pod"


def is_ours(nad: Source) -> bool:
    """Whether ``nad`` is of Kube-OVN, or has its addresses."""
    found = npwg.config(nad)
    ipam = found.get("ipam")
    return found.get("type") == "kube-ovn" or (isinstance(ipam, dict) and ipam.get("type") == "kube-ovn")


def claims(pod: Source, objects: Objects) -> bool:
    """Whether ``pod`` has a network, or a key, of Kube-OVN."""
    return any(map(keys.is_one, pod.annotations)) or npwg.claims(is_ours)(pod, objects)


def translate(pod: Source, objects: Objects) -> Made:
    """The list of ``pod``; none where only eth0 has keys. Raises InvalidError with every fault."""
    wanted, notes = npwg.read(pod), Notes()
    notes.warnings += wanted.warnings
    heard = set(_say(keys.of_default(pod.annotations), notes))
    listing = Listing(pod, notes, adds=wanted.default is None)
    placed = [(one, one.interface or f"net{place}") for place, one in enumerate(wanted.selections, start=1)]
    if wanted.default is not None:
        placed.insert(0, (wanted.default, api_names.DEFAULT_INTERFACE))
    names = [(one.namespace, one.name) for one, _ in placed]
    found: list[parts.Part] = []
    for one, interface in placed:
        several = names.count((one.namespace, one.name)) > 1
        nic = keys.of_entry(pod.annotations, one, interface, several=several)
        heard |= set(nic.written.values())
        found += _entry(listing, one, interface, nic, objects)
    parts.check(found, notes)
    for key in sorted(set(filter(keys.is_one, pod.annotations)) - heard):
        notes.warn(f"metadata.annotations[{key}]", "has no effect: the Pod selects no such network or interface")
    made = listing.made()
    return made if placed else Made(warnings=made.warnings)


def _entry(listing: Listing, one: Selection, interface: str, nic: Nic, objects: Objects) -> list[parts.Part]:
    notes = listing.notes
    nad = npwg.must_find(objects, one, notes)
    if nad is None:
        return []
    if not is_ours(nad):
        for key in nic.values:
            notes.warn(nic.at(key), f"has no effect: {nad.subject} is not Kube-OVN's")
        return npwg.add(listing, one, interface, nad, npwg.name(nad, notes, f"{one.path}.name"))
    own = kni.AttachmentConfigSpec(addresses=_addresses(nic, notes), mac=_mac(nic, notes))
    _say(nic, notes, but=(keys.ADDRESS, keys.MAC, keys.POOL, keys.DEFAULT_ROUTE))
    default = interface == api_names.DEFAULT_INTERFACE or _default_route(nic, notes)
    families = {6 if ":" in text else 4 for text in own.addresses} or {4}
    gateways = frozenset(families) if default else frozenset[int]()
    return npwg.add(listing, one, interface, nad, npwg.name(nad, notes, f"{one.path}.name"), own, gateways)


def _say(nic: Nic, notes: Notes, but: tuple[str, ...] = ()) -> list[str]:
    """Say of each key but ``but`` whose it is; the annotations."""
    for key in nic.values:
        if key in keys.WRITTEN:
            notes.warn(nic.at(key), "is written by Kube-OVN's controller")
        elif key not in but:
            notes.warn(nic.at(key), _STAYS)
    return list(nic.written.values())


def _addresses(nic: Nic, notes: Notes) -> list[str]:
    """``ip_address``, or an ``ip_pool`` of one address for each family; a pool of several means one of them."""
    if keys.ADDRESS in nic.values:
        if keys.POOL in nic.values:
            notes.warn(nic.at(keys.POOL), f"has no effect beside {keys.ADDRESS}")
        found = _read(nic, keys.ADDRESS, nic.values[keys.ADDRESS].split(","), notes)
        if len({":" in text for text in found}) < len(found):
            notes.unsupported(nic.at(keys.ADDRESS), message="a Pod gets one address per family")
        return found
    if keys.POOL not in nic.values:
        return []
    text = nic.values[keys.POOL]
    choices = text.split(";") if ";" in text or _dual(text) else text.split(",")
    if len(choices) > 1 or not any(mark in text for mark in ".:"):
        what = "one of these addresses" if len(choices) > 1 else "an address of this IPPool"
        notes.warn(
            nic.at(keys.POOL), f"means {what}, which Kube-OVN's controller chooses: podnet knows it when it runs"
        )
        return []
    return _read(nic, keys.POOL, choices[0].split(","), notes)


def _dual(text: str) -> bool:
    """Whether ``text`` is one pair of an IPv4 and an IPv6 address."""
    parts = text.split(",")
    return len(parts) == 2 and (":" in parts[0]) != (":" in parts[1])


def _read(nic: Nic, key: str, parts: list[str], notes: Notes) -> list[str]:
    found = []
    for part in parts:
        try:
            found.append(str(addresses.address(part.strip().partition("/")[0])))
        except ValueError as error:
            notes.fault(nic.at(key), str(error), part)
    return found


def _mac(nic: Nic, notes: Notes) -> str | None:
    if keys.MAC not in nic.values:
        return None
    try:
        return addresses.mac(nic.values[keys.MAC].strip())
    except ValueError as error:
        notes.fault(nic.at(keys.MAC), str(error), nic.values[keys.MAC])
        return None


def _default_route(nic: Nic, notes: Notes) -> bool:
    text = nic.values.get(keys.DEFAULT_ROUTE)
    if text is not None and text not in {"true", "false", ""}:
        notes.warn(nic.at(keys.DEFAULT_ROUTE), f"{text!r} has no effect: only 'true' and 'false' have one")
    return text == "true"
