"""Settings of virtual functions (SR-IOV), as rtnetlink has them in IFLA_VFINFO_LIST of the physical function. Pure.

Numbers and layouts of include/uapi/linux/if_link.h. ``changes`` gives one message for each setting that differs:
drivers refuse what they cannot do, and what is as wanted must not be asked of them.
"""

import struct
from collections.abc import Iterator

from podnet_api.meta import Model

from podnet_kni_server.datapath import links, netlink
from podnet_kni_server.datapath.channel import Request

_VFINFO_LIST, _EXT_MASK_VF = 22, 1
_VF_INFO = 1
_MAC, _VLAN, _SPOOF_CHECK, _LINK_STATE, _RATE, _TRUST, _VLAN_LIST = 1, 2, 4, 5, 6, 9, 12
_VLAN_INFO = 1
_MAC_SIZE = 32
"""Bytes of the field that holds a MAC address: the longest of any kind of link."""
_WORDS2, _WORDS3 = struct.Struct("=II"), struct.Struct("=III")
_UNKNOWN = 0xFFFFFFFF
"""What the kernel says of a setting that the driver does not tell."""
LINK_STATES = ("auto", "enable", "disable")
PROTOCOLS = {"802.1Q": 0x8100, "802.1ad": 0x88A8}
NO_MAC = "00:00:00:00:00:00"


class Settings(Model, frozen=True, kw_only=True):
    """What the physical function has set for one virtual function. ``mac`` may be NO_MAC: nobody set one."""

    mac: str = NO_MAC
    vlan: int = 0
    qos: int = 0
    vlan_protocol: int = PROTOCOLS["802.1Q"]
    spoof_check: bool = True
    trust: bool = False
    link_state: int = 0
    min_tx_rate: int = 0
    """Mbit/s; 0: none."""
    max_tx_rate: int = 0


def read(index: int, name: str) -> Request:
    """Read a physical function with what it has set for its virtual functions."""
    body = links.header(index) + netlink.u32(links.EXT_MASK, _EXT_MASK_VF | links.SKIP_STATS)
    return Request(links.GETLINK, netlink.REQUEST, body, ("read the virtual functions of %s", name))


def parse(body: bytes) -> dict[int, Settings]:
    """Settings by number of the function, out of the answer to ``read``."""
    found = dict(_each(body[16:]))
    listed = found.get(_VFINFO_LIST, b"")
    return dict(_parse_one(dict(_each(info))) for kind, info in _each(listed) if kind == _VF_INFO)


def _each(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Attributes in order; unlike netlink.attributes all those of one type."""
    at = 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        if size < 4:
            return
        yield kind & netlink.TYPE_MASK, data[at + 4 : at + size]
        at += (size + 3) & ~3


def _parse_one(info: dict[int, bytes]) -> tuple[int, Settings]:
    number = netlink.number(info[_MAC][:4])
    _, vlan, qos = _WORDS3.unpack_from(info[_VLAN])
    _, least, most = _WORDS3.unpack_from(info[_RATE]) if _RATE in info else (0, 0, 0)
    return number, Settings(
        mac=info[_MAC][4:10].hex(":"),
        vlan=vlan,
        qos=qos,
        vlan_protocol=_protocol(info.get(_VLAN_LIST, b"")),
        spoof_check=_word(info, _SPOOF_CHECK, 1) != 0,
        trust=_word(info, _TRUST, 0) == 1,
        link_state=_word(info, _LINK_STATE, 0),
        min_tx_rate=least,
        max_tx_rate=most,
    )


def _word(info: dict[int, bytes], kind: int, otherwise: int) -> int:
    """The setting of this type; ``otherwise`` where the driver does not tell."""
    value = _WORDS2.unpack_from(info[kind])[1] if kind in info else _UNKNOWN
    return otherwise if value == _UNKNOWN else int(value)


def _protocol(listed: bytes) -> int:
    for kind, info in _each(listed):
        if kind == _VLAN_INFO:
            found = int.from_bytes(info[12:14], "big")
            return found or PROTOCOLS["802.1Q"]
    return PROTOCOLS["802.1Q"]


def changes(index: int, name: str, number: int, present: Settings, wanted: Settings) -> list[Request]:
    """Messages that make ``present`` the ``wanted`` settings, but for the MAC address, which has an order of its
    own with that of the function itself; ``index`` and ``name`` are the physical function's."""
    parts: list[tuple[str, bytes]] = []
    if _tag(present) != _tag(wanted):
        parts.append(("VLAN", _vlan(number, wanted)))
    for what, kind, former, new in (
        ("spoof check", _SPOOF_CHECK, present.spoof_check, wanted.spoof_check),
        ("trust", _TRUST, present.trust, wanted.trust),
        ("link state", _LINK_STATE, present.link_state, wanted.link_state),
    ):
        if former != new:
            parts.append((what, netlink.attr(kind, _WORDS2.pack(number, new))))
    if (present.min_tx_rate, present.max_tx_rate) != (wanted.min_tx_rate, wanted.max_tx_rate):
        rates = _WORDS3.pack(number, wanted.min_tx_rate, wanted.max_tx_rate)
        parts.append(("transmit rates", netlink.attr(_RATE, rates)))
    return [_set(index, name, number, what, part) for what, part in parts]


def _tag(settings: Settings) -> tuple[int, int, int]:
    return settings.vlan, settings.qos, settings.vlan_protocol


def _vlan(number: int, wanted: Settings) -> bytes:
    """Drivers without 802.1ad know the older of the two attributes alone."""
    if wanted.vlan_protocol == PROTOCOLS["802.1Q"]:
        return netlink.attr(_VLAN, _WORDS3.pack(number, wanted.vlan, wanted.qos))
    info = _WORDS3.pack(number, wanted.vlan, wanted.qos) + wanted.vlan_protocol.to_bytes(2, "big")
    return netlink.nested(_VLAN_LIST, netlink.attr(_VLAN_INFO, info + b"\0\0"))


def set_mac(index: int, name: str, number: int, mac: str) -> Request:
    """Set the MAC address of a function, which it cannot change then unless it is trusted; NO_MAC: it may again."""
    value = netlink.attr(_MAC, struct.pack("=I", number) + links.mac_bytes(mac).ljust(_MAC_SIZE, b"\0"))
    return _set(index, name, number, "MAC address", value)


def _set(index: int, name: str, number: int, what: str, part: bytes) -> Request:
    body = links.header(index) + netlink.nested(_VFINFO_LIST, netlink.nested(_VF_INFO, part))
    words = ("set the %s of virtual function %s of %s", what, str(number), name)
    return Request(links.NEWLINK, netlink.REQUEST, body, words)
