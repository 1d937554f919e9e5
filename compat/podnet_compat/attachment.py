"""Parameters of one attachment: ips, mac, static addresses and extras -> AttachmentConfig. Pure; called by ``pod``."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from podnet_api import kni, multinetwork
from podnet_api import names as api_names
from podnet_api.meta import ObjectMeta, ParametersRef

from podnet_compat import extras, ipam, names
from podnet_compat.addresses import Address, Interface
from podnet_compat.annotation import Selection
from podnet_compat.nad import Native
from podnet_compat.reader import Notes


@dataclass(frozen=True)
class Pair:
    """An attachment and its parameters, which have the same name and namespace."""

    attachment: multinetwork.PodNetworkAttachment
    config: kni.AttachmentConfig

    @property
    def name(self) -> str:
        """The name of both."""
        return self.attachment.metadata.name


def pair(namespace: str, nad: str, network: str, spec: kni.AttachmentConfigSpec) -> Pair:
    """The objects for attaching to PodNetwork ``network`` with parameters ``spec``."""
    content = msgspec.json.encode([network, spec], order="deterministic").decode()
    meta = ObjectMeta(name=names.attachment(nad, content), namespace=namespace, labels=names.LABELS)
    ref = ParametersRef(group=api_names.KNI_GROUP, kind="AttachmentConfig", name=meta.name, namespace=namespace)
    wanted = multinetwork.PodNetworkAttachmentSpec(pod_network_name=network, parameters_refs=[ref])
    return Pair(
        multinetwork.PodNetworkAttachment(metadata=meta, spec=wanted), kni.AttachmentConfig(metadata=meta, spec=spec)
    )


def parameters(selection: Selection, native: Native, notes: Notes) -> kni.AttachmentConfigSpec | None:
    """What ``selection`` asks for beyond its network; None when nothing."""
    extras.claimed(selection.extras, native.types, selection.path, notes)
    if native.config.spec.cni is not None:
        given, taken = _for_plugins(selection, native, notes), selection.extras
    else:
        given, taken = _for_network(selection, native, notes)
    spec = kni.AttachmentConfigSpec(
        addresses=[str(a) for a in given],
        mac=selection.mac or None,
        port_mappings=list(taken.ports),
        bandwidth=taken.bandwidth,
        cni_args=taken.cni_args,
        device_id=taken.device,
        infiniband_guid=taken.guid or None,
        no_other_default_routes=selection.default_route == (),
    )
    _validate(selection.path, spec, notes)
    return None if spec == kni.AttachmentConfigSpec() else spec


def _for_plugins(selection: Selection, native: Native, notes: Notes) -> tuple[Address | Interface, ...]:
    asked = {
        "ips": bool(selection.ips),
        "mac": bool(selection.mac),
        "portMappings": bool(selection.extras.ports),
        "bandwidth": selection.extras.bandwidth is not None,
        "infiniband-guid": bool(selection.extras.guid),
    }
    extras.by_plugins(asked, native.types, native.capabilities, selection.path, notes)
    return selection.ips


def _for_network(
    selection: Selection, native: Native, notes: Notes
) -> tuple[tuple[Address | Interface, ...], extras.Extras]:
    for key, wanted in (("ips", selection.ips), ("mac", selection.mac)):
        if wanted and key not in native.capabilities:
            message = "is given to the network although the NAD does not declare the capability"
            notes.warn(f"{selection.path}.{key}", message)
    if selection.mac and native.config.spec.ipvlan is not None:
        message = "an ipvlan interface has the MAC address of the node's, and no other"
        notes.unsupported(f"{selection.path}.mac", selection.mac, message)
    taken = extras.natively(selection.extras, native.config.spec, selection.path, notes)
    return _addresses(selection, native, notes), taken


def _validate(path: str, spec: kni.AttachmentConfigSpec, notes: Notes) -> None:
    """The bounds of the native type, which the API server would refuse later."""
    try:
        msgspec.convert(msgspec.to_builtins(spec), kni.AttachmentConfigSpec)
    except msgspec.ValidationError as error:
        notes.unsupported(path, message=f"cannot be said by an AttachmentConfig: {error}")


def _addresses(selection: Selection, native: Native, notes: Notes) -> tuple[Address | Interface, ...]:
    """The addresses of the interface, when they are fixed; faults name the request that cannot be met."""
    path, addressing = f"{selection.path}.ips", native.addressing
    if addressing.type == ipam.STATIC:
        given = _static(selection, native, notes)
    else:
        given = selection.ips
        for place, wanted in enumerate(given):
            _check_given(f"{path}[{place}]", wanted, native, notes)
    families = [a.version for a in given]
    if len(set(families)) < len(families):
        notes.unsupported(path, message="a Pod gets one address per family: several are not covered yet")
    pool = native.pool
    if given and pool is not None and (missing := set(pool.versions) - set(families)):
        message = f"leaves out IPv{missing.pop()}, of which the network gives an address too: ask for both or none"
        notes.unsupported(path, message=message + "; compat does not cover a part yet")
    return given


def _static(selection: Selection, native: Native, notes: Notes) -> tuple[Address | Interface, ...]:
    """The NAD's own addresses; with the capability ``ips`` the Pod's replace them, else they are added."""
    for place, wanted in enumerate(selection.ips):
        if not isinstance(wanted, Interface):
            notes.fault(f"{selection.path}.ips[{place}]", "IPAM static wants a prefix length", str(wanted))
    if selection.ips and "ips" in native.capabilities:
        return selection.ips
    return (*native.addressing.static, *selection.ips)


def _check_given(path: str, wanted: Address | Interface, native: Native, notes: Notes) -> None:
    pool = native.pool
    if pool is None:
        notes.unsupported(path, str(wanted), "the NAD has no IPAM that could give an address")
        return
    address = wanted.ip if isinstance(wanted, Interface) else wanted
    found = pool.range_of(address)
    if found is None:
        given = ", ".join(str(r.network) for r in pool.ranges)
        notes.fault(path, f"is not an address that the NAD gives, which are of {given}", str(wanted))
    elif isinstance(wanted, Interface) and wanted.network.prefixlen != found.network.prefixlen:
        notes.fault(path, f"must have the prefix length of the range, {found.network.prefixlen}", str(wanted))
