"""``danm.io/interfaces`` of a Pod -> its native list. Pure.

Each entry names one network and how its addresses are found. The interface of the first is eth0; of another
``<container_prefix><place>``, or the prefix alone under ``namingScheme: legacy``, or eth<place>. A Pod without the
annotation has the network ``default``. DANM reads the annotation strictly: an unknown key is an error.
"""

from __future__ import annotations

from dataclasses import dataclass

from podnet_api import names as api_names
from podnet_api.errors import InvalidError
from podnet_api.faults import FaultType

from podnet_compat import jsontext
from podnet_compat.reader import Notes, Reader, readers
from podnet_compat.systems import base
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.danm import keys, network, parameters
from podnet_compat.systems.danm.network import Network

_KINDS = {
    "network": keys.DANM_NET,
    "tenantNetwork": keys.TENANT_NETWORK,
    "clusterNetwork": keys.CLUSTER_NETWORK,
}
_ADVICE = {"ips": ", did you mean 'ip'?", "interface": ": the name comes from the network's container_prefix"}


@dataclass(frozen=True)
class Entry:
    """One entry as it is written. ``group`` is where its network is looked for first."""

    reader: Reader
    group: str
    kind: str
    name: str


def translate(pod: Source, objects: Objects) -> Made:
    """The list of ``pod`` with what it needs. Raises InvalidError with every fault."""
    notes = Notes()
    listing = base.Listing(pod, notes, adds=False)
    entries = read(pod, notes)
    if not entries and not notes.faults:
        entries = _default(pod, objects, notes)
    for place, entry in enumerate(entries):
        _add(listing, entry, place, objects)
    return listing.made()


def has_default(pod: Source, objects: Objects) -> bool:
    """Whether ``pod``, which has no annotation, gets a network from DANM."""
    return _default_network(pod, objects) is not None


def key_of(pod: Source) -> str:
    """The annotation that ``pod`` has; "" without one."""
    return next((key for key in keys.INTERFACES if key in pod.annotations), "")


def read(pod: Source, notes: Notes) -> list[Entry]:
    """The entries of the annotation, whatever network they name."""
    key = key_of(pod)
    text = pod.annotations.get(key, "")
    others = [other for other in keys.INTERFACES if other in pod.annotations and other != key]
    for other in others:
        if pod.annotations[other] != text:
            notes.fault(f"metadata.annotations[{other}]", f"says other than {key}: DANM reads only one of them")
    path = f"metadata.annotations[{key}]"
    found = [_entry(reader, keys.group_of(key)) for reader in _readers(text, path, notes)]
    return [entry for entry in found if entry is not None]


def _readers(text: str, path: str, notes: Notes) -> list[Reader]:
    if not text:
        return []
    try:
        items = jsontext.load(text)
    except jsontext.BrokenJsonError as error:
        notes.fault(path, str(error))
        return []
    if items is not None and not isinstance(items, list):
        notes.fault(path, "must be a JSON list of objects", items)
    return readers(items, path, notes) if isinstance(items, list) else []


def _entry(reader: Reader, group: str) -> Entry | None:
    named = {key: reader.string(key) for key in _KINDS}
    given = [key for key, name in named.items() if name]
    if len(given) != 1:
        reader.notes.fault(reader.path, f"invalid number of network references:{len(given)}", given or None)
        return None
    return Entry(reader, group, _KINDS[given[0]], named[given[0]])


def _add(listing: base.Listing, entry: Entry, place: int, objects: Objects) -> None:
    reader, notes, pod = entry.reader, listing.notes, listing.pod
    found = _network(entry, pod, objects, notes)
    spec = parameters.read(reader, found)
    reader.finish(_ADVICE, refuse=True)
    if found is None:
        return
    _check_tenant(reader.path, pod, found, notes)
    listing.add(
        reader.path,
        found.name,
        _interface(found, place, objects),
        spec,
        origin=found.origin.subject,
        gateways=found.addressing.gateways,
    )


def _network(entry: Entry, pod: Source, objects: Objects, notes: Notes) -> Network | None:
    namespace = "" if entry.kind == keys.CLUSTER_NETWORK else pod.namespace
    origin = _lookup(objects, entry.group, entry.kind, entry.name, namespace)
    if origin is None:
        where = f" in namespace {namespace}" if namespace else ""
        message = f"the requested network {entry.name} of type {entry.kind}{where} does not exist"
        notes.fault(entry.reader.path, message, entry.name, FaultType.NOT_FOUND)
        return None
    return _understood(origin, objects, entry.reader.path, notes)


def _understood(origin: Source, objects: Objects, path: str, notes: Notes) -> Network | None:
    own = Notes()
    found = network.read(origin, objects, own)
    if own.faults:
        notes.unsupported(path, message=str(InvalidError(origin.subject, own.faults)))
        return None
    return found


def _lookup(objects: Objects, group: str, kind: str, name: str, namespace: str) -> Source | None:
    groups = sorted(keys.GROUPS, key=lambda one: one != group)
    found = (objects.get(one, kind, name, namespace) for one in groups)
    return next((item for item in found if item is not None), None)


def _check_tenant(path: str, pod: Source, found: Network, notes: Notes) -> None:
    if found.allowed and pod.namespace not in found.allowed:
        message = (
            f"namespace {pod.namespace} is not in AllowedTenants of {found.origin.subject} ({', '.join(found.allowed)})"
        )
        notes.fault(path, message, type_=FaultType.FORBIDDEN)


def _interface(found: Network, place: int, objects: Objects) -> str:
    """What calculateIfaceName makes."""
    if place == 0:
        return api_names.DEFAULT_INTERFACE
    if found.prefix and is_legacy(objects):
        return found.prefix
    return f"{found.prefix or 'eth'}{place}"


def is_legacy(objects: Objects) -> bool:
    """Whether DANM was configured with ``namingScheme: legacy``."""
    namespace, name, key = keys.CONFIG_MAP
    config = objects.get("", "ConfigMap", name, namespace)
    data = config.body.get("data") if config else None
    said = data.get(key) if isinstance(data, dict) else ""
    return objects.settings.get(keys.LEGACY_NAMES, said) == "legacy"


def _default(pod: Source, objects: Objects, notes: Notes) -> list[Entry]:
    found = _default_network(pod, objects)
    path = f"metadata.annotations[{keys.INTERFACES[0]}]"
    if found is None:
        message = "no networks are named, and no DanmNet, TenantNetwork or ClusterNetwork is called 'default'"
        notes.fault(path, message, type_=FaultType.REQUIRED)
        return []
    return [Entry(Reader({"ip": parameters.DYNAMIC}, path, notes), found.group, found.kind, found.name)]


def _default_network(pod: Source, objects: Objects) -> Source | None:
    """The first that there is, in DANM's order (GetDefaultNetwork)."""
    for kind in _KINDS.values():
        namespace = "" if kind == keys.CLUSTER_NETWORK else pod.namespace
        found = _lookup(objects, keys.GROUPS[0], kind, keys.DEFAULT, namespace)
        if found is not None:
            return found
    return None
