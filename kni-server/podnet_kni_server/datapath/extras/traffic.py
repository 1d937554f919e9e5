"""Traffic control in netlink messages. Pure; numbers of rtnetlink.h, pkt_sched.h and pkt_cls.h."""

import struct
import sys

from podnet_kni_server.datapath import netlink
from podnet_kni_server.datapath.channel import Request

_NEWQDISC, _DELQDISC, _GETQDISC, _NEWTFILTER, _GETTFILTER = 36, 37, 38, 44, 46
_TCMSG = struct.Struct("=BxxxiIII")
_KIND, _OPTIONS = 1, 2
_ROOT, _INGRESS, _INGRESS_HANDLE = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFF0000
_TBF_HANDLE = 0x10000
_RATE_SPEC = struct.Struct("=BBHhHI")
_TBF_QOPT = struct.Struct("=12s12sIII")
_TBF_PARMS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_LINKLAYER_ETHERNET = 1
_MOST = 0xFFFFFFFF
_LATENCY = 0.05
"""Seconds that a packet may wait before more are dropped; below what TCP takes for a loss at usual distances."""
_LEAST_BURST = 32 * 1024
"""Bytes; a burst that is too small for the timer and a few full frames never reaches the rate."""

_U32_FILTER, _PRIORITY, _ETH_P_ALL = 0x80000800, 1, 0x0003
_U32_SEL, _U32_ACT = 5, 7
_ACT_KIND, _ACT_OPTIONS, _MIRRED_PARMS = 1, 2, 2
_MIRRED = struct.Struct("=IIiiiiI")
_STOLEN, _EGRESS_REDIRECT = 4, 1
_ANY = struct.pack("=BBBBHHhhI", 1, 0, 1, 0, 0, 0, 0, 0, 0) + struct.pack("=IIii", 0, 0, 0, 0)
"""struct tc_u32_sel and a tc_u32_key that every packet fits; a match ends the search (TC_U32_TERMINAL)."""


def burst_bytes(rate: int, burst: int) -> int:
    """Bytes that may pass at once; `rate` and `burst` in bits. Without a burst: what 20 ms carry, but at least a few
    frames."""
    return min(_MOST, burst // 8 or max(_LEAST_BURST, rate // 8 // 50))


def limit(index: int, name: str, rate: int, burst: int) -> Request:
    """A token bucket for what leaves through the link, in place of the one that is there."""
    size = burst_bytes(rate, burst)
    room = min(_MOST, size + int(rate / 8 * _LATENCY))
    rate_spec = _RATE_SPEC.pack(0, _LINKLAYER_ETHERNET, 0, 0, 0, min(_MOST, rate // 8))
    options = netlink.attr(_TBF_PARMS, _TBF_QOPT.pack(rate_spec, bytes(12), room, 0, 0)) + netlink.u32(_TBF_BURST, size)
    if rate // 8 > _MOST:
        options += netlink.attr(_TBF_RATE64, (rate // 8).to_bytes(8, sys.byteorder))
    body = _TCMSG.pack(0, index, _TBF_HANDLE, _ROOT, 0) + netlink.text(_KIND, "tbf") + netlink.nested(_OPTIONS, options)
    flags = netlink.REQUEST | netlink.CREATE | netlink.REPLACE
    return Request(_NEWQDISC, flags, body, ("limit %s to %d bit/s", name, rate))


def catch(index: int, name: str) -> Request:
    """A place for filters of what comes in through the link."""
    body = _TCMSG.pack(0, index, _INGRESS_HANDLE, _INGRESS, 0) + netlink.text(_KIND, "ingress")
    flags = netlink.REQUEST | netlink.CREATE | netlink.EXCL
    return Request(_NEWQDISC, flags, body, ("look at what comes in through %s", name))


def release(index: int, name: str) -> Request:
    """Take that place and its filters away."""
    body = _TCMSG.pack(0, index, _INGRESS_HANDLE, _INGRESS, 0)
    return Request(_DELQDISC, netlink.REQUEST, body, ("no longer look at what comes in through %s", name))


def redirect(index: int, name: str, target: int) -> Request:
    """Everything that comes in through the link goes through `target` first."""
    mirred = netlink.attr(_MIRRED_PARMS, _MIRRED.pack(0, 0, _STOLEN, 0, 0, _EGRESS_REDIRECT, target))
    action = netlink.nested(1, netlink.text(_ACT_KIND, "mirred"), netlink.nested(_ACT_OPTIONS, mirred))
    options = netlink.attr(_U32_SEL, _ANY) + netlink.nested(_U32_ACT, action)
    protocol = int.from_bytes(_ETH_P_ALL.to_bytes(2, "big"), sys.byteorder)
    body = (
        _TCMSG.pack(0, index, _U32_FILTER, _INGRESS_HANDLE, _PRIORITY << 16 | protocol)
        + netlink.text(_KIND, "u32")
        + netlink.nested(_OPTIONS, options)
    )
    flags = netlink.REQUEST | netlink.CREATE | netlink.EXCL
    return Request(_NEWTFILTER, flags, body, ("send what comes in through %s through its limit", name))


def get_limits() -> Request:
    """Read the queues of all links. Asked for the one of a single link, the kernel tells it to all who listen for
    changes."""
    return Request(_GETQDISC, netlink.DUMP, _TCMSG.pack(0, 0, 0, 0, 0), ("list the queues",))


def parse_limit(body: bytes) -> tuple[int, int]:
    """Index of the link and bytes a second of a token bucket that was read; (0, 0): it is another queue."""
    _, index, _, parent, _ = _TCMSG.unpack_from(body)
    found = netlink.attributes(body, _TCMSG.size)
    if netlink.string(found.get(_KIND, b"")) != "tbf" or parent != _ROOT:
        return 0, 0
    options = netlink.attributes(found.get(_OPTIONS, b""))
    rate = netlink.number(options.get(_TBF_RATE64, b"")) or _RATE_SPEC.unpack_from(options.get(_TBF_PARMS, b""))[-1]
    return index, rate


def get_filters(index: int) -> Request:
    """Read the filters of what comes in through the link."""
    return Request(_GETTFILTER, netlink.DUMP, _TCMSG.pack(0, index, 0, _INGRESS_HANDLE, 0), ("list the filters",))


def target(body: bytes) -> int:
    """Index of the link through which a filter that was read sends everything; 0: it does not."""
    options = netlink.attributes(netlink.attributes(body, _TCMSG.size).get(_OPTIONS, b""))
    action = netlink.attributes(netlink.attributes(options.get(_U32_ACT, b"")).get(1, b""))
    mirred = netlink.attributes(action.get(_ACT_OPTIONS, b"")).get(_MIRRED_PARMS, b"")
    return int(_MIRRED.unpack_from(mirred)[-1]) if len(mirred) >= _MIRRED.size else 0
