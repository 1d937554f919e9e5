"""Tungsten Fabric (Contrail): NADs with annotations opencontrail.org/..., and Pods on them. Pure.

Format: tf-controller, kube-manager (vnc_network.py, vnc_pod.py). Its CNI plugin attaches every interface of a Pod in
the one call for the default network, unless its parent process is called multus; so no other runtime can call it for
one network. What a virtual network becomes must be decided. The configuration in the NAD is never parsed: broken JSON
there is harmless. Of the Pod's NPWG annotation only namespace, name and interface are kept.
"""

from __future__ import annotations

import ast
import re

from podnet_api import names as api_names
from podnet_api.faults import FaultType

from podnet_compat import addresses, jsontext, legacy, names
from podnet_compat.annotation import Selection
from podnet_compat.reader import Notes, Reader, readers
from podnet_compat.systems import base, decided, npwg
from podnet_compat.systems.base import Listing, Made, Objects, Source
from podnet_compat.systems.registry import NAMESPACES, System, nads

PREFIX = "opencontrail.org/"
CIDR, NETWORK = f"{PREFIX}cidr", f"{PREFIX}network"
SWITCHES = (f"{PREFIX}ip_fabric_forwarding", f"{PREFIX}ip_fabric_snat")
PLUGIN = "contrail-k8s-cni"
STATUS = api_names.NPWG_STATUS_ANNOTATION
_OF_A_NAD = re.compile(r"(?P<cluster>.+?)-(?P<name>.+)-pod-network")
_DROPPED = "is dropped by Tungsten Fabric, which keeps namespace, name and interface: the Pod does not get it"


def at(key: str) -> str:
    """The path of an annotation."""
    return f"metadata.annotations[{key}]"


def is_ours(nad: Source) -> bool:
    """Whether ``nad`` is of Tungsten Fabric: by its annotations, or by its plugin's name anywhere in its text."""
    return any(key.startswith(PREFIX) for key in nad.annotations) or PLUGIN in npwg.text(nad)


def network(origin: Source, _: Objects) -> Made:
    """A NAD. Raises InvalidError."""
    notes = Notes()
    origin.check_top(notes, "spec")
    name = npwg.name(origin, notes)
    if CIDR in origin.annotations:
        _cidr(origin.annotations[CIDR], notes)
    for key in SWITCHES:
        if origin.annotations.get(key, "false").lower() not in {"true", "false"}:
            notes.fault(at(key), "must be true or false", origin.annotations[key])
    if NETWORK in origin.annotations:
        _virtual_network(origin.annotations[NETWORK], NETWORK, notes)
    if npwg.text(origin):
        notes.warn(npwg.CONFIG, "is not translated: Tungsten Fabric never parses it")
    keys = [key for key in sorted(origin.annotations) if key.startswith(PREFIX)]
    what = "the virtual network is made by Tungsten Fabric's vRouter; what takes its place must be decided"
    return decided.network(origin, name, what, at(keys[0] if keys else CIDR), notes, map(at, keys))


def claims(pod: Source, objects: Objects) -> bool:
    """Whether ``pod`` has a network of Tungsten Fabric, its namespace's primary one included."""
    primary = NETWORK in pod.annotations or NETWORK in objects.namespace(pod.namespace).annotations
    return primary or npwg.claims(is_ours)(pod, objects)


def translate(pod: Source, objects: Objects) -> Made:
    """The list of ``pod``: eth0, then eth1, eth2, ... by their places. Raises InvalidError with every fault."""
    notes = Notes()
    primary = _primary(pod, objects, notes)
    listing = Listing(pod, notes, adds=not primary)
    if primary:
        path, name, origin = primary
        gateways = frozenset({4})
        listing.add(path, name, api_names.DEFAULT_INTERFACE, origin=origin, gateways=gateways)
    text = pod.annotations.get(names.NETWORKS, "")
    if "@" in text and not any(mark in text for mark in '[{"'):
        message = f"Tungsten Fabric knows no @<interface>: column {text.index('@') + 1} is part of a name to it"
        notes.fault(npwg.PATH, message, text)
    for place, one in enumerate(npwg.selections(pod, notes), start=1):
        _entry(listing, one, place, objects)
    for key in sorted(pod.annotations):
        if key.startswith(PREFIX) and key != NETWORK:
            notes.warn(at(key), "is not translated: it is Tungsten Fabric's alone")
    return listing.made()


