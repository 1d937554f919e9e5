"""CHECK of what is on top of a link: each thing that can be taken away by hand is found, said and put back."""

from collections.abc import Callable
from ipaddress import ip_interface

import pytest
from netns.lab import Lab, Place, bridge, link, ready
from podnet_kni_server.datapath.extras.shaping import device_of
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.details import Extras, PortRecord, ShapingRecord

_GATEWAYS = (ip_interface("10.1.0.1/24"), ip_interface("fd00:1::1/64"))
_TABLE = 1 << 30
WANTED = link(
    5,
    extras=Extras(
        sysctls={"net/ipv4/conf/net1/arp_ignore": "2", "net/ipv4/tcp_rmem": "4096 131072 6291456"},
        promiscuous=True,
        all_multicast=True,
        shaping=ShapingRecord(ingress_rate=10**9, egress_rate=2 * 10**9),
        ports=[PortRecord(host_port=8080, container_port=80)],
        hidden=True,
        table=_TABLE,
        gateways=["10.1.0.1", "fd00:1::1"],
        pod="ns/p",
    ),
)
HOST, DEVICE = WANTED.host_name, device_of(WANTED.host_name)
_RULES = "net1 had lost the rules of its ports"


async def _one(lab: Lab) -> tuple[Place, KernelDatapath, Place]:
    node, pod = lab.place(), lab.place()
    node.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    datapath = lab.datapath(node)
    await ready(datapath, bridge(gateways=_GATEWAYS))
    await datapath.attach(pod.path, [WANTED])
    return node, datapath, pod


async def test_what_is_as_made_needs_nothing(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    assert (await datapath.check(pod.path, [WANTED])).findings == ()


DAMAGE: dict[str, tuple[Callable[[Place, Place], object], list[str]]] = {
    "sysctl": (
        lambda node, pod: pod.run("sysctl", "-qw", "net.ipv4.conf.net1.arp_ignore=0"),
        ["net1 had net/ipv4/conf/net1/arp_ignore at 0"],
    ),
    "promisc": (
        lambda node, pod: pod.ip("link", "set", "net1", "promisc", "off", "allmulticast", "off"),
        ["net1 was no longer promiscuous", "net1 was no longer all-multicast"],
    ),
    "ingress": (
        lambda node, pod: node.run("tc", "qdisc", "del", "dev", HOST, "root"),
        ["net1 had lost the limit of what comes to it"],
    ),
    "another rate": (
        lambda node, pod: node.run(
            "tc", "qdisc", "change", "dev", HOST, "root", "tbf", "rate", "2gbit", "burst", "64kb", "latency", "50ms"
        ),
        ["net1 had lost the limit of what comes to it"],
    ),
    "filter": (
        lambda node, pod: node.run("tc", "filter", "del", "dev", HOST, "ingress"),
        ["net1 had lost the limit of what it sends"],
    ),
    "device": (
        lambda node, pod: node.ip("link", "del", DEVICE),
        ["net1 had lost the limit of what it sends"],
    ),
    "another device of the name": (
        lambda node, pod: (node.ip("link", "del", DEVICE), node.ip("link", "add", DEVICE, "type", "ifb")),
        ["net1 had lost the limit of what it sends"],
    ),
    "rule": (
        lambda node, pod: pod.ip("rule", "del", "from", "10.1.0.5"),
        ["net1 had lost the rule for what comes from 10.1.0.5"],
    ),
    "rule6": (
        lambda node, pod: pod.ip("-6", "rule", "del", "from", "fd00:1::5"),
        ["net1 had lost the rule for what comes from fd00:1::5"],
    ),
    "table": (
        lambda node, pod: pod.ip("route", "flush", "table", str(_TABLE)),
        ["net1 had lost its own route to 10.1.0.0/24", "net1 had lost its own route to 0.0.0.0/0"],
    ),
    "another next hop": (
        lambda node, pod: (
            pod.ip("route", "del", "default", "table", str(_TABLE)),
            pod.ip("-6", "route", "del", "default", "table", str(_TABLE)),
        ),
        ["net1 had lost its own route to 0.0.0.0/0", "net1 had lost its own route to ::/0"],
    ),
    "port": (
        lambda node, pod: node.run("nft", "flush map inet podnet_ports any4"),
        ["net1 had lost TCP port 8080 of the node"],
    ),
    "port rules": (lambda node, pod: node.run("nft", "flush chain inet podnet_ports translate"), [_RULES]),
    "source": (lambda node, pod: node.run("nft", "flush map inet podnet_ports hide6"), [_RULES]),
    "port table": (
        lambda node, pod: node.run("nft", "delete table inet podnet_ports"),
        ["net1 had lost TCP port 8080 of the node", _RULES],
    ),
}


@pytest.mark.parametrize("how", DAMAGE)
async def test_damage_is_repaired_and_said(lab: Lab, how: str) -> None:
    node, datapath, pod = await _one(lab)
    damage, words = DAMAGE[how]
    damage(node, pod)
    found = await datapath.check(pod.path, [WANTED])
    said = [finding.what for finding in found.findings]
    assert sorted(set(said)) == sorted(words)
    assert all(finding.repaired for finding in found.findings), found.findings
    assert (await datapath.check(pod.path, [WANTED])).findings == (), "all of it was repaired"


async def test_of_two_that_ask_for_one_parameter_the_last_decides(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    first = link(6, extras=Extras(sysctls={"net/core/somaxconn": "777"}))
    second = link(7, name="net2", extras=Extras(sysctls={"net/core/somaxconn": "888"}))
    await datapath.detach(pod.path, [WANTED])
    await datapath.attach(pod.path, [first, second])
    assert (await datapath.check(pod.path, [first, second])).findings == ()
    pod.run("sysctl", "-qw", "net.core.somaxconn=128")
    [finding] = (await datapath.check(pod.path, [first, second])).findings
    assert finding.what == "net2 had net/core/somaxconn at 128"
    assert pod.run("cat", "/proc/sys/net/core/somaxconn").strip() == "888"


async def test_what_the_kernel_says_in_other_words_is_as_it_was_made(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    wanted = link(6, name="net2", extras=Extras(sysctls={"net/ipv4/ip_local_reserved_ports": "9148,8080"}))
    await datapath.attach(pod.path, [wanted])
    assert pod.run("cat", "/proc/sys/net/ipv4/ip_local_reserved_ports").strip() == "8080,9148"
    assert (await datapath.check(pod.path, [wanted])).findings == ()


async def test_what_cannot_be_put_back_is_said(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    node.run("nft", "flush map inet podnet_ports any4")
    node.run("nft", 'add element inet podnet_ports any4 { tcp . 8080 comment "pnvother ns/other" : 10.1.0.9 . 80 }')
    found = await datapath.check(pod.path, [WANTED])
    [finding] = [one for one in found.findings if not one.repaired]
    assert "TCP port 8080 of the node leads to Pod ns/other already" in finding.why
