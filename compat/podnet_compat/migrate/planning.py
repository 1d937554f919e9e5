"""What becomes of each object of an inventory when podnet takes Multus' place. Pure; called by ``command``.

Pods and Pod templates are translated as the webhook does it, with the policy that Multus has now. What they look up is
the inventory's own NADs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec
from podnet_api import core, networks
from podnet_api import names as api_names
from podnet_api.errors import InvalidError
from podnet_api.faults import Fault, FaultType

from podnet_compat import attachment, legacy, names, systems
from podnet_compat import nad as nads
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad
from podnet_compat.migrate import addressing, defaults, injector, multus, report
from podnet_compat.migrate.inventory import POLICY, Carried, Inventory
from podnet_compat.migrate.report import Outcome, Report, Row

_SHIM = "needs the CNI shim on the nodes (hack/manifests/components/cni-shim), or podnet refuses the Pod"
_STATIC = (
    "a static Pod cannot be changed at admission: Multus attaches it as long as it is there, and podnet does not; make "
    "it a Pod of a DaemonSet, or write the list of podnet into its file"
)
_BOTH = "names networks for Multus and for podnet, and is attached by both: leave one of them out"
_POLICIES = (
    "podnet holds no rules on what Pods send; who enforces this policy reads the annotation of Pods, which those of a "
    "namespace that is moved beside Multus carry under another key: keep it among the Pods that Multus attaches, or "
    "find another means"
)
_READ_ON = (
    "{} reads this key, too, which Pods of a namespace that is moved beside Multus carry under another name: keep it "
    "among the Pods that Multus attaches until podnet takes Multus' place on the whole cluster"
)


def plan(found: Inventory, foreign: Iterable[Row] = ()) -> Report:
    """The whole plan. ``foreign``: what becomes of the objects of other systems."""
    moved = frozenset(name for name in found.namespaces if found.moved(name))
    rows = [multus.row(config, found.nads.values(), moved) for config in found.multus]
    rows += [injector.row(*one) for one in found.injectors]
    rows += [_namespace(found, name) for name in namespaces(found)]
    rows += [_nad(nad) for nad in found.nads.values()]
    rows += [_broken(error) for error in found.broken]
    rows += [carried(found, one) for one in concerned(found)]
    rows += [
        Row(kind=POLICY, namespace=namespace, name=name, outcome=Outcome.DECIDE, said=[_POLICIES])
        for namespace, name in found.policies
    ]
    return report.made([*rows, *foreign])


def namespaces(found: Inventory) -> list[str]:
    """The namespaces that have to do with Multus."""
    return sorted({one.namespace for one in concerned(found)} | {nad.metadata.namespace for nad in found.nads.values()})


def concerned(found: Inventory) -> list[Carried]:
    """The Pods, and the workloads that nothing else has made: those that ask for networks, or get some unasked."""
    living = [one for one in found.carried if (one.kind == "Pod" or not one.owner) and not one.finished]
    return [one for one in living if one.concerned or defaults.unasked(found, one)]


def policy(found: Inventory) -> pods.Policy:
    """The namespace isolation and the default networks of Multus' configurations."""
    isolated = [one for one in map(multus.settings, found.multus) if one.isolated]
    delegates, system = defaults.delegates(found.multus), defaults.system(found.multus)
    shared = isolated[0].shared if isolated else pods.Policy().shared
    return pods.Policy(bool(isolated), shared, delegates, system)


def translation(found: Inventory, one: Carried) -> pods.Translation:
    """What the webhook would make of ``one``. Raises InvalidError with every fault."""
    try:
        pod = msgspec.convert(legacy.without_nulls(one.pod), core.Pod)
    except msgspec.ValidationError as error:
        raise InvalidError(one.subject, [Fault("", FaultType.INVALID, str(error))]) from error
    wanted = pods.read(pod, one.namespace, policy(found))
    return pods.translate(wanted, lambda space, name: found.nads.get((space, name)))


def used(found: Inventory, namespace: str) -> list[Nad]:
    """The NADs that Pods and workloads of ``namespace`` name, as far as they can be translated."""
    made: dict[tuple[str, str], Nad] = {}
    for one in concerned(found):
        if one.namespace == namespace:
            made |= {nad.key: nad for nad in _selected(found, one)}
    return [made[key] for key in sorted(made)]


def _selected(found: Inventory, one: Carried) -> tuple[Nad, ...]:
    try:
        return translation(found, one).nads
    except InvalidError:
        return ()


