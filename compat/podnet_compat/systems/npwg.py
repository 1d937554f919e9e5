"""What systems on top of the NPWG annotation and NetworkAttachmentDefinitions have in common. Pure.

Some read both as Multus does, and Multus, or we, attach by their plugin: ``add`` makes such an entry. Others take
only parts of the annotation: they go through ``selections`` by themselves and say by ``drop`` what is lost.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from podnet_api import core, kni
from podnet_api.errors import InvalidError
from podnet_api.faults import FaultType
from podnet_api.meta import ObjectMeta

from podnet_compat import annotation, attachment, jsontext, legacy, names, parts, routes
from podnet_compat import nad as nads
from podnet_compat import pod as pods
from podnet_compat.annotation import Selection
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base
from podnet_compat.systems.base import Listing, Objects, Source

PATH = annotation.PATH
CONFIG = "spec.config"


def find(objects: Objects, namespace: str, name: str) -> Source | None:
    """A NetworkAttachmentDefinition."""
    return objects.get(legacy.GROUP, legacy.KIND, name, namespace)


def text(nad: Source) -> str:
    """``spec.config`` of ``nad``, "" where there is none."""
    spec = nad.body.get("spec")
    found = spec.get("config") if isinstance(spec, Mapping) else None
    return found if isinstance(found, str) else ""


def config(nad: Source) -> dict[str, Any]:
    """``spec.config`` of ``nad`` as an object, not to be changed, the first plugin of a list; {} where it is none."""
    return _config(text(nad) or "{}")


@functools.lru_cache(maxsize=4096)
def _config(written: str) -> dict[str, Any]:
    """Whose a NAD is, is asked for every system, and for each other NAD of its network."""
    try:
        found = jsontext.load(written)
    except jsontext.BrokenJsonError:
        return {}
    plugins = found.get("plugins") if isinstance(found, dict) else None
    first = plugins[0] if isinstance(plugins, list) and plugins else found
    return {**found, **first} if isinstance(found, dict) and isinstance(first, dict) else {}


def plugin(nad: Source) -> str:
    """The type of the plugin that ``nad`` names first; "" where none can be read."""
    kind = config(nad).get("type")
    return kind if isinstance(kind, str) else ""


def reader(nad: Source, notes: Notes) -> Reader:
    """A reader of ``spec.config``; faults quote line and column."""
    try:
        found = jsontext.load(text(nad) or "{}")
    except jsontext.BrokenJsonError as error:
        notes.fault(CONFIG, str(error))
        found = {}
    if not isinstance(found, dict):
        notes.fault(CONFIG, "must be a JSON object", found)
    return Reader(found if isinstance(found, dict) else {}, CONFIG, notes)


def selections(pod: Source, notes: Notes) -> tuple[Selection, ...]:
    """What the NPWG annotation of ``pod`` selects."""
    return annotation.parse(pod.annotations.get(names.NETWORKS, ""), pod.namespace, notes)


def selected(pod: Source, objects: Objects) -> list[Source]:
    """The NADs that ``pod`` selects and that exist, whatever else is wrong with its annotations."""
    default = annotation.parse(pod.annotations.get(names.DEFAULT_NETWORK, ""), names.DEFAULT_NAMESPACE, Notes())
    found = [find(objects, one.namespace, one.name) for one in (*default, *selections(pod, Notes()))]
    return [nad for nad in found if nad is not None]


def claims(test: Callable[[Source], bool]) -> Callable[[Source, Objects], bool]:
    """Whether a Pod selects a NAD for which ``test`` holds."""
    return lambda pod, objects: any(test(nad) for nad in selected(pod, objects))


def must_find(objects: Objects, one: Selection, notes: Notes) -> Source | None:
    """The NAD of ``one``; None with a fault."""
    found = find(objects, one.namespace, one.name)
    if found is None:
        message = f"cannot find a network-attachment-definition ({one.name}) in namespace ({one.namespace})"
        notes.fault(f"{one.path}.name", message, type_=FaultType.NOT_FOUND)
    return found


def drop(one: Selection, why: str, notes: Notes, *, keep: tuple[str, ...] = ()) -> None:
    """Say which keys of ``one`` are lost, but for those in ``keep``."""
    asked = {
        "interface": one.interface,
        "ips": one.ips,
        "mac": one.mac,
        "default-route": one.default_route is not None,
        "portMappings": one.extras.ports,
        "bandwidth": one.extras.bandwidth,
        "cni-args": one.extras.cni_args,
        "deviceID": one.extras.device,
        "infiniband-guid": one.extras.guid,
        "ipam-claim-reference": one.extras.claim,
    }
    for key, value in asked.items():
        if value and key not in keep:
            notes.warn(f"{one.path}.{key}", why)


def read(pod: Source) -> pods.Wanted:
    """What ``pod`` selects, as Multus reads it. Raises InvalidError."""
    meta = ObjectMeta(name=pod.name, namespace=pod.namespace, annotations=dict(pod.annotations))
    return pods.read(core.Pod(metadata=meta), pod.namespace)


def add(
    listing: Listing,
    one: Selection,
    interface: str,
    nad: Source,
    name: str,
    own: kni.AttachmentConfigSpec | None = None,
    gateways: frozenset[int] = frozenset(),
) -> list[parts.Part]:
    """An entry as Multus reads it: PodNetwork ``name`` for ``nad``, which its plugins attach. ``own`` and ``gateways``:
    what the system itself asks for beyond the annotation. Returns what must come before it, for ``parts.check``."""
    notes = listing.notes
    try:
        found = nads.translate(legacy.nad(dict(nad.body), nad.namespace))
    except InvalidError as error:
        notes.unsupported(f"{one.path}.name", message=str(error))
        return []
    asked = attachment.parameters(one, found, notes) or kni.AttachmentConfigSpec()
    led = {version for version, on in zip((4, 6), routes.defaults(one, found, notes), strict=True) if on}
    spec = _merged(asked, own, one.path, notes) if own else asked
    origin = f"{nad.namespace}/{nad.name}"
    listing.add(one.path, name, interface, spec, origin=origin, gateways=gateways | led)
    return [parts.of(one.path, interface, found.config.spec)]


def name(nad: Source, notes: Notes, path: str = "metadata.name") -> str:
    """The PodNetwork of a NAD as of any other namespaced source."""
    return base.network_name("nad", path, nad.name, nad.namespace, notes)


def _merged(
    asked: kni.AttachmentConfigSpec, own: kni.AttachmentConfigSpec, path: str, notes: Notes
) -> kni.AttachmentConfigSpec:
    for key, mine in (("ips", asked.addresses), ("mac", asked.mac)):
        theirs = own.addresses if key == "ips" else own.mac
        if mine and theirs and mine != theirs:
            notes.fault(f"{path}.{key}", f"contradicts the Pod's other annotation, which says {theirs}", mine)
    taken = {"addresses": asked.addresses or own.addresses, "mac": asked.mac or own.mac}
    return msgspec.structs.replace(asked, **taken)
