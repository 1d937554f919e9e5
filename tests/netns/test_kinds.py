"""Links of every kind: twice is once, what is damaged is mended, a failure leaves nothing, a lost namespace is no
error. What this machine's kernel lacks runs in the VM (`make vm`)."""

import asyncio
import dataclasses
import json
import pathlib
import subprocess
import sys
import time
from ipaddress import ip_interface

import pytest
from netns.kinds_lab import KINDS, bond, every_kind, routed, stage, tap, upon, vrf
from netns.lab import Lab, Place, crosses, link
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.details import BondDetail, MacvtapDetail, TapDetail


def _state(node: Place, pod: Place, directory: pathlib.Path) -> tuple[object, ...]:
    """Everything that an attach changes."""
    routes = [place.ip(family, "route", "show", "table", "all") for place in (node, pod) for family in ("-4", "-6")]
    lines = (text.replace("linkdown", "").splitlines() for text in routes)  # a carrier takes a moment
    own = [sorted(" ".join(line.split()) for line in each if "10." in line or "fd00" in line) for each in lines]
    guards = node.run("nft", "list", "ruleset") if "podnet" in node.run("nft", "list", "tables") else ""
    files = sorted(str(path) for path in (directory / "userspace").glob("*/*"))
    return node.links(), pod.links(), own, guards, files, node.ip("neigh", "show", "proxy")


_ABSENT = link(9, name="net9", master="absent")
"""It cannot be made."""


@every_kind
async def test_twice_is_once(lab: Lab, kind: str, tmp_path: pathlib.Path) -> None:
    """Also when another link fails the second time."""
    on = await stage(lab)
    pod = lab.place()
    wanted = KINDS[kind](5, tmp_path)
    first = await on.datapath.attach(pod.path, wanted)
    before = _state(on.node, pod, tmp_path)
    assert [(one.name, one.addresses) for one in first] == [(one.name, one.addresses) for one in wanted]
    assert all(one.up for one in first)
    second = await on.datapath.attach(pod.path, wanted)
    assert [(one.name, one.index, one.mac, one.mtu) for one in second] == [
        (one.name, one.index, one.mac, one.mtu) for one in first
    ]
    assert _state(on.node, pod, tmp_path) == before
    with pytest.raises(DatapathError, match="net9"):
        await on.datapath.attach(pod.path, [*wanted, _ABSENT])
    assert _state(on.node, pod, tmp_path) == before


@every_kind
async def test_a_failure_and_a_detach_leave_nothing(lab: Lab, kind: str, tmp_path: pathlib.Path) -> None:
    """Whether the failure is of a link that comes later, or the detach comes twice."""
    on = await stage(lab)
    pod = lab.place()
    before = _state(on.node, pod, tmp_path)
    wanted = KINDS[kind](5, tmp_path)
    with pytest.raises(DatapathError, match=r"^cannot make net9: the node has no link absent"):
        await on.datapath.attach(pod.path, [*wanted, _ABSENT])
    assert _state(on.node, pod, tmp_path) == before
    await on.datapath.attach(pod.path, wanted)
    for _ in range(2):
        await on.datapath.detach(pod.path, wanted)
        assert _state(on.node, pod, tmp_path) == before


@every_kind
async def test_detach_without_the_namespace(lab: Lab, kind: str, tmp_path: pathlib.Path) -> None:
    on = await stage(lab)
    pod, other = lab.place(), lab.place()
    before = _state(on.node, other, tmp_path)
    wanted = KINDS[kind](5, tmp_path)
    await on.datapath.attach(pod.path, wanted)
    pod.delete()
    await on.datapath.detach(pod.path, wanted)
    assert _state(on.node, other, tmp_path) == before
    # The kernel takes a namespace's links away in its own time, and until then the card may be in use.
    end = time.monotonic() + 10
    while True:
        try:
            await on.datapath.attach(other.path, wanted)
            break
        except DatapathError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.05)


@every_kind
async def test_a_link_of_somebody_else_stays(lab: Lab, kind: str, tmp_path: pathlib.Path) -> None:
    if kind == "userspace":
        return  # has no link
    on = await stage(lab)
    pod = lab.place()
    wanted = KINDS[kind](5, tmp_path)
    pod.ip("link", "add", wanted[-1].name, "type", "veth", "peer", "name", "far9")
    before = _state(on.node, pod, tmp_path)
    with pytest.raises(DatapathError, match=r"^cannot make"):
        await on.datapath.attach(pod.path, wanted)
    assert _state(on.node, pod, tmp_path) == before


