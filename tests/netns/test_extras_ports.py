"""Ports of the node that lead to Pods: packets of each protocol and family, conflicts, and nothing left."""

import contextlib
import socket
import struct
import threading
from ipaddress import ip_interface

import pytest
from netns.lab import Lab, Place, bridge, link, ready
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.datapath.model import Link, NodeLink
from podnet_kni_server.details import Extras, PortRecord, RoutedDetail

_GATEWAYS = (ip_interface("10.1.0.1/24"), ip_interface("fd00:1::1/64"))
_NODE4, _NODE6, _CLIENT4 = "203.0.113.1", "2001:db8:9::1", "203.0.113.2"
_TIMEOUT = 1.0


async def _one(lab: Lab) -> tuple[Place, KernelDatapath, Place, Place]:
    """Node, its datapath, a Pod whose default routes lead nowhere, and a client beyond the node."""
    node, pod, client = lab.place(), lab.place(), lab.place()
    lab.cable(node, client, "wan0")
    for place, four, six in ((node, _NODE4, _NODE6), (client, _CLIENT4, "2001:db8:9::2")):
        place.ip("addr", "add", f"{four}/24", "dev", "wan0")
        place.ip("addr", "add", f"{six}/64", "dev", "wan0", "nodad")
    node.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    datapath = lab.datapath(node)
    await ready(datapath, bridge(gateways=_GATEWAYS))
    return node, datapath, pod, client


def mapped(number: int, *ports: PortRecord, name: str = "net1", **changed: object) -> Link:
    """A link with ports."""
    return link(number, name=name, **{"extras": extras(number, *ports), **changed})  # type: ignore[arg-type]


def extras(number: int, *ports: PortRecord, **changed: object) -> Extras:
    """What asks for ports."""
    values = {"ports": list(ports), "hidden": True, "gateways": ["10.1.0.1", "fd00:1::1"], "pod": f"ns/pod-{number}"}
    return Extras(**{**values, **changed})  # type: ignore[arg-type]


def port(host: int, inside: int, **changed: str) -> PortRecord:
    """A port."""
    return PortRecord(host_port=host, container_port=inside, **changed)


