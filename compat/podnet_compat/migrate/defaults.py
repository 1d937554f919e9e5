"""What Multus attaches to Pods that ask for nothing: its ``defaultNetworks``, in a plan. Pure; ``planning`` asks.

Multus attaches them before those of the annotation, to every Pod but those of ``systemNamespaces``. podnet-compat does
the same for Pods with the annotation (``--default-networks``); other Pods get what their Namespace's label says.
"""

from __future__ import annotations

from collections.abc import Iterable

from podnet_api import names as api_names
from podnet_api.errors import InvalidError

from podnet_compat import annotation, names
from podnet_compat.annotation import Selection
from podnet_compat.migrate import multus
from podnet_compat.migrate.inventory import Carried, Inventory, as_object, labels
from podnet_compat.migrate.multus import Config


def delegates(configs: Iterable[Config]) -> tuple[Selection, ...]:
    """The NADs that ``configs`` name, as the flag of podnet-compat would; files of the nodes are none."""
    found = [(config.name, multus.settings(config)) for config in configs]
    return tuple(
        chosen
        for name, read in found
        for text in read.default_networks
        for chosen in _named(text, read.namespace, f"{name}: defaultNetworks")
    )


def _named(text: str, namespace: str, path: str) -> tuple[Selection, ...]:
    try:
        return annotation.named(text, namespace, path)
    except InvalidError:
        return ()


def system(configs: Iterable[Config]) -> frozenset[str]:
    """The namespaces whose Pods get none of them."""
    read = [multus.settings(config) for config in configs]
    return frozenset().union(*(one.system_namespaces for one in read if one.default_networks))


def unasked(found: Inventory, one: Carried) -> tuple[Selection, ...]:
    """What Multus attaches to ``one``, which says nothing of networks."""
    silent = not one.concerned and api_names.NETWORKS_ANNOTATION not in one.annotations
    own = bool(as_object(one.pod.get("spec")).get("hostNetwork"))
    return delegates(found.multus) if silent and not own and one.namespace not in system(found.multus) else ()


def question(found: Inventory, one: Carried) -> list[tuple[str, str]]:
    """What has to be decided about ``one`` because it says nothing."""
    lacking = [names.network(each.namespace, each.name) for each in unasked(found, one)]
    given = labels(found.namespaces.get(one.namespace, {})).get(api_names.NAMESPACE_NETWORKS, "").split("_")
    if set(lacking) <= set(given):
        return []
    wanted = "_".join(name for name in dict.fromkeys([*given, *lacking]) if name)
    text = (
        f"is absent, and Multus attaches {', '.join(lacking)} by its defaultNetworks: podnet does so where Namespace "
        f"{one.namespace} has the label {api_names.NAMESPACE_NETWORKS}={wanted}"
    )
    return [(names.NETWORKS, text)]
