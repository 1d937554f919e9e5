"""Masquerading: what leaves a network of ours for elsewhere takes the node's address. One nftables table per family."""

from collections.abc import Collection, Iterator, Sequence

from podnet_kni_server.datapath import spoof
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import NodeLink
from podnet_kni_server.datapath.worker import sysctl

_FAMILIES = {4: "ip", 6: "ip6"}
_TABLE = "podnet_nat"


def ruleset(wanted: Sequence[NodeLink]) -> str:
    """The tables, whole: what there was is replaced. Pure."""
    return "".join(_table(version, list(_rules(version, wanted))) for version in _FAMILIES)


def _table(version: int, rules: list[str]) -> str:
    family = _FAMILIES[version]
    emptied = f"table {family} {_TABLE}\ndelete table {family} {_TABLE}\n"
    if not rules:
        return emptied
    hook = "type nat hook postrouting priority 100; policy accept;"
    return f"{emptied}table {family} {_TABLE} {{\n  chain postrouting {{\n    {hook}\n{''.join(rules)}  }}\n}}\n"


def _rules(version: int, wanted: Sequence[NodeLink]) -> Iterator[str]:
    family = _FAMILIES[version]
    for link in wanted:
        for network in link.masquerade:
            if network.version == version:
                out = f'oifname != "{link.name}"'
                yield f"    {out} {family} saddr {network} {family} daddr != {network} masquerade\n"


def install(wanted: Sequence[NodeLink]) -> None:
    """Set the tables up in the thread's own namespace, and let the node forward. Raises: DatapathError."""
    spoof.nft(ruleset(wanted), "set up masquerading")
    forward({network.version for link in wanted for network in link.masquerade}, "set up masquerading")


def forward(versions: Collection[int], what: str) -> None:
    """Let the node forward these families. Raises: DatapathError saying `what` cannot be done."""
    if 4 in versions:
        _forward("net/ipv4/ip_forward")
    if 6 in versions:
        with open("/proc/sys/net/ipv6/conf/all/forwarding") as file:
            if file.read().strip() == "0":
                # Switching it on makes a node deaf to router advertisements, perhaps its only way out.
                raise DatapathError(f"cannot {what}: the node does not forward IPv6")


def _forward(name: str) -> None:
    try:
        sysctl(name, "1")
    except OSError as error:
        raise DatapathError(f"cannot switch on {name}: {error.strerror}") from error
