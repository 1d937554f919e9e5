"""What a Pod asks of a node: its list of networks, resolved to NetworkConfigs, attachments and addresses.

Pure. ``resolve`` is called for each filter request and for each Pod that the watch shows. It collects
every fault (missing object, network not ready, ...) and still the demand as far as it can be known: a
running Pod keeps its addresses when its network is disabled under it.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from podnet_api import faults, kni, multinetwork, names, networks, pools
from podnet_api.meta import ParametersRef, condition, is_true

from podnet_scheduler_extender import refusals
from podnet_scheduler_extender.refusals import Refusal

Ref = tuple[str, str, str]
"""An object by (kind, namespace, name)."""


@dataclass(frozen=True)
class Config:
    """What matters of a NetworkConfig: its pool, or None; ``problem`` says why the pool cannot be read."""

    pool: pools.Pool | None
    problem: str = ""


class Objects(Protocol):
    """The objects that a Pod may name, from watch caches. None: absent."""

    def pod_network(self, name: str) -> multinetwork.PodNetwork | None: ...
    def attachment(self, namespace: str, name: str) -> multinetwork.PodNetworkAttachment | None: ...
    def attachment_config(self, namespace: str, name: str) -> kni.AttachmentConfig | None: ...
    def config(self, name: str) -> Config | None: ...
    def kept(self, config: str, member: kni.Member) -> Collection[int]:
        """The families of which ``member`` has an address that is kept for it."""


@dataclass(frozen=True)
class Need:
    """What a Pod needs of one NetworkConfig, which it reaches by PodNetwork ``network`` (and maybe others).

    ``leased`` is (family, count) of addresses from the pool, ``static`` are addresses that it asks for by
    number; ``uses`` is (family, count) of both, but for what no other Pod would be given: static addresses that
    the ranges leave out, and such as are kept for this Pod.
    """

    config: str
    network: str
    attachments: int
    leased: tuple[tuple[int, int], ...]
    static: tuple[pools.Address, ...]
    uses: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Demand:
    """``networks`` are the PodNetworks that the node must have, ``needs`` what they take, by NetworkConfig."""

    networks: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class Fault:
    """Why no node can take the Pod, with names."""

    refusal: Refusal
    message: str


@dataclass(frozen=True)
class Resolution:
    """``refs`` are the objects that were looked up: when one of them changes, so may this. ``sticky``: another
    Pod with the same list may ask for something else, for addresses are kept for Pods by name."""

    demand: Demand
    faults: tuple[Fault, ...]
    refs: frozenset[Ref]
    sticky: bool = False


@dataclass(frozen=True)
class Owned:
    """A Pod of a StatefulSet, by name; it comes back under it."""

    stateful_set: str
    pod: str


def resolve(
    namespace: str, text: str, objects: Objects, *, host_network: bool = False, owned: Owned | None = None
) -> Resolution:
    """What the list ``text`` of a Pod in ``namespace`` asks for; ``owned``, where it matters, which Pod."""
    listed, problems = networks.check(text, host_network=host_network)
    work = _Work(namespace, objects, owned)
    work.faults += [Fault(refusals.INVALID_LIST, str(fault)) for fault in problems if not _named_twice(fault)]
    for entry, interface in zip(listed, networks.interface_names(listed), strict=True):
        work.entry(entry, interface)
    return work.result()


def _named_twice(fault: faults.Fault) -> bool:
    """A reference that stands twice: ``_Work`` says so too, and in the same words as for two attachments."""
    reference = fault.path.endswith((".podNetworkName", ".podNetworkAttachmentName"))
    return reference and fault.type is faults.FaultType.DUPLICATE


class _Work:
    """Collects demand, faults and references, entry by entry."""

    def __init__(self, namespace: str, objects: Objects, owned: Owned | None) -> None:
        self.faults: list[Fault] = []
        self._owned = owned
        self._interface = ""
        self._sticky = False
        self._namespace = namespace
        self._objects = objects
        self._refs: set[Ref] = set()
        self._networks: dict[str, str] = {}
        self._static: dict[str, list[pools.Address]] = {}
        self._leased: Counter[tuple[str, int]] = Counter()
        self._drawn: Counter[tuple[str, int]] = Counter()

    def result(self) -> Resolution:
        configs = Counter(config for config in self._networks.values() if config)
        needs = tuple(self._need(config, count) for config, count in configs.items())
        return Resolution(Demand(tuple(self._networks), needs), tuple(self.faults), frozenset(self._refs), self._sticky)

    def entry(self, entry: networks.Network, interface: str) -> None:
        self._interface = interface
        if entry.pod_network_attachment_name:
            self._by_attachment(entry.pod_network_attachment_name)
        elif entry.is_default_network:
            self._default()
        else:
            self._network(entry.pod_network_name, kni.AttachmentConfigSpec())

    def _default(self) -> None:
        """The cluster's own network is everywhere and costs nothing; only an administrator can switch it off."""
        self._refs.add(("PodNetwork", "", names.DEFAULT_NETWORK))
        found = self._objects.pod_network(names.DEFAULT_NETWORK)
        if found is not None and not found.spec.enabled:
            self._fault(refusals.DISABLED, f"PodNetwork {names.DEFAULT_NETWORK} is disabled")

    def _by_attachment(self, name: str) -> None:
        self._refs.add(("PodNetworkAttachment", self._namespace, name))
        found = self._objects.attachment(self._namespace, name)
        if found is None:
            message = f"PodNetworkAttachment {self._namespace}/{name} does not exist"
            self._fault(refusals.NO_ATTACHMENT, message)
            return
        ready = condition(found.status.conditions, multinetwork.READY)
        if ready is not None and ready.status == "False":
            message = f"PodNetworkAttachment {self._namespace}/{name} is not ready: {ready.message or ready.reason}"
            self._fault(refusals.ATTACHMENT_NOT_READY, message)
        self._network(found.spec.pod_network_name, self._parameters(found))

    def _parameters(self, attachment: multinetwork.PodNetworkAttachment) -> kni.AttachmentConfigSpec:
        for ref in attachment.spec.parameters_refs[:1]:
            self._refs.add(("AttachmentConfig", self._namespace, ref.name))
            found = self._objects.attachment_config(self._namespace, ref.name)
            if found is not None and _is(ref, "AttachmentConfig"):
                return found.spec
            name = f"{ref.kind} {self._namespace}/{ref.name}"
            message = f"{name} of PodNetworkAttachment {attachment.metadata.name} does not exist"
            self._fault(refusals.NO_PARAMETERS, message)
        return kni.AttachmentConfigSpec()

    def _network(self, name: str, own: kni.AttachmentConfigSpec) -> None:
        if name in self._networks:
            message = f"PodNetwork {name} is named twice; a Pod attaches to a network once"
            self._fault(refusals.NAMED_TWICE, message)
            return
        self._refs.add(("PodNetwork", "", name))
        self._networks[name] = ""
        found = self._objects.pod_network(name)
        if found is None:
            self._fault(refusals.NO_NETWORK, f"PodNetwork {name} does not exist")
            return
        self.faults += _not_ready(found)
        self._config(found, own)

    def _config(self, network: multinetwork.PodNetwork, own: kni.AttachmentConfigSpec) -> None:
        name = kni.config_name(network)
        if not name:
            return  # ParamsReady of the PodNetwork says what is wrong, and Ready follows it
        self._networks[network.metadata.name] = name
        self._refs.add(("NetworkConfig", "", name))
        found = self._objects.config(name)
        if found is None:
            message = f"NetworkConfig {name} of PodNetwork {network.metadata.name} does not exist"
            self._fault(refusals.NO_PARAMETERS, message)
        elif found.problem:
            self._fault(refusals.BAD_PARAMETERS, f"NetworkConfig {name}: {found.problem}")
        elif found.pool is not None:
            self._addresses(found.pool, own)

    def _addresses(self, pool: pools.Pool, own: kni.AttachmentConfigSpec) -> None:
        """A static address replaces the one that would be leased of its family, as the KNI server has it."""
        fixed: set[int] = set()
        for text in own.addresses:
            try:
                address = ipaddress.ip_interface(text).ip
            except ValueError as error:
                self._fault(refusals.BAD_PARAMETERS, f"static address {text!r}: {error}")
                continue
            fixed.add(address.version)
            self._static.setdefault(pool.config, []).append(address)
            if pool.range_of(address) is not None:
                self._drawn[pool.config, address.version] += 1
            elif pool.claim_of(address) is None:
                message = f"static address {address} is not one that NetworkConfig {pool.config} gives"
                self._fault(refusals.BAD_PARAMETERS, message)
        fixed |= self._kept(pool)
        self._leased.update((pool.config, version) for version in pool.versions if version not in fixed)

    def _kept(self, pool: pools.Pool) -> set[int]:
        """Families of which the Pod has an address already, on whichever node it runs."""
        self._sticky = self._sticky or pool.sticky
        if not pool.sticky or self._owned is None:
            return set()
        self._refs.add(("Pod", self._namespace, self._owned.pod))
        member = kni.Member(
            namespace=self._namespace,
            stateful_set=self._owned.stateful_set,
            pod=self._owned.pod,
            interface=self._interface,
        )
        return set(self._objects.kept(pool.config, member))

    def _need(self, config: str, attachments: int) -> Need:
        leased = {version: count for (name, version), count in self._leased.items() if name == config}
        static = tuple(self._static.get(config, ()))
        uses = Counter(leased)
        uses.update({version: count for (name, version), count in self._drawn.items() if name == config})
        network = next(network for network, name in self._networks.items() if name == config)
        return Need(config, network, attachments, tuple(sorted(leased.items())), static, tuple(sorted(uses.items())))

    def _fault(self, refusal: Refusal, message: str) -> None:
        self.faults.append(Fault(refusal, message))


def _not_ready(network: multinetwork.PodNetwork) -> Iterator[Fault]:
    """The first thing that keeps Pods from attaching to ``network`` anywhere."""
    name = network.metadata.name
    if not network.spec.enabled:
        yield Fault(refusals.DISABLED, f"PodNetwork {name} is disabled")
    elif network.spec.provider != names.PROVIDER:
        message = f"PodNetwork {name} is served by {network.spec.provider}, not by the KNI server"
        yield Fault(refusals.NOT_READY, message)
    elif not is_true(network.status.conditions, multinetwork.READY):
        found = condition(network.status.conditions, multinetwork.READY)
        detail = (found.message or found.reason) if found else "it has no condition Ready yet"
        yield Fault(refusals.NOT_READY, f"PodNetwork {name} is not ready: {detail}")


def _is(ref: ParametersRef, kind: str) -> bool:
    return (ref.group, ref.kind) == (names.KNI_GROUP, kind)
