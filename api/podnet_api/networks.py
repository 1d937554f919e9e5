"""The list of networks of a Pod: KEP-3698's ``spec.networks``, carried as JSON in an annotation.

Pure. ``parse`` reads the annotation and returns every fault with its field path (KEP-3698, static
validation); admission, the KNI server and the extender call it. What needs other objects (does the
network exist, is it Ready) is active validation and stands with the extender.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import field

from podnet_api import names
from podnet_api.errors import InvalidError
from podnet_api.faults import Fault, FaultType
from podnet_api.meta import Model

PATH = f"metadata.annotations[{names.NETWORKS_ANNOTATION}]"
MAX_NETWORKS = 32
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class Network(Model, frozen=True, kw_only=True):
    """One entry of the list (KEP-3698, ``Network``)."""

    pod_network_name: str = ""
    """The PodNetwork to attach to; exactly one of this and podNetworkAttachmentName."""
    pod_network_attachment_name: str = ""
    """The PodNetworkAttachment, of the Pod's namespace, to attach by."""
    interface_name: str = ""
    """Name of the interface in the Pod; empty: eth0 for the default network, else net<place in the list>."""
    is_default_gw4: bool = field(name="isDefaultGW4", default=False)
    """Whether the IPv4 default route leads over this network."""
    is_default_gw6: bool = field(name="isDefaultGW6", default=False)
    """Whether the IPv6 default route leads over this network."""

    @property
    def is_default_network(self) -> bool:
        """Whether this is the cluster's default network."""
        return self.pod_network_name == names.DEFAULT_NETWORK


_KEYS: dict[str, type] = {
    "podNetworkName": str,
    "podNetworkAttachmentName": str,
    "interfaceName": str,
    "isDefaultGW4": bool,
    "isDefaultGW6": bool,
}


def parse(text: str, *, host_network: bool = False) -> tuple[Network, ...]:
    """The list in ``text``.

    Raises InvalidError with every fault when the text is not such a list.
    """
    networks, faults = check(text, host_network=host_network)
    if faults:
        raise InvalidError(f"annotation {names.NETWORKS_ANNOTATION}", faults)
    return networks


def check(text: str, *, host_network: bool = False) -> tuple[tuple[Network, ...], list[Fault]]:
    """The list in ``text`` as far as it can be read, and every fault found."""
    try:
        items = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        return (), [Fault(PATH, FaultType.INVALID, f"must be a JSON list of networks: {error}", text)]
    if not isinstance(items, list):
        message = 'must be a JSON list of networks, e.g. [{"podNetworkName":"blue"}]'
        return (), [Fault(PATH, FaultType.INVALID, message, items)]
    faults = [fault for i, item in enumerate(items) for fault in _entry_faults(f"{PATH}[{i}]", item)]
    if len(items) > MAX_NETWORKS:
        faults.append(Fault(PATH, FaultType.INVALID, f"must have at most {MAX_NETWORKS} entries", len(items)))
    if items and host_network:
        message = "a Pod with hostNetwork has the node's own interfaces and cannot have networks"
        faults.append(Fault(PATH, FaultType.FORBIDDEN, message))
    if faults:
        return (), faults
    networks = tuple(msgspec.convert(item, Network) for item in items)
    return networks, _list_faults(networks)


def encode(networks: Iterable[Network]) -> str:
    """The annotation's text for ``networks``."""
    return msgspec.json.encode(list(networks)).decode()


def interface_names(networks: Iterable[Network]) -> tuple[str, ...]:
    """The interface name of each entry: its own, or eth0 for the default network, or net<place>."""
    return tuple(_interface_name(i, network) for i, network in enumerate(networks))


def replacing(networks: Iterable[Network]) -> Network | None:
    """The entry that takes the place of the network default: the one with its interface, eth0."""
    found = (n for n in networks if n.interface_name == names.DEFAULT_INTERFACE and not n.is_default_network)
    return next(found, None)


def _interface_name(index: int, network: Network) -> str:
    if network.interface_name:
        return network.interface_name
    return names.DEFAULT_INTERFACE if network.is_default_network else f"net{index}"


