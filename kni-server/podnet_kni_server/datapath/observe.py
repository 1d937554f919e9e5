"""What the kernel has: links and addresses as it tells them, put together into Observed. Pure but for read()."""

import dataclasses
import errno
import struct
from collections.abc import Collection, Iterable, Sequence

from podnet_kni_server.datapath import inet, links, netlink
from podnet_kni_server.datapath.channel import Channel
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import Interface, Link, Observed


@dataclasses.dataclass(slots=True)
class Seen:
    """One link, as read; `peer` is the index that IFLA_LINK names (a veth's other end, a macvlan's uplink)."""

    index: int
    name: str
    flags: int
    mac: str
    mtu: int
    master: int
    peer: int
    group: int
    kind: str
    data: bytes
    slave: bytes = b""
    """What its master keeps of it (IFLA_INFO_SLAVE_DATA)."""

    @property
    def up(self) -> bool:
        """Set up."""
        return bool(self.flags & links.IFF_UP)

    @property
    def running(self) -> bool:
        """Set up, with a carrier. Not IFF_RUNNING: the kernel sets that up to a second later."""
        wanted = links.IFF_UP | links.IFF_LOWER_UP
        return self.flags & wanted == wanted


_HEADER = struct.Struct("=BxHiII")
_WANTED = frozenset((links.IFNAME, links.ADDRESS, links.MTU, links.MASTER, links.LINK, links.GROUP, links.LINKINFO))


def parse_link(body: bytes) -> Seen:
    """A link out of the body of an RTM_NEWLINK or RTM_DELLINK."""
    _, _, index, flags, _ = _HEADER.unpack_from(body)
    found = netlink.pick(body, 16, _WANTED)
    info = netlink.attributes(found.get(links.LINKINFO, b""))
    return Seen(
        index,
        netlink.string(found.get(links.IFNAME, b"")),
        flags,
        found.get(links.ADDRESS, b"").hex(":"),
        netlink.number(found.get(links.MTU, b"")),
        netlink.number(found.get(links.MASTER, b"")),
        netlink.number(found.get(links.LINK, b"")),
        netlink.number(found.get(links.GROUP, b"")),
        netlink.string(info.get(links.INFO_KIND, b"")),
        info.get(links.INFO_DATA, b""),
        info.get(links.INFO_SLAVE_DATA, b""),
    )


def parse_addresses(bodies: Iterable[bytes]) -> dict[int, list[Interface]]:
    """Addresses by index of the link, in the kernel's order."""
    found: dict[int, list[Interface]] = {}
    for body in bodies:
        address = inet.parse_address(body)
        if address is not None:
            found.setdefault(inet.link_of_address(body), []).append(address)
    return found


def put_together(link: Seen, addresses: dict[int, list[Interface]]) -> Observed:
    """A link and its addresses."""
    own = tuple(addresses.get(link.index, ()))
    return Observed(link.name, link.mac, link.mtu, link.up, own, link.index, link.kind, link.peer)


def list_links(channel: Channel) -> dict[str, Seen]:
    """All links of the channel's namespace by name."""
    seen = (parse_link(body) for body in channel.dump(links.get_all()))
    return {link.name: link for link in seen}


def find_links(channel: Channel, names: Iterable[str]) -> dict[str, Seen]:
    """Those links of the channel's namespace that are there, by name: a node has three for each of its Pods."""
    answer = channel.batch([links.get_named(name) for name in names])
    for error in answer.errors.values():
        if error.errno != errno.ENODEV:
            raise error
    return {link.name: link for link in (parse_link(body) for _, _, body in answer.data)}


def find_link(channel: Channel, name: str) -> Seen | None:
    """The link with this name: the kernel's lock of links is held for one look, not for all that a node has."""
    return find_links(channel, (name,)).get(name)


def need_link(channel: Channel, name: str) -> Seen:
    """The same. Raises: DatapathError when there is none."""
    found = find_link(channel, name)
    if found is None:
        raise DatapathError(f"cannot read {name}: it is gone")
    return found


def read(channel: Channel, names: Collection[str] | None) -> list[Observed]:
    """The interfaces with these names (None: all but lo)."""
    present = list_links(channel)
    addresses = parse_addresses(channel.dump(inet.get_addresses()))
    return [
        put_together(link, addresses)
        for name, link in present.items()
        if (names is None and name != "lo") or (names is not None and name in names)
    ]


def difference(wanted: Link, found: Observed) -> str:
    """How `found` differs from what `wanted` asks for, or ""."""
    if found.kind != wanted.kind:
        return f"it is a {found.kind or 'physical link'}"
    return state_difference(wanted, found)


def state_difference(wanted: Link, found: Observed) -> str:
    """The same, whatever the kernel calls the link's kind."""
    if wanted.mac and found.mac != wanted.mac.lower():
        return f"its MAC address is {found.mac}, not {wanted.mac}"
    if wanted.mtu and found.mtu != wanted.mtu:
        return f"its MTU is {found.mtu}, not {wanted.mtu}"
    if not found.up:
        return "it is down"
    missing = [str(address) for address in wanted.addresses if address not in found.addresses]
    return f"it lacks {', '.join(missing)}" if missing else ""


def confirm(wanted: Link, index: int, lower: int, body: bytes, addresses: Sequence[bytes]) -> Observed:
    """A link just made and read back; `lower` is the index of its host end, or of a macvlan's uplink.

    Raises: DatapathError when the kernel has something else than was asked for.
    When what the kernel sent holds the very bytes that were asked for, and nothing more, it need not be taken
    apart: that is most of what reading back would cost.
    """
    own = [one for one in addresses if inet.link_of_address(one) == index and not inet.is_link_local(one)]
    _, _, found_index, flags, _ = _HEADER.unpack_from(body)
    if (
        found_index == index
        and flags & links.IFF_UP
        and wanted.mtu
        and wanted.mac
        and len(own) == len(wanted.addresses)
        and all(part in body for part in links.marks(wanted, lower))
        and all(any(inet.is_address(one, address) for one in own) for address in wanted.addresses)
    ):
        mac = wanted.mac.lower()
        return Observed(wanted.name, mac, wanted.mtu, True, wanted.addresses, index, wanted.kind, lower)
    found = put_together(parse_link(body), parse_addresses(addresses))
    if words := difference(wanted, found):
        raise DatapathError(f"cannot verify {wanted.name}: {words}")
    return found
