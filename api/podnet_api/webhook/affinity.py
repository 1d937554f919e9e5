"""Required node affinity: a Pod may only go to nodes that carry its networks. Pure.

Whether they are ready there is the extender's to say: affinity to readiness would end running Pods when the
kubelet restarts while an uplink is down, for it checks the affinity of running Pods again.

Terms are ORed, the expressions of a term ANDed: each existing term gets each expression. Calling it again
changes nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from podnet_api import names

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def require(affinity: dict[str, Any] | None, networks: Iterable[str]) -> dict[str, Any]:
    """``affinity`` (a Pod's spec.affinity) that also asks for nodes with all of ``networks``."""
    made = copy.deepcopy(affinity or {})
    wanted = [_expression(network) for network in networks]
    if not wanted:
        return made
    node = _child(made, "nodeAffinity")
    if not node.get(_REQUIRED):
        node[_REQUIRED] = {"nodeSelectorTerms": [{"matchExpressions": wanted}]}
        return made
    for term in node[_REQUIRED].get("nodeSelectorTerms") or []:
        _extend(term, wanted)
    return made


def _child(parent: dict[str, Any], key: str) -> dict[str, Any]:
    child: dict[str, Any] = parent.get(key) or {}
    parent[key] = child
    return child


def _expression(network: str) -> dict[str, Any]:
    return {"key": names.node_label(network), "operator": "Exists"}


def _extend(term: dict[str, Any], wanted: list[dict[str, Any]]) -> None:
    """An empty term matches no node; with an expression it would match some, so it stays empty."""
    if not term.get("matchExpressions") and not term.get("matchFields"):
        return
    present = term.get("matchExpressions") or []
    term["matchExpressions"] = present + [one for one in wanted if one not in present]