DAMAGE: dict[str, list[tuple[str, ...]]] = {
    "routed": [("node", "link", "delete", "HOST"), ("node", "addr", "flush", "dev", "HOST"),
               ("node", "route", "flush", "dev", "HOST"), ("pod", "link", "set", "net1", "down")],
    "tap": [("node", "link", "delete", "HOST"), ("pod", "link", "set", "net1", "nomaster"),
            ("pod", "link", "set", "net1", "down"), ("pod", "link", "delete", "net1")],
    "macvtap": [("pod", "link", "set", "net1", "address", "02:00:00:00:00:77"), ("pod", "link", "delete", "net1")],
    "vlan": [("pod", "addr", "flush", "dev", "net1")],
    "ipvlan": [("pod", "link", "set", "net1", "down")],
    "bond": [("pod", "link", "set", "net2", "nomaster"), ("pod", "link", "delete", "net2"),
             ("pod", "link", "delete", "bond0"), ("pod", "addr", "flush", "dev", "bond0")],
    "vrf": [("pod", "link", "set", "net1", "nomaster"), ("pod", "link", "delete", "net1"),
            ("pod", "link", "delete", "vrf0"), ("pod", "route", "del", "10.9.0.0/16", "table", "100")],
}  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[] if kind in ("routed", "tap") else [pytest.mark.needs(kind)]) for kind in DAMAGE],
)
async def test_what_is_damaged_or_half_made_is_made(lab: Lab, kind: str, tmp_path: pathlib.Path) -> None:
    on = await stage(lab)
    pod = lab.place()
    wanted = KINDS[kind](5, tmp_path)
    await on.datapath.attach(pod.path, wanted)
    before = _state(on.node, pod, tmp_path)
    for where, *words in DAMAGE[kind]:
        (on.node if where == "node" else pod).ip(*(wanted[0].host_name if word == "HOST" else word for word in words))
        found = await on.datapath.attach(pod.path, wanted)
        assert _state(on.node, pod, tmp_path) == before, words
        assert [one.addresses for one in found] == [one.addresses for one in wanted], words


async def test_a_tap_is_the_guests(lab: Lab) -> None:
    """Its MAC address and addresses are told, not configured; owner, group and queues are those asked for."""
    on = await stage(lab)
    pod = lab.place()
    wanted = tap(5, detail=TapDetail(owner=107, group=4294967294, multi_queue=True), mtu=1400)
    (found,) = await on.datapath.attach(pod.path, [wanted])
    assert (found.mac, found.addresses, found.mtu, found.kind) == (wanted.mac, wanted.addresses, 1400, "tap")
    assert found.device is not None
    assert (found.device.path, found.device.major, found.device.minor) == ("/dev/net/tun", 10, 200)
    (shown,) = json.loads(pod.ip("-j", "-d", "addr", "show", "net1"))
    assert shown["address"] != wanted.mac
    assert shown["addr_info"] == []
    data = shown["linkinfo"]["info_data"]
    assert [data[key] for key in ("type", "persist", "multi_queue", "user")] == ["tap", True, True, 107] or [
        data[key] for key in ("type", "persist", "multi_queue")
    ] == ["tap", True, True], data


@pytest.mark.needs("macvtap")
async def test_a_macvtap_has_a_character_device(lab: Lab) -> None:
    on = await stage(lab)
    pod = lab.place()
    wanted = upon(5, "macvtap", detail=MacvtapDetail(owner=107, group=36))
    (found,) = await on.datapath.attach(pod.path, [wanted])
    device = found.device
    assert device is not None
    assert device.path == f"/dev/tap{found.index}"
    numbers = pod.run("cat", f"/sys/class/net/net1/macvtap/tap{found.index}/dev").strip()
    assert numbers == f"{device.major}:{device.minor}"
    assert (device.owner, device.group) == (107, 36)
    assert (found.mac, found.addresses) == (wanted.mac, wanted.addresses)
    assert "10.1.0.5" not in pod.ip("addr", "show", "net1")