def asked(
    source: Place, target: Place, address: str, host: int, inside: tuple[str, int], udp: bool = False, protocol: int = 0
) -> str:
    """Who the target saw when the source asked port `host` of an address and had its answer; "": it got none."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    with (
        target.inside(lambda: socket.socket(family, kind, protocol)) as server,
        source.inside(lambda: socket.socket(family, kind, protocol)) as client,
    ):
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(inside)
        if not udp:
            server.listen()
        server.settimeout(_TIMEOUT)
        client.settimeout(_TIMEOUT)
        seen: list[str] = []
        thread = threading.Thread(target=_answer_datagram if udp else _answer_stream, args=(server, seen))
        thread.start()
        try:
            client.connect((address, host))
            client.send(b"ask")
            return seen[0] if client.recv(10) == b"answer" else ""
        except OSError:
            return ""
        finally:
            thread.join()


def _answer_datagram(server: socket.socket, seen: list[str]) -> None:
    with contextlib.suppress(TimeoutError):
        _, sender = server.recvfrom(10)
        seen.append(sender[0])
        server.sendto(b"answer", sender)


def _answer_stream(server: socket.socket, seen: list[str]) -> None:
    with contextlib.suppress(TimeoutError):
        connection, sender = server.accept()
        with connection:
            seen.append(sender[0])
            connection.settimeout(_TIMEOUT)
            if connection.recv(10) == b"ask":
                connection.send(b"answer")


_BOTH = [port(8080, 80), port(8053, 53, protocol="UDP"), port(8132, 132, protocol="SCTP")]


async def test_from_outside_from_the_node_from_a_neighbour_and_from_the_pod_itself(lab: Lab) -> None:
    node, datapath, pod, client = await _one(lab)
    other = lab.place()
    await datapath.attach(other.path, [link(6)])
    for place in (pod, other):
        place.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1")
    wanted = mapped(5, *_BOTH)
    for _ in range(2):
        await datapath.attach(pod.path, [wanted])
    for place in (other, pod):
        place.ip("route", "add", f"{_NODE4}/32", "via", "10.1.0.1")
        place.ip("-6", "route", "add", f"{_NODE6}/128", "via", "fd00:1::1")
    for who, source in enumerate((client, node, other, pod)):
        assert (who, asked(source, pod, _NODE4, 8080, ("10.1.0.5", 80))) == (who, "10.1.0.1")
        assert (who, asked(source, pod, _NODE6, 8080, ("fd00:1::5", 80))) == (who, "fd00:1::1")
        assert (who, asked(source, pod, _NODE4, 8053, ("10.1.0.5", 53), udp=True)) == (who, "10.1.0.1")
    assert asked(client, pod, _NODE4, 8081, ("10.1.0.5", 80)) == ""
    await datapath.detach(pod.path, [wanted])
    assert "10.1.0.5" not in node.run("nft", "list", "table", "inet", "podnet_ports")


async def test_the_address_of_who_asks_is_kept_where_answers_come_back(lab: Lab) -> None:
    _, datapath, pod, client = await _one(lab)
    await datapath.attach(pod.path, [mapped(5, extras=extras(5, *_BOTH, hidden=False, table=4711))])
    client.ip("route", "add", "default", "via", _NODE4)
    assert asked(client, pod, _NODE4, 8080, ("10.1.0.5", 80)) == _CLIENT4
    assert asked(client, pod, _NODE6, 8080, ("fd00:1::5", 80)) == "2001:db8:9::2"


async def test_a_routed_link(lab: Lab) -> None:
    node, datapath, pod, client = await _one(lab)
    await ready(datapath, bridge(gateways=_GATEWAYS), NodeLink("routed", "far", versions=(4, 6)))
    hops = ["169.254.200.1", "fe80::1"]
    wanted = mapped(
        5,
        *_BOTH,
        kind="routed",
        host_name=link(5).host_name,
        master="",
        addresses=(ip_interface("10.3.0.5/32"), ip_interface("fd00:3::5/128")),
        detail=RoutedDetail(gateways=hops),
        extras=Extras(ports=_BOTH, hidden=True, gateways=hops, pod="ns/pod"),
    )
    await datapath.attach(pod.path, [wanted])
    await datapath.attach(pod.path, [wanted])
    for who, source in enumerate((client, node)):
        assert (who, asked(source, pod, _NODE4, 8080, ("10.3.0.5", 80))) == (who, hops[0])
        assert (who, asked(source, pod, _NODE6, 8080, ("fd00:3::5", 80))) == (who, hops[1])


async def test_one_address_of_the_node(lab: Lab) -> None:
    node, datapath, pod, client = await _one(lab)
    node.ip("addr", "add", "203.0.113.9/24", "dev", "wan0")
    await datapath.attach(pod.path, [mapped(5, port(8080, 80, host_ip="203.0.113.9"))])
    assert asked(client, pod, "203.0.113.9", 8080, ("10.1.0.5", 80))
    assert not asked(client, pod, _NODE4, 8080, ("10.1.0.5", 80))
    assert not asked(node, pod, "127.0.0.1", 8080, ("10.1.0.5", 80))


async def test_sctp(lab: Lab) -> None:
    """The machine may have no SCTP of its own: an INIT that the node has translated is enough."""
    _, datapath, pod, client = await _one(lab)
    await datapath.attach(pod.path, [mapped(5, *_BOTH)])
    with (
        client.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_SCTP)) as mouth,
        pod.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_SCTP)) as ears,
    ):
        ears.settimeout(_TIMEOUT)
        mouth.sendto(_init(5000, 8132), (_NODE4, 0))
        packet = ears.recv(2048)
    assert struct.unpack_from("!HH", packet, 20) == (5000, 132)


@pytest.mark.needs("sctp")
async def test_an_association_of_sctp(lab: Lab) -> None:
    node, datapath, pod, client = await _one(lab)
    wanted = mapped(5, *_BOTH)
    await datapath.attach(pod.path, [wanted])
    for who, source in enumerate((client, node)):
        for to, own, seen in ((_NODE4, "10.1.0.5", "10.1.0.1"), (_NODE6, "fd00:1::5", "fd00:1::1")):
            found = asked(source, pod, to, 8132, (own, 132), protocol=socket.IPPROTO_SCTP)
            assert (who, to, found) == (who, to, seen)
    await datapath.detach(pod.path, [wanted])
    with node.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)) as held:
        held.bind((_NODE4, 8132))
        held.listen()
        with pytest.raises(DatapathError, match="a process of the node listens on SCTP port 8132"):
            await datapath.attach(pod.path, [wanted])


def _init(source: int, target: int) -> bytes:
    """An SCTP packet with an INIT chunk (RFC 9260, 3.3.2)."""
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 0x01020304, 65535, 1, 1, 1)
    head = struct.pack("!HHI", source, target, 0)
    checksum = _crc32c(head + bytes(4) + chunk)
    return head + struct.pack("<I", checksum) + chunk


def _crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


@pytest.mark.parametrize(("held", "wanted"), [
    (port(8080, 80), port(8080, 81)),
    (port(8080, 80, host_ip=_NODE4), port(8080, 81)),
    (port(8080, 80), port(8080, 81, host_ip=_NODE4)),
])  # fmt: skip
async def test_a_port_that_another_pod_has_is_refused_by_name(lab: Lab, held: PortRecord, wanted: PortRecord) -> None:
    node, datapath, pod, _ = await _one(lab)
    other = lab.place()
    await datapath.attach(other.path, [mapped(6, held)])
    before = node.links(), node.run("nft", "list", "table", "inet", "podnet_ports")
    with pytest.raises(DatapathError, match=r"^cannot map ports to net1: TCP port 8080 .* leads to Pod ns/pod-6"):
        await datapath.attach(pod.path, [mapped(5, wanted)])
    assert (node.links(), node.run("nft", "list", "table", "inet", "podnet_ports")) == before
    await datapath.detach(other.path, [mapped(6, held)])
    await datapath.attach(pod.path, [mapped(5, wanted)])


async def test_the_same_port_of_another_protocol_or_address_is_free(lab: Lab) -> None:
    _, datapath, pod, _ = await _one(lab)
    other = lab.place()
    await datapath.attach(other.path, [mapped(6, port(8080, 80, host_ip=_NODE4))])
    free = port(8080, 80, protocol="UDP"), port(8080, 80, host_ip="203.0.113.9")
    await datapath.attach(pod.path, [mapped(5, *free)])


@pytest.mark.parametrize("udp", [False, True])
async def test_a_port_that_a_process_of_the_node_has_is_refused(lab: Lab, udp: bool) -> None:
    node, datapath, pod, _ = await _one(lab)
    kind, protocol = (socket.SOCK_DGRAM, "UDP") if udp else (socket.SOCK_STREAM, "TCP")
    wanted = mapped(5, port(8080, 80, protocol=protocol))
    with node.inside(lambda: socket.socket(socket.AF_INET6, kind)) as held:
        held.bind(("::", 8080))
        if not udp:
            held.listen()
        with pytest.raises(DatapathError, match=f"a process of the node listens on {protocol} port 8080"):
            await datapath.attach(pod.path, [wanted])
    assert pod.links() == {"lo"}
    await datapath.attach(pod.path, [wanted])


async def test_somebody_who_sends_all_the_time_is_led_anew(lab: Lab) -> None:
    """The kernel would go on leading a flow of UDP as it did when it began."""
    _, datapath, pod, client = await _one(lab)
    other = lab.place()
    with (
        client.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as mouth,
        pod.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as first,
        other.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as second,
    ):
        for ears in (first, second):
            ears.bind(("", 53))
            ears.settimeout(_TIMEOUT)
        mouth.sendto(b"before", (_NODE4, 8053))
        await datapath.attach(pod.path, [mapped(5, *_BOTH)])
        mouth.sendto(b"one", (_NODE4, 8053))
        assert first.recv(10) == b"one"
        await datapath.detach(pod.path, [mapped(5, *_BOTH)])
        mouth.sendto(b"between", (_NODE4, 8053))
        await datapath.attach(other.path, [mapped(6, *_BOTH)])
        mouth.sendto(b"two", (_NODE4, 8053))
        assert second.recv(10) == b"two"


async def test_ports_follow_another_address(lab: Lab) -> None:
    _, datapath, pod, client = await _one(lab)
    await datapath.attach(pod.path, [mapped(5, *_BOTH)])
    moved = mapped(5, *_BOTH, addresses=(ip_interface("10.1.0.8/24"),))
    await datapath.readdress(pod.path, moved, [ip_interface("10.1.0.5/24"), ip_interface("fd00:1::5/64")])
    assert asked(client, pod, _NODE4, 8080, ("10.1.0.8", 80))


async def test_sweep_and_a_namespace_that_is_gone(lab: Lab) -> None:
    node, datapath, pod, _ = await _one(lab)
    kept, lost, gone = mapped(5, *_BOTH), mapped(6, port(9090, 90), name="net2"), mapped(7, port(9191, 91), name="net3")
    await datapath.attach(pod.path, [kept, lost, gone])
    await datapath.detach(None, [gone])
    await datapath.detach(None, [gone])
    await datapath.sweep({kept.host_name})
    listed = node.run("nft", "list", "table", "inet", "podnet_ports")
    assert "8080" in listed
    assert "9090" not in listed
    assert "9191" not in listed
    await datapath.sweep(set())
    assert "elements" not in node.run("nft", "list", "table", "inet", "podnet_ports")
