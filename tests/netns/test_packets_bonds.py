"""Bonds that need a partner: LACP (IEEE 802.1AX) between a bond of a Pod and one at the far end of its cables."""

import asyncio
import dataclasses
import pathlib
import re
from collections.abc import Callable

import msgspec
import pytest
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
    bond = link(5, kind="bond", name="bond0", master="", mac="02:00:00:00:01:05", detail=LACP)
    wanted = [_part(1, "cab0"), _part(2, "cab1"), bond]
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


async def _until(probe: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not probe():
            await asyncio.sleep(0.2)
