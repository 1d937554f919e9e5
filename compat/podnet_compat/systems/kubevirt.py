"""KubeVirt: ``spec.networks`` and interfaces of virtual machines -> the list of the Pod that they run in. Pure.

Format: kubevirt.io/api/core/v1, Network and Interface (schema.go). KubeVirt itself joins each of the Pod's interfaces
to the guest and goes on doing so: how (binding methods), and as which device, stays its own affair. What the Pod must
have is said natively: which networks, in which order, under which names (``pod`` and eleven digits of the hash of the
network's name) and with which MAC addresses. KubeVirt hands annotations of a machine's template to that Pod.
"""

from __future__ import annotations

import hashlib

from podnet_api import kni
from podnet_api import names as api_names
from podnet_api.faults import FaultType

from podnet_compat import addresses, ranges
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base, npwg, ovnk
from podnet_compat.systems.base import Listing, Made, Objects, Source
from podnet_compat.systems.registry import System

KINDS = ("VirtualMachine", "VirtualMachineInstance", "VirtualMachineInstanceReplicaSet", "VirtualMachinePool")
BINDINGS = ("bridge", "masquerade", "sriov", "passtBinding", "slirp", "macvtap", "passt", "binding")
"""How KubeVirt joins an interface to the guest: one of them, bridge without any."""
_GUEST = ("model", "ports", "bootOrder", "pciAddress", "dhcpOptions", "tag", "acpiIndex")
_STAYS = "stays KubeVirt's affair"
_SOURCES = ("pod", "multus", "resourceClaim")


def interface_name(network: str) -> str:
    """The interface in the Pod for a secondary network (KubeVirt, pkg/network/namescheme)."""
    return "pod" + hashlib.sha256(network.encode()).hexdigest()[:11]


def claims(pod: Source, _: Objects) -> bool:
    """Whether ``pod`` is a virtual machine that names networks."""
    spec = pod.body.get("spec")
    return pod.kind in KINDS and isinstance(spec, dict) and bool(spec.get("networks"))


def translate(pod: Source, objects: Objects) -> Made:
    """The list of the Pod of a virtual machine."""
    notes = Notes()
    spec = pod.part("spec", notes)
    interfaces = _interfaces(spec, notes)
    networks = spec.children("networks")
    replaced = any(one.child("multus").boolean("default") for one in networks)
    listing = Listing(pod, notes, adds=not replaced)
    seen: dict[str, str] = {}
    for one in networks:
        name = one.string("name")
        if not name:
            notes.fault(one.at("name"), "a network must have a name", type_=FaultType.REQUIRED)
        elif name in seen:
            notes.fault(one.at("name"), f"is the name of {seen[name]}", name, FaultType.DUPLICATE)
        elif name not in interfaces:
            notes.fault(one.at("name"), "no interface of spec.domain.devices.interfaces has this name", name)
        else:
            _network(listing, one, name, interfaces.pop(name), objects)
        seen.setdefault(name, one.path)
    for left in interfaces.values():
        if left.string("name") not in seen:
            notes.fault(left.at("name"), "must be the name of a network in spec.networks", left.string("name"))
    return listing.made()


def _interfaces(spec: Reader, notes: Notes) -> dict[str, Reader]:
    """The interfaces by their networks."""
    devices = spec.child("domain").child("devices")
    for key in ("autoattachPodInterface", "networkInterfaceMultiqueue"):
        devices.ignore(key, why=f"it {_STAYS}")
    found: dict[str, Reader] = {}
    for one in devices.children("interfaces"):
        name = one.string("name")
        if name in found:
            notes.fault(one.at("name"), f"is the name of {found[name].path}", name, FaultType.DUPLICATE)
        found.setdefault(name, one)
    return found