@pytest.mark.needs("vlan")
async def test_a_vlan_has_one_pod(lab: Lab) -> None:
    on = await stage(lab)
    one, other = lab.place(), lab.place()
    await on.datapath.attach(one.path, [upon(5, "vlan", vlan=100)])
    with pytest.raises(DatapathError, match="cannot make net1 on up0: there is such a link already"):
        await on.datapath.attach(other.path, [upon(6, "vlan", vlan=100)])
    await on.datapath.attach(other.path, [upon(6, "vlan", vlan=101)])


@pytest.mark.needs("ipvlan")
async def test_two_uses_of_one_uplink_are_refused(lab: Lab) -> None:
    on = await stage(lab)
    one, other = lab.place(), lab.place()
    await on.datapath.attach(one.path, [upon(5, "macvlan")])
    with pytest.raises(DatapathError, match="cannot make net1 on up0: the kernel uses it for links of another kind"):
        await on.datapath.attach(other.path, [upon(6, "ipvlan", mode="l2")])


async def test_parts_that_are_not_there_are_named(lab: Lab) -> None:
    on = await stage(lab)
    pod = lab.place()
    alone = bond(5, detail=BondDetail(parts=["net1", "net7"]))
    with pytest.raises(DatapathError, match="cannot make bond0: its part net7 is not in the Pod"):
        await on.datapath.attach(pod.path, alone)
    assert pod.links() == {"lo"}


@pytest.mark.needs("bond")
async def test_parts_survive_their_bond(lab: Lab) -> None:
    on = await stage(lab)
    pod, other = lab.place(), lab.place()
    wanted = bond(5)
    first = await on.datapath.attach(pod.path, wanted)
    (slave,) = json.loads(pod.ip("-j", "link", "show", "net2"))
    assert (slave["master"], slave["address"]) == ("bond0", wanted[2].mac)
    await on.datapath.detach(pod.path, wanted[2:])
    again = [dataclasses.replace(one, addresses=link(5).addresses[:1] if one.name == "net1" else ()) for one in wanted]
    found = await on.datapath.attach(pod.path, again[:2])
    assert [one.mac for one in found] == [one.mac for one in wanted[:2]]
    assert found[1].index == first[1].index
    await on.datapath.attach(other.path, [link(6)])
    assert crosses(pod, other, "10.1.0.6")


@pytest.mark.needs("vrf")
async def test_parts_survive_their_vrf(lab: Lab) -> None:
    on = await stage(lab)
    pod, other = lab.place(), lab.place()
    wanted = vrf(5)
    first = await on.datapath.attach(pod.path, wanted)
    await on.datapath.attach(other.path, [link(6)])
    await on.datapath.detach(pod.path, wanted[2:])
    found = await on.datapath.attach(pod.path, wanted[:2])
    assert [(one.index, one.addresses) for one in found] == [(one.index, one.addresses) for one in first[:2]]
    assert crosses(pod, other, "10.1.0.6")
    assert crosses(pod, other, "fd00:1::6")


async def test_a_routed_link_without_ipv6(lab: Lab) -> None:
    """Runtimes switch IPv6 off in a Pod's namespace when the cluster has none."""
    on = await stage(lab)
    pod = lab.place()
    pod.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
    (found,) = await on.datapath.attach(pod.path, [routed(5)])
    assert ip_interface("fd00:1::5/128") in found.addresses
    four: Link = dataclasses.replace(routed(6), addresses=(ip_interface("10.1.0.6/32"),), routes=())
    (found,) = await on.datapath.attach(lab.place().path, [four])
    assert found.addresses == four.addresses


def test_a_kernel_parameter_where_proc_is_read_only() -> None:
    """As in a container without privileges."""
    name = "net/ipv4/conf/lo/arp_ignore"
    code = f"from podnet_kni_server.datapath import worker; print(worker.sysctl({name!r}, '2'))"
    check = f"mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && ! echo 1 > /proc/sys/{name}"
    script = f'({check}) 2>/dev/null && "{sys.executable}" -c "{code}" && cat /proc/sys/{name}'
    command = ["unshare", "--net", "--mount", "sh", "-c", script]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["0", "2"]
