"""``networks: '{"ports":[...]}'`` of a Pod -> its native list. Pure.

Each port names its network and has attributes, all of them strings. An interface without ``nic_name`` is called
``eth_<network>``, cut to twelve characters; a longer nic_name is refused (EagerPort.Transform). The tenant is the
namespace.
"""

from __future__ import annotations

from podnet_api import kni
from podnet_api import names as api_names
from podnet_api.faults import FaultType

from podnet_compat import addresses, bare, jsontext, names, ranges
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base
from podnet_compat.systems.base import Listing, Made, Objects, Source
from podnet_compat.systems.knitter import networks

PATH = f"metadata.annotations[{bare.KEY}]"
_LONGEST = 12
_PLANES = ("std", "control", "media", "eio", "oam")
_NICS = {"normal": "", "direct": "sriov", "physical": "hostDevice"}
_ADVICE = {"ip_address": ", did you mean 'ip_addr'?"}


def is_knitters(pod: Source, _: Objects) -> bool:
    """Whether ``networks`` is Knitter's, and no key decides before it."""
    return bare.owner(pod.annotations) == bare.KNITTER and names.NETWORKS not in pod.annotations


def translate(pod: Source, objects: Objects) -> Made:
    """The list of ``pod`` with what it needs. Raises InvalidError with every fault."""
    notes = Notes()
    listing = base.Listing(pod, notes, adds=False)
    seen: dict[str, str] = {}
    for port in _ports(pod.annotations[bare.KEY], notes):
        _add(listing, port, objects, seen)
    return listing.made()


def _ports(text: str, notes: Notes) -> list[Reader]:
    try:
        value = jsontext.load(text)
    except jsontext.BrokenJsonError as error:
        notes.fault(PATH, str(error))
        return []
    whole = Reader(value if isinstance(value, dict) else {}, PATH, notes)
    found = whole.children("ports")
    whole.finish(refuse=False)
    if not found and not notes.faults:
        notes.fault(whole.at("ports"), "must have a port", type_=FaultType.REQUIRED)
    return found


def _add(listing: Listing, port: Reader, objects: Objects, seen: dict[str, str]) -> None:
    notes, pod, name = listing.notes, listing.pod, port.string("attach_to_network")
    attributes = port.child("attributes")
    port.finish(refuse=False)
    at = port.at("attach_to_network")
    if not name and not notes.faulty(at):
        notes.fault(at, "port attach network is blank", type_=FaultType.REQUIRED)
    interface = _interface(attributes, name)
    spec = _parameters(attributes)
    _check_combinable(attributes, name, seen)
    attributes.finish(_ADVICE, refuse=False)
    if not name:
        return
    origin = networks.find(objects, pod.namespace, name)
    native = _native(pod, origin, name, at, objects, notes)
    leads = interface == api_names.DEFAULT_INTERFACE and origin is not None and networks.has_gateway(origin)
    gateways = frozenset({4}) if leads else frozenset[int]()
    listing.add(at, native, interface, spec, origin=name, gateways=gateways, interface_path=attributes.at("nic_name"))


def _native(pod: Source, origin: Source | None, name: str, at: str, objects: Objects, notes: Notes) -> str:
    """The PodNetwork. A network that no document describes may be there natively already."""
    own = base.network_name(networks.NAME, at, name, pod.namespace, notes)
    if origin is not None:
        return base.network_name(networks.NAME, at, name, origin.namespace, notes)
    public = base.network_name(networks.NAME, at, name, "", Notes())
    there = [one for one in (own, public) if one and objects.get(api_names.GROUP, "PodNetwork", one)]
    if not there:
        where = f"GET /nw/v1/tenants/{pod.namespace}/networks?name={name}"
        notes.warn(
            at, f"nothing here describes the network: put what {where} answers beside it, or write PodNetwork {own}"
        )
    return next(iter(there), own)


def _interface(attributes: Reader, network: str) -> str:
    given = attributes.string("nic_name")
    if len(given) > _LONGEST:
        message = f"must be no longer than {_LONGEST} characters"
        attributes.notes.fault(attributes.at("nic_name"), message, given)
    return given or f"eth_{network}"[:_LONGEST]


def _parameters(attributes: Reader) -> kni.AttachmentConfigSpec | None:
    _warn_of_plane(attributes)
    attributes.ignore("metadata", why="nothing reads it")
    if group := attributes.string("ip_group_name"):
        message = (
            f"has no effect: a range of the NetworkConfig, not a group like {group}, says which addresses there are"
        )
        attributes.notes.warn(attributes.at("ip_group_name"), message)
    found = ranges.read(attributes, "ip_addr", addresses.address)
    if found is not None and found.version != 4:
        attributes.notes.fault(attributes.at("ip_addr"), "must be an IPv4 address", str(found))
    return kni.AttachmentConfigSpec(addresses=[str(found)]) if found else None


def _warn_of_plane(attributes: Reader) -> None:
    """What every interface of a network shares here, and each port chose there. Unknown values mean the default."""
    notes = attributes.notes
    plane, nic = attributes.string("function") or "std", attributes.string("nic_type") or "normal"
    if plane not in _PLANES:
        notes.warn(attributes.at("function"), f"{plane!r} means std, as with Knitter: want {', '.join(_PLANES)}")
    elif plane != "std":
        notes.warn(attributes.at("function"), f"has no effect: {plane} is a role, and interfaces have none")
    if nic not in _NICS:
        notes.warn(attributes.at("nic_type"), f"{nic!r} means normal, as with Knitter: want {', '.join(_NICS)}")
    elif _NICS[nic]:
        message = f"{nic} has no effect: the network's NetworkConfig must have the datapath {_NICS[nic]}"
        notes.warn(attributes.at("nic_type"), message)
    accelerate = attributes.string("accelerate")
    if accelerate == "true":
        message = "has no effect on function std" if plane == "std" else "has no effect: DPDK needs datapath userspace"
        notes.warn(attributes.at("accelerate"), message)
    elif accelerate not in {"", "false"}:
        notes.warn(attributes.at("accelerate"), f"{accelerate!r} means false, as with Knitter")


def _check_combinable(attributes: Reader, network: str, seen: dict[str, str]) -> None:
    """Knitter makes one port of those that may be combined."""
    at, asked = attributes.at("combinable"), attributes.string("combinable")
    if asked not in {"", "true", "false"}:
        attributes.notes.warn(at, f"{asked!r} means false, as with Knitter")
    if asked != "true":
        return
    if network in seen:
        message = f"is to be combined with {seen[network]} into one port of {network}, which podnet does not: keep one"
        attributes.notes.fault(at, message, asked, FaultType.DUPLICATE)
    else:
        attributes.notes.warn(at, "has no effect: no other port is to be combined with it")
    seen.setdefault(network, attributes.path)
