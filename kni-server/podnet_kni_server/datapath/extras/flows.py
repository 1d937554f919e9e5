"""Flows that the kernel knows: those of UDP go on as they were, however the node's ports lead now, as long as somebody
sends. Numbers of nfnetlink_conntrack.h; the filter needs Linux 5.8, and an older kernel keeps such flows.
"""

import struct
from collections.abc import Iterable

from podnet_kni_server.datapath import inet, netlink
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.details import PortRecord

_DELETE = 1 << 8 | 2
_TUPLE_ORIGINAL, _TUPLE_PROTOCOL, _FILTER = 1, 2, 25
_NUMBER, _TARGET_PORT = 1, 3
_ORIGINAL_FLAGS, _REPLY_FLAGS = 1, 2
_BY_NUMBER, _BY_TARGET_PORT = 1 << 3, 1 << 5
_UDP = 17


def forget(node: Node, ports: Iterable[PortRecord]) -> None:
    """Forget the flows of UDP to these ports of the node; that there are none is no failure."""
    requests = [_deletion(version, port.host_port) for port in ports if port.protocol == "UDP" for version in (4, 6)]
    node.netfilter.batch(requests)


def _deletion(version: int, port: int) -> Request:
    protocol = netlink.nested(
        _TUPLE_PROTOCOL, netlink.u8(_NUMBER, _UDP), netlink.attr(_TARGET_PORT, port.to_bytes(2, "big"))
    )
    flags = netlink.u32(_ORIGINAL_FLAGS, _BY_NUMBER | _BY_TARGET_PORT), netlink.u32(_REPLY_FLAGS, 0)
    body = struct.pack("=BBH", inet.family(version), 0, 0)
    body += netlink.nested(_TUPLE_ORIGINAL, protocol) + netlink.nested(_FILTER, *flags)
    return Request(_DELETE, netlink.REQUEST, body, ("forget the flows to UDP port %d", port))