def _network(listing: Listing, one: Reader, name: str, interface: Reader, objects: Objects) -> None:
    """Add ``one``, unless the Pod gets it otherwise or not at all."""
    notes = listing.notes
    given = [key for key in _SOURCES if one.has(key)]
    if len(given) > 1:
        notes.fault(one.path, f"must have one of {', '.join(_SOURCES)}", ", ".join(given))
    mac = ranges.read(interface, "macAddress", addresses.mac)
    absent = _state(interface)
    _guest(interface, one)
    if one.has("multus"):
        _multus(listing, one, name, mac, absent, objects)
    elif one.has("resourceClaim"):
        _claim(one, notes)
    else:
        _pod_network(one, interface, mac, absent)
    one.finish(refuse=True)
    interface.finish(refuse=True)


def _multus(listing: Listing, one: Reader, name: str, mac: str | None, absent: bool, objects: Objects) -> None:
    multus = one.child("multus")
    default, reference = multus.boolean("default"), multus.string("networkName")
    namespace, slash, nad = reference.rpartition("/")
    namespace = namespace if slash else listing.pod.namespace
    at = multus.at("networkName")
    multus.finish(refuse=True)
    if not nad or "/" in namespace or (slash and not namespace):
        listing.notes.fault(at, "must be <name> or <namespace>/<name> of a NetworkAttachmentDefinition", reference)
        return
    if absent:
        return
    found = npwg.find(objects, namespace, nad)
    network = (
        ovnk.network_of(found, objects, listing.notes, at)
        if found is not None and ovnk.is_ours(found)
        else base.network_name("kubevirt", at, nad, namespace, listing.notes)
    )
    spec = kni.AttachmentConfigSpec(mac=mac) if mac else None
    listing.add(
        one.path,
        network,
        api_names.DEFAULT_INTERFACE if default else interface_name(name),
        spec,
        origin=f"{namespace}/{nad}",
        gateways=frozenset({4}) if default else frozenset(),
    )


def _pod_network(one: Reader, interface: Reader, mac: str | None, absent: bool) -> None:
    """The cluster's default network, which every list has: as the Pod's eth0."""
    pod = one.child("pod")
    pod.ignore("vmNetworkCIDR", "vmIPv6NetworkCIDR", why=f"the addresses of the guest: {_STAYS}")
    pod.finish(refuse=True)
    if mac:
        interface.notes.warn(interface.at("macAddress"), f"is the guest's: {_STAYS}; the Pod's eth0 keeps its own")
    if absent:
        interface.notes.warn(interface.at("state"), "the Pod keeps eth0, the cluster's default network")


def _claim(one: Reader, notes: Notes) -> None:
    claim = one.child("resourceClaim")
    for key in ("claimName", "requestName", "name"):
        if claim.string(key):
            notes.warn(claim.at(key), "a ResourceClaim: its driver hands out the device, no network attaches it")
    claim.finish(refuse=True)


def _state(interface: Reader) -> bool:
    """Whether the interface is to be unplugged."""
    state, at = interface.string("state"), interface.at("state")
    if state == "absent":
        interface.notes.warn(at, "absent: the Pod does not get this network")
    elif state in {"up", "down"}:
        interface.notes.warn(at, f"{state}: the link that the guest sees {_STAYS}")
    elif state:
        interface.notes.fault(at, "must be absent, up or down", state)
    return state == "absent"


def _guest(interface: Reader, network: Reader) -> None:
    """What KubeVirt does between the Pod's interface and the guest."""
    chosen = [key for key in BINDINGS if interface.has(key)]
    if len(chosen) > 1:
        interface.notes.fault(interface.path, "must have one binding method", ", ".join(chosen))
    if chosen == ["sriov"] and not network.has("multus") and not network.has("resourceClaim"):
        interface.notes.fault(interface.at("sriov"), "needs a network with multus or resourceClaim")
    for key in BINDINGS:
        if interface.has(key):
            interface.notes.warn(interface.at(key), f"how the Pod's interface is joined to the guest {_STAYS}")
    interface.accept(*BINDINGS)
    interface.ignore(*_GUEST, why=f"the device of the guest {_STAYS}")
    interface.string("name")


SYSTEM = System("kubevirt", adds=True, pods=translate, claims=claims)
