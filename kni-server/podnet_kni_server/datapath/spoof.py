"""Anti-spoofing: one table of the bridge family per node, and the set elements of each guarded port.

A frame from a port of the guarded group passes only if (port, source MAC, source address) is in a set. An
attach adds elements, never rules. The group comes with the link itself, so a port without elements passes
nothing: what fails, fails closed. Pure but for install().
"""

import struct
import subprocess
from collections.abc import Sequence
from ipaddress import ip_interface

from podnet_api import reasons

from podnet_kni_server.datapath import links, netlink
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import Interface, Link

TABLE = "podnet"
SET4, SET6 = "from4", "from6"

# Whole in one transaction, and the same again after a restart: sets that are there keep their elements.
# - ARP: sender MAC in the frame and in the ARP header both have to be right.
# - Router advertisements and redirects would reroute the neighbours; a neighbour advertisement may speak of
#   the port's own addresses only (@th,64,128 is its target; with it in the set's type, nft 1.0 takes both).
# - Whatever is not ARP, IPv4 or IPv6, tagged frames too, cannot be judged and is dropped.
RULESET = f"""
table bridge {TABLE} {{
  set {SET4} {{ type ifname . ether_addr . ipv4_addr; }}
  set {SET6} {{ typeof meta iifname . ether saddr . @nh,64,128; }}
  chain check {{ }}
  chain prerouting {{ type filter hook prerouting priority -300; policy accept; }}
}}
flush chain bridge {TABLE} check
flush chain bridge {TABLE} prerouting
table bridge {TABLE} {{
  chain check {{
    ether type arp iifname . ether saddr . arp saddr ip @{SET4} iifname . arp saddr ether . arp saddr ip @{SET4} accept
    ether type ip iifname . ether saddr . ip saddr @{SET4} accept
    ether type ip6 icmpv6 type {{ 134, 137 }} drop
    ether type ip6 icmpv6 type 136 meta iifname . ether saddr . @th,64,128 != @{SET6} drop
    ether type ip6 meta iifname . ether saddr . @nh,64,128 @{SET6} accept
    drop
  }}
  chain prerouting {{ meta iifgroup {links.GROUP_GUARDED} jump check; }}
}}
"""

_SUBSYSTEM = 10
_NEW_ELEMENTS, _GET_ELEMENTS, _DELETE_ELEMENTS = (_SUBSYSTEM << 8 | kind for kind in (12, 13, 14))
_BATCH_BEGIN, _BATCH_END = 16, 17
_FAMILY_BRIDGE = 7
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_LIST_ELEMENT, _ELEMENT_KEY, _DATA_VALUE = 1, 1, 1

_HEADER = struct.pack("=BB", _FAMILY_BRIDGE, 0) + b"\0\0"
_BATCH_HEADER = struct.pack("=BBH", 0, 0, _SUBSYSTEM << 8 if struct.pack("=H", 1)[0] else _SUBSYSTEM)
_BEGIN = Request(_BATCH_BEGIN, netlink.REQUEST, _BATCH_HEADER, ("begin a change of nftables",))
_END = Request(_BATCH_END, netlink.REQUEST, _BATCH_HEADER, ("end a change of nftables",))
_UNSPECIFIED = bytes(16)


def link_local(mac: bytes) -> bytes:
    """The link-local IPv6 address that the kernel derives from a MAC address (modified EUI-64)."""
    return b"\xfe\x80" + bytes(6) + bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]


def keys(link: Link) -> tuple[list[bytes], list[bytes]]:
    """Keys of the link's elements in the IPv4 and in the IPv6 set; each part is padded to four bytes."""
    if link.senders is None:
        return _keys(link.host_name, link.mac, link.addresses)
    four: list[bytes] = []
    six: list[bytes] = []
    addresses = [ip_interface(text) for text in link.senders.addresses]
    for mac in link.senders.macs:
        own = _keys(link.host_name, mac, addresses)
        four += own[0]
        six += own[1]
    return four, six


def _keys(host_name: str, mac_text: str, addresses: Sequence[Interface]) -> tuple[list[bytes], list[bytes]]:
    mac = links.mac_bytes(mac_text)
    port = host_name.encode().ljust(16, b"\0") + mac + b"\0\0"
    four = [port + address.packed for address in addresses if address.version == 4]
    six = {_UNSPECIFIED, link_local(mac)}  # a node may probe for duplicates, and speaks MLD and NDP link-locally
    six.update(address.packed for address in addresses if address.version == 6)
    return four, [port + packed for packed in sorted(six)]


