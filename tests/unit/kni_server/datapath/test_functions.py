"""Messages about virtual functions, as tables. That the kernel takes them is shown in the VM."""

import struct

import msgspec
import pytest
from podnet_kni_server.datapath import functions, links, netlink
from podnet_kni_server.datapath.functions import Settings


def test_what_the_kernel_tells_is_understood() -> None:
    body = (
        links.header(7) + netlink.text(links.IFNAME, "eth0") + netlink.nested(22, _told(0), _told(3, vlan=5, rate=90))
    )
    found = functions.parse(body)
    assert sorted(found) == [0, 3]
    assert found[0] == Settings(mac="02:00:00:00:00:00")
    assert (found[3].mac, found[3].vlan, found[3].max_tx_rate) == ("02:00:00:00:00:03", 5, 90)


def _told(number: int, vlan: int = 0, rate: int = 0) -> bytes:
    """One IFLA_VF_INFO as the kernel writes it; of link state and trust its driver says nothing."""
    mac = struct.pack("=I", number) + bytes.fromhex(f"0200000000{number:02x}").ljust(32, b"\0")
    protocol = struct.pack("=III", number, vlan, 0) + b"\x81\x00\0\0"
    unknown = struct.pack("=II", number, 0xFFFFFFFF)
    parts = [netlink.attr(1, mac), netlink.attr(2, struct.pack("=III", number, vlan, 0))]
    parts += [netlink.attr(4, struct.pack("=II", number, 1)), netlink.attr(6, struct.pack("=III", number, 0, rate))]
    parts += [netlink.attr(5, unknown), netlink.attr(9, unknown), netlink.nested(12, netlink.attr(1, protocol))]
    return netlink.nested(1, *parts)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"vlan": 5}, "VLAN"),
        ({"qos": 3}, "VLAN"),
        ({"vlan": 5, "vlan_protocol": 0x88A8}, "VLAN"),
        ({"spoof_check": False}, "spoof check"),
        ({"trust": True}, "trust"),
        ({"link_state": 2}, "link state"),
        ({"min_tx_rate": 10}, "transmit rates"),
        ({"max_tx_rate": 10}, "transmit rates"),
    ],
)
def test_only_what_differs_is_asked_of_the_driver(changed: dict[str, object], what: str) -> None:
    wanted = msgspec.structs.replace(Settings(), **changed)
    (request,) = functions.changes(7, "eth0", 3, Settings(), wanted)
    assert request.describe() == f"set the {what} of virtual function 3 of eth0"
    (back,) = functions.changes(7, "eth0", 3, wanted, Settings())
    assert back.describe() == request.describe()
    assert functions.changes(7, "eth0", 3, wanted, wanted) == []


def test_a_mac_address_is_set_apart() -> None:
    assert functions.changes(7, "eth0", 3, Settings(), Settings(mac="02:00:00:00:00:01")) == []
    request = functions.set_mac(7, "eth0", 3, "02:00:00:00:00:01")
    assert struct.pack("=I", 3) + bytes.fromhex("020000000001") in request.body
