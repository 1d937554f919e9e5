"""NADs of type ovn-k8s-cni-overlay, and Pods that select them. Pure."""

from __future__ import annotations

from msgspec import structs
from podnet_api import names as api_names
from podnet_api.faults import FaultType

from podnet_compat import addresses, legacy, parts
from podnet_compat import nad as nads
from podnet_compat.annotation import Selection
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base, npwg
from podnet_compat.systems.base import Listing, Made, Objects, Source
from podnet_compat.systems.ovnk import identity, udn

TOPOLOGIES = ("layer2", "layer3", "localnet")
_SUBNETS = ("subnets", "excludeSubnets", "reservedSubnets", "infrastructureSubnets", "joinSubnet", "transitSubnet")


def nad(origin: Source, objects: Objects) -> Made:
    """A NAD, unless a network that is among the objects has made it. Raises InvalidError."""
    notes = Notes()
    origin.check_top(notes, "spec")
    reader = npwg.reader(origin, notes)
    _check(reader, origin, notes)
    base.check(origin, notes)
    if any((one.namespace, one.name) == (origin.namespace, origin.name) for one in _made_by_networks(objects)):
        return Made(warnings=(f"{npwg.CONFIG}: is taken over with the network that made it",))
    if identity.is_primary(origin):
        why = "is not translated: a primary network is attached by the cluster's own CNI, with the network default"
        return Made(warnings=tuple(f"{reader.at(key)}: {why}" for key in sorted(reader.written())))
    found = nads.translate(legacy.nad(dict(origin.body), origin.namespace))
    name = identity.network_of(origin, objects, notes, f"{npwg.CONFIG}.name")
    base.check(origin, notes)
    meta = structs.replace(found.config.metadata, name=name)
    config = structs.replace(found.config, metadata=meta)
    return Made((base.network(origin.subject, name, name),), (config,), warnings=(*found.warnings, *notes.warnings))


def claims(pod: Source, objects: Objects) -> bool:
    """Whether ``pod`` selects a network of OVN-Kubernetes."""
    found = npwg.selected(pod, objects)
    if any(identity.is_ours(one) for one in found):
        return True
    chosen = {(one.namespace, one.name) for one in npwg.selections(pod, Notes())}
    missing = chosen - {(one.namespace, one.name) for one in found}
    return bool(missing) and any((one.namespace, one.name) in missing for one in udn.generated(objects))


def translate(pod: Source, objects: Objects) -> Made:
    """The list of ``pod``: as Multus counts, with networks named by OVN-Kubernetes' identity. Raises InvalidError."""
    wanted, notes = npwg.read(pod), Notes()
    notes.warnings += wanted.warnings
    whole = Objects((*_all(objects), *udn.generated(objects)))
    listing = Listing(pod, notes, adds=wanted.default is None)
    found = []
    if wanted.default is not None:
        found += _entry(listing, wanted.default, api_names.DEFAULT_INTERFACE, whole, frozenset({4}))
    for place, one in enumerate(wanted.selections, start=1):
        found += _entry(listing, one, one.interface or f"net{place}", whole)
    parts.check(found, notes)
    return listing.made()


def _entry(
    listing: Listing, one: Selection, interface: str, objects: Objects, gateways: frozenset[int] = frozenset()
) -> list[parts.Part]:
    found = npwg.must_find(objects, one, listing.notes)
    if found is None:
        return []
    if not identity.is_ours(found):
        plain = npwg.name(found, listing.notes, one.path)
        return npwg.add(listing, one, interface, found, plain, gateways=gateways)
    if identity.is_primary(found):
        message = "is a primary network: every Pod of its namespace has it already, as ovn-udn1"
        listing.notes.fault(f"{one.path}.name", message, one.name, FaultType.FORBIDDEN)
        return []
    if one.ips and npwg.config(found).get("subnets"):
        message = "addresses can be asked for only of a network without subnets"
        listing.notes.fault(f"{one.path}.ips", message, [str(ip) for ip in one.ips], FaultType.FORBIDDEN)
        return []
    name = identity.network_of(found, objects, listing.notes, f"{one.path}.name")
    return npwg.add(listing, one, interface, found, name, gateways=gateways)


def _all(objects: Objects) -> tuple[Source, ...]:
    return objects.all(legacy.GROUP, legacy.KIND)


def _made_by_networks(objects: Objects) -> list[Source]:
    """The NADs of networks among the objects, whether they are there or not."""
    kinds = ("UserDefinedNetwork", "ClusterUserDefinedNetwork", "Namespace")
    groups = {"Namespace": ""}
    rest = [one for kind in kinds for one in objects.all(groups.get(kind, identity.GROUP), kind)]
    return udn.generated(Objects(rest))


def _check(reader: Reader, origin: Source, notes: Notes) -> None:
    """What OVN-Kubernetes would refuse."""
    topology, own = reader.string("topology") or "layer3", reader.string("netAttachDefName")
    if topology not in TOPOLOGIES:
        notes.fault(reader.at("topology"), f"must be one of {', '.join(TOPOLOGIES)}", topology)
    if own != f"{origin.namespace}/{origin.name}":
        message = f"must be {origin.namespace}/{origin.name}: OVN-Kubernetes finds the Pod's addresses by it"
        notes.fault(reader.at("netAttachDefName"), message, own)
    if reader.string("role") not in {"", "primary", "secondary"}:
        notes.fault(reader.at("role"), "must be primary or secondary", reader.string("role"))
    for key in _SUBNETS:
        for place, text in enumerate(_parts(reader.string(key))):
            _check_subnet(f"{reader.at(key)}[{place}]", text, key == "subnets" and topology == "layer3", notes)
    reader.integer("mtu", 0, 65536)
    if reader.integer("vlanID", 1, 4094) and topology != "localnet":
        notes.fault(reader.at("vlanID"), "needs topology localnet", reader.integer("vlanID"))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


def _check_subnet(path: str, text: str, two: bool, notes: Notes) -> None:
    """A CIDR; a layer3 network may have a second prefix length, that of a node's part."""
    cidr, _, host = text.rpartition("/") if two and text.count("/") == 2 else (text, "", "")
    try:
        found = addresses.interface(cidr).network
        if host and not (host.isdecimal() and found.prefixlen < int(host) <= found.max_prefixlen):
            raise ValueError(f"must have a second prefix length between {found.prefixlen} and {found.max_prefixlen}")
    except ValueError as error:
        notes.fault(path, str(error), text)
