"""Bonds: what of them the kernel has, by which of its links a flow leaves, and those that need a partner: LACP (IEEE
802.1AX) between a bond of a Pod and one at the far end of its cables."""

import asyncio
import dataclasses
import pathlib
import re
import socket
from collections.abc import Callable

import msgspec
import pytest
from netns.kinds_lab import bond, stage
from netns.lab import Lab, Place, crosses, link
from podnet_kni_server.datapath.lent import Ledger
from podnet_kni_server.datapath.model import Link, host_name
from podnet_kni_server.details import BondDetail, HostDeviceDetail

CABLES = ("cab0", "cab1")
LACP = BondDetail(parts=["net1", "net2"], mode="802.3ad", xmit_hash_policy="layer2+3")


def _part(number: int, cable: str) -> Link:
    name = f"net{number}"
    detail = HostDeviceDetail(pod="ns/p", name=cable)
    host = host_name("s", name)
    return link(number, name=name, kind="hostDevice", master="", mac="", addresses=(), host_name=host, detail=detail)


def _far(far: Place) -> None:
    """What a switch does: a bond of the same mode over its ends."""
    far.ip("link", "add", "lag0", "type", "bond", "mode", "802.3ad", "miimon", "100", "lacp_rate", "fast")
    for cable in CABLES:
        far.ip("link", "set", cable, "down")
        far.ip("link", "set", cable, "master", "lag0")
    far.ip("link", "set", "lag0", "up")
    far.ip("addr", "add", "10.1.0.1/24", "dev", "lag0")


def _partner(pod: Place) -> tuple[str, int]:
    """The MAC address of the system at the other end, and how many ports go by one aggregator with it."""
    told = pod.run("cat", "/proc/net/bonding/bond0")
    partner = re.search(r"Partner Mac Address: (\S+)", told)
    ports = re.search(r"Number of ports: (\d+)", told)
    return (partner[1] if partner else "", int(ports[1]) if ports else 0)


@pytest.mark.needs("bond")
async def test_two_bonds_agree_by_lacp(lab: Lab, tmp_path: pathlib.Path) -> None:
    node, far, pod = lab.place(), lab.place(), lab.place()
    for cable in CABLES:
        lab.cable(node, far, cable)
    _far(far)
    datapath = lab.datapath(node, Ledger(tmp_path))
    made_of_them = link(5, kind="bond", name="bond0", master="", mac="02:00:00:00:01:05", detail=LACP)
    wanted = [_part(1, "cab0"), _part(2, "cab1"), made_of_them]
    made = await datapath.attach(pod.path, wanted)
    await _until(lambda: _partner(pod)[1] == 2, 20)
    (address,) = msgspec.json.decode(far.ip("-j", "link", "show", "lag0"), type=list[dict[str, object]])
    assert _partner(pod)[0] == address["address"]
    assert crosses(pod, far, "10.1.0.1")
    far.ip("link", "set", "cab0", "down")
    await _until(lambda: _partner(pod)[1] == 1, 20)
    assert crosses(pod, far, "10.1.0.1"), "over the other cable"
    recorded = [dataclasses.replace(one, mac=seen.mac) for one, seen in zip(wanted, made, strict=True)]
    assert [one.index for one in await datapath.attach(pod.path, recorded)] == [one.index for one in made]
    await datapath.detach(pod.path, wanted)
    assert pod.links() == {"lo"}
    assert node.links() == {"lo", *CABLES}, "given back"


SETTINGS = [
    BondDetail(parts=["net1", "net2"], mode=mode, miimon=miimon, xmit_hash_policy=policy, fail_over_mac=mac)
    for mode, miimon, policy, mac in (
        ("balance-rr", 100, "layer2", "none"),
        ("active-backup", 50, "layer2", "active"),
        ("active-backup", 0, "layer2", "follow"),
        ("balance-xor", 200, "layer2+3", "none"),
        ("balance-xor", 100, "encap2+3", "none"),
        ("balance-xor", 100, "encap3+4", "none"),
        ("balance-xor", 100, "vlan+srcmac", "none"),
        ("broadcast", 100, "layer2", "none"),
        ("802.3ad", 100, "layer3+4", "none"),
        ("balance-tlb", 1000, "layer3+4", "none"),
        ("balance-alb", 50, "layer2", "none"),
    )
]


@pytest.mark.needs("bond")
async def test_the_kernel_has_every_setting(lab: Lab) -> None:
    """And a bond whose setting somebody changed is made anew."""
    on = await stage(lab)
    pod = lab.place()
    for detail in SETTINGS:
        wanted = bond(5, detail=detail)
        wanted[-1] = dataclasses.replace(wanted[-1], mac="" if detail.fail_over_mac != "none" else wanted[-1].mac)
        await on.datapath.attach(pod.path, wanted)
        asked = (detail.mode, detail.miimon, detail.xmit_hash_policy, detail.fail_over_mac)
        assert _settings(pod) == asked
        pod.ip("link", "set", "bond0", "type", "bond", "miimon", "333")
        found = await on.datapath.check(pod.path, wanted)
        assert [one.what for one in found.findings if one.repaired] == ["bond0 was not as it was made"], asked
        assert _settings(pod) == asked
        await on.datapath.detach(pod.path, wanted)


def _settings(pod: Place) -> tuple[object, ...]:
    (shown,) = msgspec.json.decode(pod.ip("-j", "-d", "link", "show", "bond0"))
    has = shown["linkinfo"]["info_data"]
    return tuple(has[key] for key in ("mode", "miimon", "xmit_hash_policy", "fail_over_mac"))


@pytest.mark.needs("bond")
async def test_the_hash_policy_chooses_the_link(lab: Lab) -> None:
    """Many flows to one neighbour: by their MAC addresses they are one, by their ports they are many."""
    on = await stage(lab)
    pod, other = lab.place(), lab.place()
    await on.datapath.attach(other.path, [link(6)])
    for policy, parts in (("layer2", 1), ("layer3+4", 2)):
        wanted = bond(5, detail=BondDetail(parts=["net1", "net2"], mode="balance-xor", xmit_hash_policy=policy))
        await on.datapath.attach(pod.path, wanted)
        assert crosses(pod, other, "10.1.0.6")
        before = _sent(pod)
        for _ in range(64):
            with pod.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
                for _ in range(4):
                    client.sendto(b"a flow of its own", ("10.1.0.6", 9))
        used = [name for name, count in _sent(pod).items() if count - before[name] > 20]
        assert len(used) == parts, (policy, before, _sent(pod))
        await on.datapath.detach(pod.path, wanted)


def _sent(pod: Place) -> dict[str, int]:
    shown = msgspec.json.decode(pod.ip("-j", "-s", "link"))
    return {one["ifname"]: one["stats64"]["tx"]["packets"] for one in shown if one["ifname"] in ("net1", "net2")}


async def _until(probe: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not probe():
            await asyncio.sleep(0.2)
