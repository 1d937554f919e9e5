"""What the node needs to route for Pods: that it forwards, that nobody sends from an address that is not routed to him,
and that it answers for them on an uplink."""

from collections.abc import Collection

from podnet_kni_server.datapath import spoof
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import HOST_PREFIX
from podnet_kni_server.datapath.worker import sysctl

_TABLE = "podnet_routed"
# A packet from a routed link passes only if the way back to its source leads over the same link. Ports of bridges are
# no interfaces to these hooks. A node may probe for duplicates, and speaks NDP link-locally.
RULESET = f"""
table inet {_TABLE}
delete table inet {_TABLE}
table inet {_TABLE} {{
  chain prerouting {{
    type filter hook prerouting priority raw; policy accept;
    iifname "{HOST_PREFIX}*" ip6 saddr != {{ ::, fe80::/10 }} fib saddr . iif oif 0 drop
    iifname "{HOST_PREFIX}*" meta protocol ip fib saddr . iif oif 0 drop
  }}
}}
"""
_FORWARD4 = "net/ipv4/ip_forward"
_FORWARD6 = "net/ipv6/conf/all/forwarding"


def install(versions: Collection[int], proxy: str) -> None:
    """Have the node forward these families, and answer on the interface `proxy`. Raises: DatapathError."""
    spoof.nft(RULESET, "set up anti-spoofing of routed links")
    if 4 in versions:
        _set(_FORWARD4, "1")
    if 6 in versions:
        _require_forwarding6()
    if proxy and 4 in versions:
        # Else the kernel waits up to 0.8 s before it answers for another.
        _set(f"net/ipv4/neigh/{proxy}/proxy_delay", "0")
    if proxy and 6 in versions:
        _set(f"net/ipv6/conf/{proxy}/proxy_ndp", "1")
        _set(f"net/ipv6/neigh/{proxy}/proxy_delay", "0")


def _require_forwarding6() -> None:
    try:
        with open(f"/proc/sys/{_FORWARD6}") as file:
            forwards = file.read().strip() != "0"
    except OSError as error:
        raise DatapathError(f"cannot route for Pods: the node has no IPv6: {error.strerror}") from error
    if not forwards:
        # Switching it on makes a node deaf to router advertisements, perhaps its only way out.
        raise DatapathError("cannot route for Pods: the node does not forward IPv6")


def _set(name: str, value: str) -> None:
    try:
        sysctl(name, value)
    except OSError as error:
        raise DatapathError(f"cannot set {name}: {error.strerror}") from error