def _entry_faults(path: str, item: Any) -> list[Fault]:
    if not isinstance(item, dict):
        return [Fault(path, FaultType.INVALID, "must be an object", item)]
    faults = [_unknown(path, key) for key in item if key not in _KEYS]
    wrong = [key for key, kind in _KEYS.items() if key in item and not isinstance(item[key], kind)]
    faults += [
        Fault(f"{path}.{key}", FaultType.INVALID, f"must be a {_json_name(_KEYS[key])}", item[key]) for key in wrong
    ]
    if wrong:
        return faults
    return faults + _reference_faults(path, item) + _interface_faults(path, item)


def _unknown(path: str, key: str) -> Fault:
    return Fault(f"{path}.{key}", FaultType.INVALID, f"unknown field; known are {', '.join(_KEYS)}")


def _json_name(kind: type) -> str:
    return "string" if kind is str else "boolean"


def _reference_faults(path: str, item: dict[str, Any]) -> list[Fault]:
    references = [key for key in ("podNetworkName", "podNetworkAttachmentName") if item.get(key)]
    if len(references) != 1:
        message = "exactly one of podNetworkName and podNetworkAttachmentName must be set"
        return [Fault(path, FaultType.REQUIRED if not references else FaultType.INVALID, message)]
    name = item[references[0]]
    if len(name) > 253 or not _OBJECT_NAME.fullmatch(name):
        message = "must be a lower-case DNS name (RFC 1123)"
        return [Fault(f"{path}.{references[0]}", FaultType.INVALID, message, name)]
    return []


def _interface_faults(path: str, item: dict[str, Any]) -> list[Fault]:
    name = item.get("interfaceName", "")
    problem = names.interface_name_problem(name) if name else ""
    return [Fault(f"{path}.interfaceName", FaultType.INVALID, problem, name)] if problem else []


def _list_faults(networks: tuple[Network, ...]) -> list[Fault]:
    return [
        *_duplicates(networks),
        *_interface_duplicates(networks),
        *_two_gateways(networks, "isDefaultGW4", [n.is_default_gw4 for n in networks]),
        *_two_gateways(networks, "isDefaultGW6", [n.is_default_gw6 for n in networks]),
        *_misplaced_eth0(networks),
    ]


def _duplicates(networks: tuple[Network, ...]) -> list[Fault]:
    faults, seen = [], set()
    for i, n in enumerate(networks):
        key = "podNetworkName" if n.pod_network_name else "podNetworkAttachmentName"
        value = n.pod_network_name or n.pod_network_attachment_name
        if (key, value) in seen:
            message = "a Pod attaches to each network at most once"
            faults.append(Fault(f"{PATH}[{i}].{key}", FaultType.DUPLICATE, message, value))
        seen.add((key, value))
    return faults


def _interface_duplicates(networks: tuple[Network, ...]) -> list[Fault]:
    faults, seen = [], set[str]()
    for i, name in enumerate(interface_names(networks)):
        if name in seen:
            message = "" if networks[i].interface_name else "is this entry's name by its place; set another"
            faults.append(Fault(f"{PATH}[{i}].interfaceName", FaultType.DUPLICATE, message, name))
        seen.add(name)
    return faults


def _two_gateways(networks: tuple[Network, ...], key: str, flags: list[bool]) -> list[Fault]:
    message = "at most one network may carry the default route of a family"
    places = [i for i, flag in enumerate(flags) if flag]
    return [Fault(f"{PATH}[{i}].{key}", FaultType.DUPLICATE, message, True) for i in places[1:]]


def _misplaced_eth0(networks: tuple[Network, ...]) -> list[Fault]:
    """The network default has eth0. Another may have it in its place, where a node's CNI shim makes that so."""
    faults = []
    has_default = any(network.is_default_network for network in networks)
    for i, (network, name) in enumerate(zip(networks, interface_names(networks), strict=True)):
        takes_eth0 = name == names.DEFAULT_INTERFACE
        if network.is_default_network != takes_eth0 and (has_default or not takes_eth0):
            message = "eth0 is the interface of the network default, and of no other beside it"
            faults.append(Fault(f"{PATH}[{i}].interfaceName", FaultType.FORBIDDEN, message, name))
    return faults
