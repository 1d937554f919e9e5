"""TenantConfig: what DANM's webhook fills into TenantNetworks when they are created. Pure.

An object read from the cluster has it already. One from a repository of manifests has not: then the TenantConfig
decides, where it leaves no choice; where DANM would choose at random or reserve a number, the network is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.danm import keys

_RANGES = re.compile(r"\d{1,8}(-\d{1,8})?(,\d{1,8}(-\d{1,8})?)*")
_MAX_VNI = 16777214


@dataclass(frozen=True)
class Profile:
    """One of ``hostDevices``. ``vni_type`` and ``vni_range`` are empty for a device without VLANs."""

    name: str
    vni_type: str
    vni_range: str

    @property
    def is_pool(self) -> bool:
        """Whether it is a resource of a device plugin, not an interface."""
        return "/" in self.name


@dataclass(frozen=True)
class Config:
    """A TenantConfig. ``network_ids``: NetworkID by NetworkType in lower case."""

    subject: str
    profiles: tuple[Profile, ...]
    network_ids: dict[str, str]


def find(objects: Objects, group: str) -> Config | None:
    """The TenantConfig: with several, DANM takes whichever the API lists first, which is the first by name."""
    for one in (group, *keys.GROUPS):
        if found := objects.all(one, keys.TENANT_CONFIG):
            return read(found[0], Notes())
    return None


def read(origin: Source, notes: Notes) -> Config:
    """The TenantConfig in ``origin``, with what is wrong with it in ``notes``."""
    top = Reader(origin.body, "", notes)
    devices = [_profile(item) for item in top.children("hostDevices")]
    ids = {}
    for kind, name in sorted(top.mapping("networkIds").items()):
        path = f"networkIds[{kind}]"
        if not kind or not isinstance(name, str) or not name:
            notes.fault(path, "must name a CNI configuration file", name)
        else:
            ids[kind.lower()] = name
    if not devices and not ids and not notes.faults:
        notes.fault("hostDevices", "either hostDevices or networkIds must be there")
    return Config(origin.subject, tuple(devices), ids)


def translate(origin: Source, _: Objects) -> Made:
    """A TenantConfig becomes nothing of its own: TenantNetworks take what they need from it."""
    notes = Notes()
    found = read(origin, notes)
    origin.check_top(notes, "hostDevices", "networkIds")
    base.check(origin, notes)
    used = "is given to TenantNetworks when they are translated; nothing native hands it out"
    for place, profile in enumerate(found.profiles):
        for key in ("name", *(("vniType", "vniRange") if profile.vni_type else ())):
            notes.warn(f"hostDevices[{place}].{key}", used)
    for kind in sorted(origin.body.get("networkIds", {})):
        notes.warn(f"networkIds[{kind}]", used)
    return Made(warnings=tuple(notes.warnings))


def _profile(item: Reader) -> Profile:
    found = Profile(item.string("name"), item.string("vniType"), item.string("vniRange"))
    if not found.name:
        item.notes.fault(item.at("name"), "must not be empty")
    if bool(found.vni_type) != bool(found.vni_range):
        item.notes.fault(item.at("vniRange"), "vniType and vniRange go together", found.vni_range or found.vni_type)
    if found.vni_type not in {"", "vlan", "vxlan"}:
        item.notes.fault(item.at("vniType"), "must be vlan or vxlan", found.vni_type)
    if found.vni_range and not _is_range(found.vni_range):
        item.notes.fault(item.at("vniRange"), f"must be numbers and ranges up to {_MAX_VNI}", found.vni_range)
    item.ignore("alloc", why="it is DANM's own count of what it gave")
    item.finish(refuse=True)
    return found


def _is_range(text: str) -> bool:
    packed = text.replace(" ", "")
    return bool(_RANGES.fullmatch(packed)) and all(int(n) <= _MAX_VNI for n in re.split("[,-]", packed))


@dataclass(frozen=True)
class Details:
    """What a network has of its own or from its TenantConfig."""

    device: str
    pool: str
    network_id: str
    vlan: int
    vxlan: int


def complete(given: Details, kind: str, dynamic: bool, config: Config | None, notes: Notes) -> Details:
    """``given`` with what the TenantConfig says; faults where DANM would have chosen."""
    if config is None:
        return given
    network_id = config.network_ids.get(kind.lower(), given.network_id)
    if not dynamic or given.vlan or given.vxlan:
        return Details(given.device, given.pool, network_id, given.vlan, given.vxlan)
    profile = _chosen(given, config, notes)
    if profile is None:
        return Details(given.device, given.pool, network_id, 0, 0)
    if profile.vni_type:
        message = (
            f"DANM reserves one of {profile.vni_range} of {config.subject} when the object is created: "
            "translate the object as the cluster has it"
        )
        notes.unsupported(f"spec.Options.{profile.vni_type}", message=message)
    device = given.device or ("" if given.pool else profile.name)
    return Details(device, given.pool, network_id, 0, 0)


def _chosen(given: Details, config: Config, notes: Notes) -> Profile | None:
    asked = given.pool or given.device
    if asked:
        found = [p for p in config.profiles if p.name == asked]
        if not found:
            path = "spec.Options.device_pool" if given.pool else "spec.Options.host_device"
            notes.fault(path, f"is not one of the hostDevices of {config.subject}", asked)
        return found[0] if found else None
    plain = [profile for profile in config.profiles if not profile.is_pool]
    if len(plain) == 1:
        return plain[0]
    names = ", ".join(profile.name for profile in plain) or "none"
    message = f"DANM chooses one of the hostDevices of {config.subject} at random ({names}): say which"
    notes.unsupported("spec.Options.host_device", message=message)
    return None
