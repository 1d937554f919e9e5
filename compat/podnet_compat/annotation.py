"""The annotation ``k8s.v1.cni.cncf.io/networks``: its text -> what the Pod selects. Pure.

Two forms, told apart as Multus does: any of ``[ { "`` makes it JSON, else it is a comma list of
``[<namespace>/]<name>[@<interface>]``. ``pod`` calls ``parse``; every fault is found at once and has the
path ``metadata.annotations[k8s.v1.cni.cncf.io/networks][<place>]...``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from podnet_api import names as api_names
from podnet_api.errors import InvalidError
from podnet_api.faults import Fault, FaultType

from podnet_compat import addresses, extras, jsontext, names
from podnet_compat.addresses import Address, Interface
from podnet_compat.reader import Notes, Reader, readers

T = TypeVar("T")
PATH = f"metadata.annotations[{names.NETWORKS}]"
_KEPT_LENGTH = 4096

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NOT_COVERED = ("infiniband-guid", "ipam-claim-reference")
_ADVICE = {
    "gateway": ": a gateway belongs into the NAD, a default route is asked for by 'default-route'",
    "ip": ", did you mean 'ips'?",
    "iprequest": ", did you mean 'ips'?",
    "macrequest": ", did you mean 'mac'?",
    "cniargs": ", did you mean 'cni-args'?",
    "ifname": ", did you mean 'interface'?",
    "vlan": ": the VLAN belongs into the NAD",
    "config": ": the configuration belongs into the NAD",
}


@dataclass(frozen=True)
class Selection:
    """One entry of the list. ``path`` is its place, for messages; ``default_route`` is None without the key."""

    path: str
    namespace: str
    name: str
    interface: str = ""
    ips: tuple[Address | Interface, ...] = ()
    mac: str = ""
    default_route: tuple[Address, ...] | None = None
    extras: extras.Extras = field(default_factory=extras.Extras)


def parse(text: str, namespace: str, notes: Notes, path: str = PATH) -> tuple[Selection, ...]:
    """What ``text`` selects for a Pod of ``namespace``; what is wrong with it goes into ``notes``.

    ``path``: the annotation, where it is another of the same grammar.
    """
    text = jsontext.clean(text)
    read = _kept if len(text) <= _KEPT_LENGTH else _kept.__wrapped__
    found, faults, warnings = read(text, namespace, path)
    notes.faults += faults
    notes.warnings += warnings
    return found


@functools.lru_cache(maxsize=4096)
def _kept(text: str, namespace: str, path: str) -> tuple[tuple[Selection, ...], tuple[Fault, ...], tuple[str, ...]]:
    """What ``parse`` says of ``text``. Kept, because the Pods of one owner all have the same."""
    notes = Notes()
    found = _parsed(text, namespace, notes, path)
    return found, tuple(notes.faults), tuple(notes.warnings)


def _parsed(text: str, namespace: str, notes: Notes, path: str) -> tuple[Selection, ...]:
    if not text:
        return ()
    if any(mark in text for mark in '[{"'):
        return _json(text, namespace, notes, path)
    items = [_short(f"{path}[{i}]", item, namespace, notes) for i, item in enumerate(_split(text, notes, path))]
    return tuple(item for item in items if item is not None)


def named(text: str, namespace: str, path: str) -> tuple[Selection, ...]:
    """A list of names that an administrator gave, ``[<namespace>/]<name>`` with commas between.

    Raises InvalidError with every fault.
    """
    notes = Notes()
    found = parse(text, namespace, notes, path)
    if notes.faults:
        raise InvalidError(path, notes.faults)
    return found


def _split(text: str, notes: Notes, path: str) -> list[str]:
    items = text.split(",")
    if len(items) > 1 and not items[-1].strip():
        notes.fault(path, "ends in a comma: remove it, or name a network behind it", text)
        items.pop()
    return items


def _short(path: str, item: str, namespace: str, notes: Notes) -> Selection | None:
    """One ``[<namespace>/]<name>[@<interface>]``."""
    parts = item.strip().split("/")
    if len(parts) > 2:
        notes.fault(path, "has more than one '/': want [<namespace>/]<name>[@<interface>]", item.strip())
        return None
    name, *interface = parts[-1].split("@")
    if len(interface) > 1:
        notes.fault(path, "has more than one '@': want [<namespace>/]<name>[@<interface>]", item.strip())
        return None
    written = parts[0].strip() if len(parts) == 2 else ""
    return _selection(
        Selection(path, written or namespace, name.strip(), "".join(interface).strip()),
        _LABEL,
        notes,
    )


def _json(text: str, namespace: str, notes: Notes, path: str) -> tuple[Selection, ...]:
    try:
        items = jsontext.load(text)
    except jsontext.BrokenJsonError as error:
        notes.fault(path, str(error))
        return ()
    if not isinstance(items, list):
        hint = "put the object in [ ]" if isinstance(items, dict) else "remove the quotes around the list"
        notes.fault(path, f"must be a JSON list of objects: {hint}", items)
        return ()
    found = [_element(reader, namespace, notes) for reader in readers(items, path, notes)]
    return tuple(item for item in found if item is not None)


def _element(reader: Reader, namespace: str, notes: Notes) -> Selection | None:
    """One object of the JSON form."""
    name = reader.string("name")
    selection = Selection(
        path=reader.path,
        namespace=reader.string("namespace") or namespace,
        name=name,
        interface=_interface(reader),
        ips=_each(reader, "ips", addresses.address_or_interface),
        mac=_mac(reader),
        default_route=_each(reader, "default-route", addresses.address) if reader.has("default-route") else None,
        extras=extras.read(reader),
    )
    reader.accept("default-route")
    if selection.ips and selection.extras.claim:
        message = "excludes 'ips': an address comes from the claim or from the Pod (multi-net-spec 1.3, 4.1.2.1)"
        reader.notes.fault(reader.at("ipam-claim-reference"), message, selection.extras.claim, FaultType.FORBIDDEN)
    reader.finish(_ADVICE, refuse=False)
    return _selection(selection, _SUBDOMAIN, notes)


def _interface(reader: Reader) -> str:
    legacy = reader.string("interfaceRequest")
    if legacy:
        reader.notes.warn(reader.at("interfaceRequest"), "is the old name of 'interface', which wins")
    return reader.string("interface") or legacy


def _mac(reader: Reader) -> str:
    text = reader.string("mac")
    try:
        return addresses.mac(text) if text else ""
    except ValueError as error:
        reader.notes.fault(reader.at("mac"), str(error), text)
        return ""


def _each(reader: Reader, key: str, read: Callable[[str], T]) -> tuple[T, ...]:
    found: list[T] = []
    for i, text in enumerate(reader.strings(key)):
        try:
            found.append(read(text))
        except ValueError as error:
            reader.notes.fault(f"{reader.at(key)}[{i}]", str(error), text)
    return tuple(found)


def _selection(selection: Selection, pattern: re.Pattern[str], notes: Notes) -> Selection | None:
    """``selection`` itself, unless one of its names cannot be one."""
    named = _named(selection, pattern, notes)
    problem = api_names.interface_name_problem(selection.interface) if selection.interface else ""
    if problem:
        notes.fault(f"{selection.path}.interface", problem, selection.interface)
    return selection if named and not problem else None


def _named(selection: Selection, pattern: re.Pattern[str], notes: Notes) -> bool:
    at = f"{selection.path}.name"
    if notes.faulty(at):
        return False
    if not selection.name:
        notes.fault(at, "an entry must name a NetworkAttachmentDefinition", type_=FaultType.REQUIRED)
        return False
    if "/" in selection.name:
        notes.fault(at, "must not contain '/': put the part before it into 'namespace'", selection.name)
        return False
    if len(selection.name) > 253 or not pattern.fullmatch(selection.name):
        hint = ", and a comma between two networks" if any(c.isspace() for c in selection.name) else ""
        dots = "; names with dots need the JSON form" if _SUBDOMAIN.fullmatch(selection.name) else ""
        notes.fault(at, f"must be a lower-case DNS name (RFC 1123){hint}{dots}", selection.name)
        return False
    if len(selection.namespace) > 63 or not _LABEL.fullmatch(selection.namespace):
        notes.fault(f"{selection.path}.namespace", "must be the name of a namespace (RFC 1123)", selection.namespace)
        return False
    return True
