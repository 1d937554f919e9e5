"""Multus' own configuration: what each key of it means for a cluster that moves. Pure.

It stands in a ConfigMap (``multus-daemon-config`` or ``multus-cni-config`` in kube-system) or in a file of the nodes
(``00-multus.conf``). Keys are read as Go reads them; defaults are those of Multus 4.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from podnet_compat import jsontext
from podnet_compat.legacy import Nad
from podnet_compat.migrate.report import Outcome, Row
from podnet_compat.reader import Notes, Reader

TYPES = frozenset({"multus", "multus-shim"})
_OWN = frozenset(
    {"clusternetwork", "defaultnetworks", "systemnamespaces", "readinessindicatorfile", "namespaceisolation",
     "multusnamespace", "multusautoconfigdir", "multusconfigfile", "globalnamespaces"}
)  # fmt: skip
_PLUMBING = (
    "cniVersion", "name", "type", "kubeconfig", "confDir", "cniDir", "binDir", "cniConfigDir", "chrootDir", "socketDir",
    "daemonSocketDir", "multusAutoconfigDir", "multusConfigFile", "multusMasterCNI", "forceCNIVersion",
    "overrideNetworkName", "logFile", "logLevel", "logToStderr", "logOptions", "retryDeleteOnError", "capabilities",
    "perNodeCertificate", "additionalBinDir", "healthCheckPort", "connectionLimit", "dns", "runtimeConfig",
    "prevResult",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """One configuration. ``name`` says where it stands."""

    name: str
    value: dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What of a configuration matters."""

    cluster_network: str
    default_networks: tuple[str, ...]
    system_namespaces: frozenset[str]
    isolated: bool
    shared: frozenset[str]
    indicator: str
    namespace: str


def find(name: str, text: str) -> Config | None:
    """The configuration of Multus in ``text``; None where it is something else."""
    try:
        value = jsontext.load(text)
    except jsontext.BrokenJsonError:
        return None
    plugins = value.get("plugins") if isinstance(value, dict) else None
    for item in (value, *(plugins if isinstance(plugins, list) else ())):
        if isinstance(item, dict) and (str(item.get("type")) in TYPES or _OWN & {key.lower() for key in item}):
            return Config(name, item)
    return None


def settings(config: Config, notes: Notes | None = None) -> Settings:
    """``config``, read; what is wrong with it goes into ``notes``."""
    reader = Reader(config.value, config.name, notes or Notes())
    delegates = [item.string("name") for item in reader.children("delegates")]
    shared = reader.string("globalNamespaces")
    system = reader.strings("systemNamespaces")
    made = Settings(
        cluster_network=reader.string("clusterNetwork") or (delegates[0] if delegates else ""),
        default_networks=(*reader.strings("defaultNetworks"), *delegates[1:]),
        system_namespaces=frozenset(system if reader.has("systemNamespaces") else ("kube-system",)),
        isolated=reader.boolean("namespaceIsolation"),
        shared=frozenset(filter(None, map(str.strip, shared.split(",")))) or frozenset({"default"}),
        indicator=reader.string("readinessindicatorfile"),
        namespace=reader.string("multusNamespace") or "kube-system",
    )
    reader.accept(*_PLUMBING)
    reader.ignore("metricsPort", why="podnet has metrics of its own")
    reader.finish(refuse=False)
    return made


def row(config: Config, nads: Iterable[Nad], moved: frozenset[str] = frozenset()) -> Row:
    """What becomes of ``config`` when Multus goes; ``moved``: namespaces that podnet has."""
    notes = Notes()
    found = settings(config, notes)
    known = {nad.key for nad in nads}
    asked = [*_cluster_network(found, known), *_isolation(found), *_default_networks(found, known, moved)]
    differs = [*notes.warnings]
    if found.indicator:
        differs.append(
            f"readinessindicatorfile: {found.indicator}: podnet waits for no file: a node has a taint until it attaches"
        )
    wrong = [str(fault) for fault in notes.faults]
    outcome = Outcome.DECIDE if asked or wrong else Outcome.DIFFERS if differs else Outcome.MOVES
    return Row(kind="Multus", name=config.name, outcome=outcome, said=[*wrong, *asked, *differs])


def hindrances(configs: Iterable[Config], namespace: str) -> list[str]:
    """Why ``namespace`` cannot be moved while Multus runs with ``configs``."""
    return [
        f"{config.name}: defaultNetworks: Multus goes on attaching {', '.join(found.default_networks)} to the Pods of "
        f"{namespace}: put {namespace} into systemNamespaces of Multus, which ends that"
        for config in configs
        if (found := settings(config)).default_networks and namespace not in found.system_namespaces
    ]


def _cluster_network(found: Settings, nads: set[tuple[str, str]]) -> list[str]:
    if (found.namespace, found.cluster_network) not in nads:
        return []
    return [
        f"clusterNetwork: {found.cluster_network} is a NetworkAttachmentDefinition of {found.namespace}: before Multus "
        "is removed, each node needs a CNI configuration file of it, as podnet leaves the default network alone"
    ]


def _isolation(found: Settings) -> list[str]:
    if not found.isolated:
        return []
    shared = ",".join(sorted(found.shared))
    return [
        f"namespaceIsolation: start podnet-compat with --namespace-isolation --global-namespaces={shared} "
        "to have Pods held to the NADs of their own namespace as they are now"
    ]


def _default_networks(found: Settings, nads: set[tuple[str, str]], moved: frozenset[str]) -> list[str]:
    if not found.default_networks:
        return []
    system = ",".join(sorted(found.system_namespaces - moved))
    files = [name for name in found.default_networks if "/" not in name and (found.namespace, name) not in nads]
    files += [name for name in found.default_networks if name.startswith("/")]
    return [
        *(
            f"defaultNetworks: {name} is no NetworkAttachmentDefinition of {found.namespace}: write one without a "
            "config whose name is that of the nodes' CNI configuration, and name it here"
            for name in files
        ),
        f"defaultNetworks: start podnet-compat with --default-networks={','.join(found.default_networks)} "
        f"--system-namespaces={system}; before a namespace moves, put it into systemNamespaces of Multus, which ends "
        "that Multus attaches them there",
    ]
