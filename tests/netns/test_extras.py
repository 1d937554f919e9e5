"""What an interface has on top of its kind: each with packets, again and again, and gone without a trace."""

import contextlib
import errno
import json
import socket
import threading
import time
from ipaddress import ip_address, ip_interface

import pytest
from netns.lab import Lab, Place, bridge, crosses, link, ready, route
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.details import Extras, ShapingRecord

_GATEWAYS = (ip_interface("10.1.0.1/24"), ip_interface("fd00:1::1/64"))
_MEGABIT = 10**6


async def _one(lab: Lab) -> tuple[Place, KernelDatapath, Place]:
    node, pod = lab.place(), lab.place()
    node.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    datapath = lab.datapath(node)
    await ready(datapath, bridge(gateways=_GATEWAYS))
    return node, datapath, pod


def _flags(pod: Place) -> set[str]:
    (shown,) = json.loads(pod.ip("-j", "-d", "link", "show", "net1"))
    wanted = {"PROMISC": shown.get("promiscuity", 0), "ALLMULTI": shown.get("allmulti", 0)}
    return {word for word, count in wanted.items() if count}


async def test_sysctls_of_interface_and_namespace(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    wanted = link(5, extras=Extras(sysctls={"net/ipv4/conf/net1/arp_ignore": "2", "net/core/somaxconn": "777"}))
    for _ in range(2):
        await datapath.attach(pod.path, [wanted])
        assert pod.run("cat", "/proc/sys/net/ipv4/conf/net1/arp_ignore").strip() == "2"
    assert pod.run("cat", "/proc/sys/net/core/somaxconn").strip() == "777"
    await datapath.detach(pod.path, [wanted])
    assert pod.links() == {"lo"}


@pytest.mark.parametrize(("name", "value", "words"), [
    ("net/ipv4/conf/net1/absent", "1", "the Pod's namespace has no such parameter"),
    ("net/core/somaxconn", "many", "Invalid argument"),
])  # fmt: skip
async def test_sysctls_that_cannot_be_set_leave_nothing(lab: Lab, name: str, value: str, words: str) -> None:
    node, datapath, pod = await _one(lab)
    before = node.links()
    with pytest.raises(DatapathError, match=f"^cannot set {name} for net1.*{words}"):
        await datapath.attach(pod.path, [link(5, extras=Extras(sysctls={name: value}))])
    assert (node.links(), pod.links()) == (before, {"lo"})


@pytest.mark.parametrize("kind", ["veth", "macvlan"])
async def test_promiscuous_and_all_multicast(lab: Lab, kind: str) -> None:
    node, datapath, pod = await _one(lab)
    far = lab.place()
    lab.cable(node, far)
    master = "br0" if kind == "veth" else "up0"
    for asked, flags in ((Extras(promiscuous=True), {"PROMISC"}), (Extras(all_multicast=True), {"ALLMULTI"})):
        wanted = link(5, kind=kind, master=master, extras=asked)
        await datapath.attach(pod.path, [wanted])
        await datapath.attach(pod.path, [wanted])
        assert _flags(pod) == flags
        await datapath.detach(pod.path, [wanted])


def _received(source: Place, target: Place, address: str, seconds: float) -> float:
    """Bits per second of datagrams that arrive when far more are sent."""
    with (
        target.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server,
        source.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client,
    ):
        server.bind((address, 9999))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        server.settimeout(0.05)
        stop = threading.Event()
        thread = threading.Thread(target=_pour, args=(client, address, stop))
        thread.start()
        time.sleep(0.3)  # the first burst is not the rate
        begin, total = time.monotonic(), 0
        while time.monotonic() < begin + seconds:
            with contextlib.suppress(TimeoutError):
                total += len(server.recv(2048)) + 42
        stop.set()
        thread.join()
        return total * 8 / (time.monotonic() - begin)


def _pour(client: socket.socket, address: str, stop: threading.Event) -> None:
    while not stop.is_set():
        for _ in range(20):
            try:
                client.sendto(bytes(1000), (address, 9999))
            except OSError as error:
                if error.errno not in (errno.ENOBUFS, errno.EAGAIN):
                    raise
        time.sleep(0.002)


async def test_rates_both_ways_and_nothing_stays(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    other = lab.place()
    await datapath.attach(other.path, [link(6)])
    limits = ShapingRecord(ingress_rate=4 * _MEGABIT, egress_rate=12 * _MEGABIT)
    limited = link(5, anti_spoof=True, extras=Extras(shaping=limits))
    before = node.links()
    await datapath.attach(pod.path, [limited])
    await datapath.attach(pod.path, [limited])
    assert len(node.links() - before) == 2
    assert crosses(pod, other, "10.1.0.6")
    towards, away = _received(other, pod, "10.1.0.5", 1.0), _received(pod, other, "10.1.0.6", 1.0)
    assert 0.5 < towards / limits.ingress_rate < 1.5
    assert 0.5 < away / limits.egress_rate < 1.5
    shown = node.run("tc", "qdisc", "show", "dev", limited.host_name)
    assert "tbf" in shown
    assert "ingress" in shown
    assert "tbf" not in pod.run("tc", "qdisc", "show")
    for path in (pod.path, pod.path, None):
        await datapath.detach(path, [limited])
        assert node.links() == before


async def test_a_limit_whose_device_is_gone_is_made_again(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    other = lab.place()
    await datapath.attach(other.path, [link(6)])
    limited = link(5, extras=Extras(shaping=ShapingRecord(egress_rate=50 * _MEGABIT)))
    await datapath.attach(pod.path, [limited])
    (device,) = (name for name in node.links() if name.startswith("pnq"))
    node.ip("link", "delete", device)
    assert not crosses(pod, other, "10.1.0.6", patience=0.3)
    await datapath.attach(pod.path, [limited])
    assert crosses(pod, other, "10.1.0.6")


async def test_rates_beyond_32_bits_of_bytes(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    limited = link(5, extras=Extras(shaping=ShapingRecord(ingress_rate=100 * 10**9, ingress_burst=10**12)))
    await datapath.attach(pod.path, [limited])
    assert "rate 100Gbit" in node.run("tc", "qdisc", "show", "dev", limited.host_name)


async def test_bursts_are_those_asked_for(lab: Lab) -> None:
    """What comes from the Pod waits in an ifb device, so that the burst is the same both ways."""
    node, datapath, pod = await _one(lab)
    limits = ShapingRecord(
        ingress_rate=4 * _MEGABIT, ingress_burst=8 * _MEGABIT, egress_rate=2 * _MEGABIT, egress_burst=16 * _MEGABIT
    )
    limited = link(5, extras=Extras(shaping=limits))
    await datapath.attach(pod.path, [limited])
    (device,) = (name for name in node.links() if name.startswith("pnq"))
    for name, burst in ((limited.host_name, 10**6), (device, 2 * 10**6)):
        (shown,) = (
            one for one in json.loads(node.run("tc", "-j", "qdisc", "show", "dev", name)) if one["kind"] == "tbf"
        )
        assert abs(shown["options"]["burst"] - burst) < burst / 100, (name, shown)
    other = lab.place()
    await datapath.attach(other.path, [link(6)])
    assert crosses(other, pod, "10.1.0.5")
    assert _at_once(other, pod, "10.1.0.5") >= 400_000, "a tenth of the time that the rate alone would take"
    assert _at_once(pod, other, "10.1.0.6") >= 400_000


def _at_once(source: Place, target: Place, address: str) -> int:
    """Bytes that arrive within 0.1 s of 500,000 sent."""
    with (
        target.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server,
        source.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client,
    ):
        server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
        server.bind((address, 9998))
        for _ in range(500):
            client.sendto(bytes(1000), (address, 9998))
        time.sleep(0.1)
        server.setblocking(False)
        total = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                total += len(server.recv(2048))
        return total


SO_RCVBUFFORCE = 33


async def test_sweep_takes_limits_that_no_record_names(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    before = node.links()
    shaped = Extras(shaping=ShapingRecord(egress_rate=_MEGABIT))
    kept, lost = (link(number, name=f"net{number}", extras=shaped) for number in (5, 6))
    await datapath.attach(pod.path, [kept])
    only_kept = node.links()
    await datapath.attach(pod.path, [lost])
    await datapath.sweep({kept.host_name})
    assert node.links() == only_kept
    await datapath.sweep(set())
    assert node.links() == before


def _elsewhere(lab: Lab, node: Place, pod: Place) -> Place:
    """A client beyond the node; the Pod's default routes lead to where nobody answers."""
    client = lab.place()
    lab.cable(node, client, "wan0")
    for place, four, six in ((node, "203.0.113.1", "2001:db8:9::1"), (client, "203.0.113.2", "2001:db8:9::2")):
        place.ip("addr", "add", f"{four}/24", "dev", "wan0")
        place.ip("addr", "add", f"{six}/64", "dev", "wan0", "nodad")
    client.ip("route", "add", "default", "via", "203.0.113.1")
    client.ip("-6", "route", "add", "default", "via", "2001:db8:9::1")
    pod.ip("link", "add", "eth0", "type", "veth", "peer", "name", "far0")
    for name in ("eth0", "far0"):
        pod.ip("link", "set", name, "up")
    pod.ip("addr", "add", "192.0.2.2/24", "dev", "eth0")
    pod.ip("addr", "add", "2001:db8::2/64", "dev", "eth0", "nodad")
    pod.ip("route", "add", "default", "via", "192.0.2.1")
    pod.ip("-6", "route", "add", "default", "via", "2001:db8::1")
    node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    return client


def _routed(number: int, table: int, **changed: object) -> Link:
    extras = Extras(table=table, gateways=["10.1.0.1", "fd00:1::1"])
    return link(number, extras=extras, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["10.1.0.5", "fd00:1::5"])
async def test_answers_leave_where_the_question_came_in(lab: Lab, address: str) -> None:
    node, datapath, pod = await _one(lab)
    client = _elsewhere(lab, node, pod)
    plain = link(5)
    await datapath.attach(pod.path, [plain])
    assert not crosses(client, pod, address, patience=0.3), "the answer leaves by eth0"
    await datapath.detach(pod.path, [plain])
    own = _routed(5, 4711)
    for _ in range(2):
        await datapath.attach(pod.path, [own])
        assert crosses(client, pod, address)
    await datapath.detach(pod.path, [own])
    for family in ("-4", "-6"):
        assert "4711" not in pod.ip(family, "rule")
        assert pod.ip(family, "route", "show", "table", "all").count("4711") == 0


async def test_two_networks_have_a_table_each(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    await ready(datapath, bridge(gateways=_GATEWAYS), bridge("br1", gateways=(ip_interface("10.2.0.1/24"),)))
    client = _elsewhere(lab, node, pod)
    second = link(
        6,
        name="net2",
        master="br1",
        addresses=(ip_interface("10.2.0.6/24"),),
        extras=Extras(table=4712, gateways=["10.2.0.1"]),
    )
    await datapath.attach(pod.path, [_routed(5, 4711), second])
    for address in ("10.1.0.5", "fd00:1::5", "10.2.0.6"):
        assert crosses(client, pod, address), address


async def test_a_table_without_a_gateway_leaves_the_rest_to_the_main_one(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    _elsewhere(lab, node, pod)
    own = link(5, routes=(route("10.9.0.0/16", "10.1.0.1"),), extras=Extras(table=4711))
    await datapath.attach(pod.path, [own])
    found = {one["dst"] for one in json.loads(pod.ip("-j", "route", "show", "table", "4711"))}
    assert found == {"10.1.0.0/24", "10.9.0.0/16"}
    (chosen,) = json.loads(pod.ip("-j", "route", "get", "198.51.100.1", "from", "10.1.0.5"))
    assert chosen["dev"] == "eth0"
    assert crosses(pod, node, "10.1.0.1")


async def test_rules_follow_other_addresses(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    client = _elsewhere(lab, node, pod)
    await datapath.attach(pod.path, [_routed(5, 4711)])
    moved = _routed(5, 4711, addresses=(ip_interface("10.1.0.8/24"), ip_interface("fd00:1::5/64")))
    await datapath.readdress(pod.path, moved, [ip_interface("10.1.0.5/24")])
    assert crosses(client, pod, "10.1.0.8")
    assert crosses(client, pod, "fd00:1::5")
    assert "10.1.0.5" not in pod.ip("rule")


@pytest.mark.parametrize("version", [4, 6])
async def test_a_default_gateway_of_one_family_alone(lab: Lab, version: int) -> None:
    """The other family's default route stays with eth0."""
    node, datapath, pod = await _one(lab)
    client = _elsewhere(lab, node, pod)
    gateway = ip_address("10.1.0.1" if version == 4 else "fd00:1::1")
    await datapath.attach(pod.path, [link(5, default_gateways=(gateway,))])
    for family, address in ((4, "203.0.113.2"), (6, "2001:db8:9::2")):
        assert crosses(pod, client, address, patience=5 if family == version else 0.3) == (family == version)
        (shown,) = json.loads(pod.ip("-j", f"-{family}", "route", "show", "default"))
        assert shown["dev"] == ("net1" if family == version else "eth0")