def carried(found: Inventory, one: Carried) -> Row:
    """What becomes of a Pod or workload. A Pod that podnet has attached is what it is."""
    prefix = f"{one.path}." if one.path else ""
    given = _given(one)
    if one.kind == "Pod" and one.attached_by == names.PODNET:
        both = [_BOTH] if found.multus and any(one.annotations.get(key) for key in names.MOVED) else []
        return _row(one, Outcome.DECIDE if both else Outcome.MOVES, given, both)
    try:
        made = translation(found, one)
    except InvalidError as error:
        return _row(one, Outcome.REFUSED, given, [_at(prefix, str(fault)) for fault in error.faults])
    questions = [*_questions(one), *_read_on(made.nads), *defaults.question(found, one)]
    asked = [f"{prefix}metadata.annotations[{key}]: {text}" for key, text in questions]
    differs = [_at(prefix, warning) for warning in made.warnings]
    outcome = Outcome.DECIDE if asked else Outcome.DIFFERS if differs else Outcome.MOVES
    return _row(one, outcome, _written(made.networks, made.attachments), [*asked, *differs])


def _at(prefix: str, said: str) -> str:
    """``said``, which may be about a field of Multus' configuration instead of the Pod."""
    return f"{prefix}{said}" if said.startswith("metadata.") else said


def _questions(one: Carried) -> list[tuple[str, str]]:
    given = [key for key in names.MOVED if one.annotations.get(key)]
    if names.MIRROR_POD in one.annotations:
        return [(key, _STATIC) for key in given]
    return [(key, _SHIM) for key in given if key == names.DEFAULT_NETWORK]


def _read_on(chosen: Iterable[Nad]) -> list[tuple[str, str]]:
    """What reads the annotation of Multus besides it."""
    found = {systems.reader_of(msgspec.to_builtins(nad), nad.metadata.namespace) for nad in chosen}
    return [(names.NETWORKS, _READ_ON.format(reader)) for reader in sorted(found) if reader]


def _row(one: Carried, outcome: Outcome, becomes: str, said: list[str]) -> Row:
    return Row(
        kind=one.kind,
        namespace=one.namespace,
        name=one.name,
        outcome=outcome,
        becomes=becomes,
        attached_by=one.attached_by if one.kind == "Pod" else "",
        owner=one.owner,
        said=said,
    )


def _given(one: Carried) -> str:
    """The list that ``one`` has already."""
    return _written(networks.check(one.annotations.get(api_names.NETWORKS_ANNOTATION, "[]"))[0], ())


def _written(listed: Iterable[networks.Network], pairs: Iterable[attachment.Pair]) -> str:
    through = {pair.name: pair.attachment.spec.pod_network_name for pair in pairs}
    parts = []
    for one in listed:
        by = one.pod_network_attachment_name
        network = one.pod_network_name or (f"{through[by]} by {by}" if by in through else by)
        parts.append(f"{network}@{one.interface_name}" if one.interface_name else network)
    return ", ".join(parts)


def _nad(nad: Nad) -> Row:
    namespace, name = nad.key
    try:
        made = nads.translate(nad)
    except InvalidError as error:
        return _definition(namespace, name, Outcome.REFUSED, "", [str(fault) for fault in error.faults])
    by = f"by the CNI plugins {'+'.join(made.types) or 'of a file of the nodes'}" if made.config.spec.cni else "native"
    becomes = f"PodNetwork and NetworkConfig {made.network.metadata.name}, {by}"
    said = [*made.warnings, *_counted(nad)]
    return _definition(namespace, name, Outcome.DIFFERS if made.warnings else Outcome.MOVES, becomes, said)


def _counted(nad: Nad) -> list[str]:
    kinds = sorted(addressing.of(nad).types & addressing.DYNAMIC)
    if not kinds or addressing.shared(nad):
        return []
    return [
        f"spec.config.ipam: beside Multus {' and '.join(kinds)} goes on keeping its addresses, and the CNI plugins of "
        f"the nodes attach it (podnet-compat --attach-with={names.PLUGINS}); natively podnet counts anew, without what "
        "running Pods of Multus have"
    ]


def _broken(error: InvalidError) -> Row:
    namespace, _, name = error.subject.partition(" ")[2].partition("/")
    return _definition(namespace, name, Outcome.REFUSED, "", [str(fault) for fault in error.faults])


def _definition(namespace: str, name: str, outcome: Outcome, becomes: str, said: list[str]) -> Row:
    return Row(kind=legacy.KIND, namespace=namespace, name=name, outcome=outcome, becomes=becomes, said=said)


def _namespace(found: Inventory, name: str) -> Row:
    counted = Counter(pod.attached_by for pod in found.pods if pod.namespace == name)
    moved = found.moved(name) or (found.webhook is not None and not found.beside)
    hindered = [] if moved else multus.hindrances(found.multus, name)
    told = [f"Pods attached now: {counted[names.PODNET]} by podnet, {counted[names.MULTUS]} by Multus"]
    if moved and counted[names.MULTUS]:
        told.append("those of Multus stay with it until they are made anew")
    return Row(
        kind="Namespace",
        name=name,
        outcome=Outcome.DECIDE if hindered else Outcome.MOVES,
        attached_by=names.PODNET if moved else names.MULTUS,
        said=[*hindered, *told] if any(counted.values()) else hindered,
    )
