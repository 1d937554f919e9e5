"""Let bridged frames past the node's own firewall, where it stands in the way.

With net.bridge.bridge-nf-call-iptables = 1, which Kubernetes nodes have, the kernel sends the frames of every
bridge through the FORWARD chains of the IP tables; a bridge's own nf_call_iptables can only add to that, not
take away. A policy of DROP there (Docker's, for one) would cut Pods of one node off from each other. A rule
in a table of ours could not overrule it, so one is put into the chain itself: in and out by the same bridge.
The same for routed links, in from one or out to one, whatever is at the other side.
"""

import json
from collections.abc import Collection
from typing import Any

from podnet_kni_server.datapath import spoof
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import HOST_PREFIX

_FAMILIES = ("ip", "ip6")
_CHAIN = "filter FORWARD"
_COMMENT = "podnet"
_ROUTED = {"podnet in": f'iifname "{HOST_PREFIX}*"', "podnet out": f'oifname "{HOST_PREFIX}*"'}
"""The match of each rule by its comment: bridges have their names in the rule, these have a pattern."""
ROUTED = frozenset(_ROUTED)
"""Stands for routed links among the bridges."""


def install(bridges: Collection[str]) -> None:
    """Make the rules for `bridges`, and remove those for others. A node without such a chain needs none."""
    for family in _FAMILIES:
        try:
            listed = spoof.run_nft(["-j", "-a", "list", "chain", family, *_CHAIN.split()], "list the firewall")
        except DatapathError:
            continue
        script = changes(family, present(json.loads(listed)), bridges)
        if script:
            spoof.nft(script, "let bridged frames past the firewall")


def present(listed: Any) -> dict[str, int]:
    """Handle of each rule of ours by its bridge, or by a word of ROUTED. Pure."""
    found: dict[str, int] = {}
    for entry in listed["nftables"]:
        rule = entry.get("rule", {})
        if rule.get("comment") in ROUTED:
            found[rule["comment"]] = rule["handle"]
        if rule.get("comment") == _COMMENT:
            names = [part["match"]["right"] for part in rule["expr"] if "match" in part]
            found[names[0] if names else ""] = rule["handle"]
    return found


def changes(family: str, found: dict[str, int], bridges: Collection[str]) -> str:
    """The nft script that makes `found` into `bridges`. Pure."""
    old = "".join(
        f"delete rule {family} {_CHAIN} handle {handle}\n" for name, handle in found.items() if name not in bridges
    )
    new = "".join(
        f"insert rule {family} {_CHAIN} {_match(name)}\n" for name in sorted(set(bridges) - set(found))
    )  # fmt: skip
    return old + new


def _match(name: str) -> str:
    if name in ROUTED:
        return f'{_ROUTED[name]} counter accept comment "{name}"'
    return f'iifname "{name}" oifname "{name}" counter accept comment "{_COMMENT}"'