def status(text: str, notes: Notes) -> list[tuple[str, list[str]]]:
    """Network and addresses of each entry of a network-status, in which Tungsten Fabric writes ``ips`` as a string."""
    try:
        found = jsontext.load(text)
    except jsontext.BrokenJsonError as error:
        notes.fault(at(STATUS), str(error))
        return []
    listed = []
    for one in readers(found, at(STATUS), notes) if isinstance(found, list) else []:
        ips = one.raw("ips")
        listed.append((one.string("name"), [ips] if isinstance(ips, str) and ips else _texts(ips)))
    return listed


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _entry(listing: Listing, one: Selection, place: int, objects: Objects) -> None:
    notes = listing.notes
    nad = npwg.must_find(objects, one, notes)
    if nad is None:
        return
    if not is_ours(nad):
        message = f"{legacy.KIND} {one.namespace}/{one.name} is not Tungsten Fabric's, which fails the Pod then"
        notes.unsupported(f"{one.path}.name", one.name, message)
        return
    npwg.drop(one, _DROPPED, notes, keep=("interface",))
    name = npwg.name(nad, notes, f"{one.path}.name")
    listing.add(one.path, name, one.interface or f"eth{place}", origin=f"{one.namespace}/{one.name}")


def _cidr(text: str, notes: Notes) -> None:
    try:
        addresses.interface(text.strip())
    except ValueError as error:
        notes.fault(at(CIDR), str(error), text)


def _primary(pod: Source, objects: Objects, notes: Notes) -> tuple[str, str, str] | None:
    """What takes the place of the default network, by the Pod's own word or by its namespace's: path, PodNetwork, and
    what it is called there."""
    space = objects.namespace(pod.namespace)
    own = NETWORK in pod.annotations
    text = pod.annotations.get(NETWORK) or space.annotations.get(NETWORK)
    if not text:
        return None
    path = at(NETWORK) if own else f"Namespace {pod.namespace}: {at(NETWORK)}"
    found = _virtual_network(text, NETWORK, notes, path)
    if found is None:
        return path, "", ""
    project, network = found
    match = _OF_A_NAD.fullmatch(network)
    nad = _nad_of(match["cluster"], match["name"], project, objects) if match else None
    if nad is not None:
        return path, npwg.name(nad, notes, path), f"{nad.namespace}/{nad.name}"
    name = base.network_name("tungsten", path, network, project, notes)
    notes.warn(path, f"PodNetwork {name} must be made for this virtual network, which no NAD here has made")
    return path, name, name


def _nad_of(cluster: str, name: str, project: str, objects: Objects) -> Source | None:
    """The NAD whose virtual network is ``<cluster>-<name>-pod-network`` in project ``<cluster>-<namespace>``."""
    namespace = project.removeprefix(f"{cluster}-")
    found = npwg.find(objects, namespace, name) if namespace != project else None
    return found if found is not None and is_ours(found) else None


def _virtual_network(text: str, key: str, notes: Notes, path: str = "") -> tuple[str, str] | None:
    """Project and name in ``{"domain": ..., "project": ..., "name": ...}``; Tungsten Fabric reads it as a Python
    literal, so single quotes are right too."""
    at_path = path or at(key)
    value = _literal(text)
    if not isinstance(value, dict):
        notes.fault(at_path, 'must be a dictionary {"domain": ..., "project": ..., "name": ...}', text)
        return None
    own = Reader({str(one): item for one, item in value.items()}, at_path, notes)
    parts = {part: own.string(part) for part in ("domain", "project", "name")}
    own.finish(refuse=True)
    for part, found in parts.items():
        if not found and not notes.faulty(own.at(part)):
            notes.fault(own.at(part), "is needed to name a virtual network", text, FaultType.REQUIRED)
    if parts["domain"]:
        notes.warn(own.at("domain"), "is not part of the name of a PodNetwork")
    return (parts["project"], parts["name"]) if parts["project"] and parts["name"] else None


def _literal(text: str) -> object:
    try:
        return jsontext.load(text)
    except jsontext.BrokenJsonError:
        pass
    try:
        return ast.literal_eval(text.strip()) if len(text) < 4096 else None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        # What Python's parser says of arbitrary text: its own list, in the documentation of literal_eval.
        return None


SYSTEM = System(
    "tungsten",
    adds=True,
    keys=(NETWORK,),
    kinds=(nads(network, is_ours), NAMESPACES),
    pods=translate,
    carries=(names.NETWORKS,),
    claims=claims,
)
