"""What a Pod asks of its node: its list of networks and the objects that it names, put together. Pure.

``of_sandbox`` answers with one Request for each attachment, or raises AttachError with what is missing.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from typing import Protocol

import msgspec
from podnet_api import kni, multinetwork, names, networks, pools, reasons
from podnet_api.errors import InvalidError

from podnet_kni_server import kinds, parts
from podnet_kni_server.errors import AttachError
from podnet_kni_server.kinds.kind import InterfaceAddress, Request
from podnet_kni_server.records import Sandbox

_LISTS = 256
"""How many are kept."""


class View(Protocol):
    """The objects that a Pod may name, from watch caches. None: absent."""

    def pod_network(self, name: str) -> multinetwork.PodNetwork | None: ...
    def attachment(self, namespace: str, name: str) -> multinetwork.PodNetworkAttachment | None: ...
    def network_config(self, name: str) -> kni.NetworkConfig | None: ...
    def attachment_config(self, namespace: str, name: str) -> kni.AttachmentConfig | None: ...


def wanted(sandbox: Sandbox) -> tuple[networks.Network, ...]:
    """The Pod's list, or () when it has none.

    Raises AttachError: static Pods pass no admission, so a broken list can come as far as here.
    """
    text = sandbox.annotations.get(names.NETWORKS_ANNOTATION)
    if text is None:
        return ()
    try:
        return _parsed(text, sandbox.host_network)
    except InvalidError as error:
        raise AttachError(f"cannot attach Pod {sandbox.pod}: {error}", reasons.INVALID_NETWORKS) from error


@functools.lru_cache(_LISTS)
def _parsed(text: str, host_network: bool) -> tuple[networks.Network, ...]:
    """The same list is read when its Pod is bound to the node and when its sandbox comes; many Pods have the same."""
    return networks.parse(text, host_network=host_network)


def of_sandbox(sandbox: Sandbox, view: View) -> tuple[Request, ...]:
    """What ``sandbox`` asks of this node: its list without the default network, which is the cluster's.

    Raises AttachError naming the first object that is missing, disabled or not ours.
    """
    listed = wanted(sandbox)
    interfaces = networks.interface_names(listed)
    asked = tuple(
        one(sandbox, view, network, interface)
        for network, interface in zip(listed, interfaces, strict=True)
        if not network.is_default_network
    )
    _refuse_twice(sandbox, asked)
    return parts.ordered(sandbox, asked)


def one(sandbox: Sandbox, view: View, network: networks.Network, interface: str) -> Request:
    """What one entry of the list asks for. Raises AttachError."""
    attachment = _attachment(sandbox, view, network)
    name = attachment.spec.pod_network_name if attachment else network.pod_network_name
    config = _config(sandbox, view, name)
    own = _own_parameters(sandbox, view, attachment, kinds.datapath_of(config))
    pool = _pool(sandbox, config)
    flags = ((4, network.is_default_gw4), (6, network.is_default_gw6))
    return Request(
        network=name,
        attachment=network.pod_network_attachment_name,
        interface=interface,
        default_versions=tuple(version for version, flag in flags if flag),
        config=config,
        own=own,
        pool=pool,
        static=_static(sandbox, own, pool),
    )


def _attachment(sandbox: Sandbox, view: View, network: networks.Network) -> multinetwork.PodNetworkAttachment | None:
    name = network.pod_network_attachment_name
    if not name:
        return None
    found = view.attachment(sandbox.namespace, name)
    if found is None:
        message = f"PodNetworkAttachment {sandbox.namespace}/{name} does not exist"
        raise _refusal(sandbox, message, reasons.ATTACHMENT_NOT_FOUND)
    return found


def _config(sandbox: Sandbox, view: View, name: str) -> kni.NetworkConfig:
    """The NetworkConfig behind PodNetwork ``name``."""
    network = view.pod_network(name)
    if network is None:
        raise _refusal(sandbox, f"PodNetwork {name} does not exist", reasons.NETWORK_NOT_FOUND)
    if not network.spec.enabled:
        raise _refusal(sandbox, f"PodNetwork {name} is disabled", reasons.NETWORK_DISABLED)
    if network.spec.provider != names.PROVIDER:
        message = f"PodNetwork {name} is served by {network.spec.provider}, not by the KNI server"
        raise _refusal(sandbox, message, reasons.NETWORK_NOT_READY)
    config = view.network_config(kni.config_name(network))
    if config is None:
        message = f"NetworkConfig {kni.config_name(network)!r} of PodNetwork {name} does not exist"
        raise _refusal(sandbox, message, reasons.PARAMS_NOT_FOUND)
    if kinds.datapath_of(config) not in kinds.KINDS:
        message = f"datapath {kinds.datapath_of(config)} of NetworkConfig {config.metadata.name} is not supported"
        raise _refusal(sandbox, message, reasons.DATAPATH_UNSUPPORTED)
    return config


def _own_parameters(
    sandbox: Sandbox, view: View, attachment: multinetwork.PodNetworkAttachment | None, datapath: str
) -> kni.AttachmentConfigSpec:
    if attachment is None or not attachment.spec.parameters_refs:
        return kni.AttachmentConfigSpec()
    ref = attachment.spec.parameters_refs[0]
    found = view.attachment_config(sandbox.namespace, ref.name)
    if found is None or (ref.group, ref.kind) != (names.KNI_GROUP, "AttachmentConfig"):
        message = f"{ref.kind} {sandbox.namespace}/{ref.name} of PodNetworkAttachment {attachment.metadata.name}"
        raise _refusal(sandbox, f"{message} does not exist", reasons.PARAMS_NOT_FOUND)
    _refuse_unsupported(sandbox, found, datapath)
    return found.spec


def _refuse_unsupported(sandbox: Sandbox, config: kni.AttachmentConfig, datapath: str) -> None:
    """What the datapath cannot do must fail, never be dropped."""
    given = msgspec.to_builtins(config.spec)
    takes = kinds.KINDS[datapath].takes
    fields = ", ".join(f"spec.{key}" for key in given if key not in takes)
    if fields:
        message = f"{fields} of AttachmentConfig {sandbox.namespace}/{config.metadata.name} is not supported "
        raise _refusal(sandbox, message + f"by datapath {datapath}", reasons.PARAMS_UNSUPPORTED)


def _pool(sandbox: Sandbox, config: kni.NetworkConfig) -> pools.Pool | None:
    try:
        return pools.pool_of(config)
    except ValueError as error:
        message = f"ipam of NetworkConfig {config.metadata.name}: {error}"
        raise _refusal(sandbox, message, reasons.PARAMS_INVALID) from error


def _static(sandbox: Sandbox, own: kni.AttachmentConfigSpec, pool: pools.Pool | None) -> tuple[InterfaceAddress, ...]:
    try:
        return tuple(_static_address(text, pool) for text in own.addresses)
    except ValueError as error:
        raise _refusal(sandbox, f"static address: {error}", reasons.PARAMS_INVALID) from error


def _static_address(text: str, pool: pools.Pool | None) -> InterfaceAddress:
    """An address without a prefix length takes that of its range."""
    if "/" in text:
        return ipaddress.ip_interface(text)
    address = ipaddress.ip_address(text)
    ranges = pool.ranges if pool else ()
    length = next((r.network.prefixlen for r in ranges if address in r.network), address.max_prefixlen)
    return ipaddress.ip_interface(f"{text}/{length}")


def _refuse_twice(sandbox: Sandbox, asked: Sequence[Request]) -> None:
    """A network may be named once, also through attachments (KEP-3698, active validation)."""
    seen = set()
    for request in asked:
        if request.network in seen:
            message = f"PodNetwork {request.network} is named twice; a Pod attaches to a network once"
            raise _refusal(sandbox, message, reasons.DUPLICATE_NETWORK)
        seen.add(request.network)


def _refusal(sandbox: Sandbox, message: str, reason: str) -> AttachError:
    return AttachError(f"cannot attach Pod {sandbox.pod}: {message}", reason)