def _prefix(where: str, key_size: int) -> tuple[bytes, bytes]:
    """What stands before the elements of a set, and before the key of each (its three headers)."""
    headers = netlink.nested(_LIST_ELEMENT, netlink.nested(_ELEMENT_KEY, netlink.attr(_DATA_VALUE, bytes(key_size))))
    return _HEADER + netlink.text(_LIST_TABLE, TABLE) + netlink.text(_LIST_SET, where), headers[:-key_size]


_PREFIX4, _PREFIX6 = _prefix(SET4, 28), _prefix(SET6, 40)


def _elements(
    kind: int, flags: int, prefix: tuple[bytes, bytes], keys_: list[bytes], what: tuple[object, ...]
) -> Request:  # fmt: skip
    head, before = prefix
    elements = netlink.nested(_LIST_ELEMENTS, before, before.join(keys_))
    return Request(kind, netlink.REQUEST | flags, head + elements, what)


def guard(guarded: list[Link]) -> list[Request]:
    """A transaction that adds the elements of links; those that are there already do not matter."""
    four, six = _gather(guarded)
    names = ", ".join(link.name for link in guarded)
    what = ("allow the addresses of %s (anti-spoofing)", names)
    return [*_transaction(_NEW_ELEMENTS, netlink.CREATE, four, six, what)]


def present(link: Link) -> list[Request]:
    """Questions for the link's elements, outside of any transaction: refused with ENOENT when one is missing."""
    what = ("find the addresses of %s (anti-spoofing)", link.name)
    pairs = zip((_PREFIX4, _PREFIX6), keys(link), strict=True)
    return [_elements(_GET_ELEMENTS, 0, prefix, own, what) for prefix, own in pairs if own]


def release(guarded: list[Link]) -> list[Request]:
    """A transaction that removes the elements. It adds them first: a missing one would undo all of it, and
    "destroy" is known to kernels from 6.3 on only."""
    four, six = _gather(guarded)
    names = ", ".join(link.name for link in guarded)
    what = ("forget the addresses of %s (anti-spoofing)", names)
    adding = _transaction(_NEW_ELEMENTS, netlink.CREATE, four, six, what)
    removing = _transaction(_DELETE_ELEMENTS, 0, four, six, what)
    return [*adding[:-1], *removing[1:]]


def _gather(guarded: list[Link]) -> tuple[list[bytes], list[bytes]]:
    four: list[bytes] = []
    six: list[bytes] = []
    for link in guarded:
        own = keys(link)
        four += own[0]
        six += own[1]
    return four, six


def _transaction(
    kind: int, flags: int, four: list[bytes], six: list[bytes], what: tuple[object, ...]
) -> list[Request]:  # fmt: skip
    middle = [_elements(kind, flags, prefix, own, what) for prefix, own in ((_PREFIX4, four), (_PREFIX6, six)) if own]
    return [_BEGIN, *middle, _END]


def install(timeout: float = 10.0) -> None:
    """Set the table up in the thread's own namespace; once at start and whenever the node is looked at."""
    nft(RULESET, "set up anti-spoofing", timeout)


def nft(script: str, what: str, timeout: float = 10.0) -> str:
    """Run `nft -f -`. Raises: DatapathError with nft's own words."""
    return run_nft(["-f", "-"], what, script, timeout)


def run_nft(arguments: list[str], what: str, script: str = "", timeout: float = 10.0) -> str:
    """Run nft in the thread's namespace (a child starts where the thread is) and answer what it printed."""
    try:
        done = subprocess.run(
            ["nft", *arguments], input=script, capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError as error:
        raise DatapathError(f"cannot {what}: the program nft is missing", reasons.KERNEL_LACKS) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DatapathError(f"cannot {what}: {error}") from error
    if done.returncode:
        words = " ".join(done.stderr.split("\n")[0].split())
        lacking = "not supported" in words or "Protocol" in words
        raise DatapathError(f"cannot {what}: {words}", reasons.KERNEL_LACKS if lacking else reasons.SETUP_FAILED)
    return done.stdout


def parse_port(key: bytes) -> str:
    """The port's name out of an element's key."""
    return netlink.string(key[:16])
