"""Let bridged frames past the node's own firewall, where it stands in the way.

With net.bridge.bridge-nf-call-iptables = 1, which Kubernetes nodes have, the kernel sends the frames of every
bridge through the FORWARD chains of the IP tables; a bridge's own nf_call_iptables can only add to that, not
take away. A policy of DROP there (Docker's, for one) would cut Pods of one node off from each other. A rule
in a table of ours could not overrule it, so one is put into the chain itself: in and out by the same bridge.
"""

import json
from collections.abc import Collection
from typing import Any

from podnet_kni_server.datapath import spoof
from podnet_kni_server.datapath.errors import DatapathError

_FAMILIES = ("ip", "ip6")
_CHAIN = "filter FORWARD"
_COMMENT = "podnet"


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
    """Handle of each rule of ours by its bridge. Pure."""
    found: dict[str, int] = {}
    for entry in listed["nftables"]:
        rule = entry.get("rule", {})
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
        f'insert rule {family} {_CHAIN} iifname "{name}" oifname "{name}" counter accept comment "{_COMMENT}"\n'
        for name in sorted(set(bridges) - set(found))
    )
    return old + new
