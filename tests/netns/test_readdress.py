"""Addresses of running Pods are added and removed while the link stays (KEP-3698, requirements 24 and 25), with
packets: links that stand upon an uplink. Other kinds: test_check. What this machine's kernel lacks runs in the VM."""

import dataclasses
import json
import os
import pathlib
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest
from netns import guests
from netns import lab as wire
from netns.kinds_lab import Stage, stage, upon
from netns.lab import Lab, Place, crosses, route, sniffer
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.details import MacvtapDetail

FIRST = (ip_interface("10.1.0.5/24"), ip_interface("fd00:1::5/64"))
MORE = (ip_interface("10.1.0.50/24"), ip_interface("10.1.0.51/24"), ip_interface("fd00:1::50/64"))
FEWER = (ip_interface("10.1.0.51/24"), ip_interface("10.1.0.52/24"))
NEIGHBOUR4, NEIGHBOUR6 = "10.1.0.6", "fd00:1::6"
UPON: dict[str, dict[str, Any]] = {
    "macvlan": {"kind": "macvlan"},
    "vlan": {"kind": "vlan", "vlan": 100},
    "ipvlan-l2": {"kind": "ipvlan", "mode": "l2"},
    "ipvlan-l3": {"kind": "ipvlan", "mode": "l3"},
    "ipvlan-l3s": {"kind": "ipvlan", "mode": "l3s"},
}
"""By a word, what such a link has of its own."""


async def _neighbour(lab: Lab, on: Stage, kind: str) -> Place:
    """Another Pod on the same uplink; of a VLAN, which has one Pod, who is behind the uplink."""
    if kind != "vlan":
        place = lab.place()
        await on.datapath.attach(place.path, [upon(6, **UPON[kind])])
        return place
    on.far.ip("link", "add", "link", "up0", "name", "up0.100", "type", "vlan", "id", "100")
    on.far.ip("addr", "add", f"{NEIGHBOUR4}/24", "dev", "up0.100")
    on.far.ip("addr", "add", f"{NEIGHBOUR6}/64", "dev", "up0.100", "nodad")
    on.far.ip("link", "set", "up0.100", "up")
    return on.far


def _index(pod: Place) -> int:
    return int(json.loads(pod.ip("-j", "link", "show", "net1"))[0]["ifindex"])


def _routes(pod: Place) -> set[str]:
    lines = (pod.ip("route", "show", "dev", "net1") + pod.ip("-6", "route", "show", "dev", "net1")).splitlines()
    return {line.split()[0] for line in lines}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.needs(own["kind"])) for kind, own in UPON.items()]
)
async def test_addresses_come_and_go_and_the_link_stays(lab: Lab, kind: str) -> None:
    on = await stage(lab)
    pod = lab.place()
    neighbour = await _neighbour(lab, on, kind)
    first = upon(
        5,
        addresses=FIRST,
        routes=(route("10.9.0.0/16", NEIGHBOUR4), route("fd00:9::/64", NEIGHBOUR6)),
        default_gateways=(ip_address(NEIGHBOUR4), ip_address(NEIGHBOUR6)),
        **UPON[kind],
    )
    await on.datapath.attach(pod.path, [first])
    assert crosses(neighbour, pod, "10.1.0.5")
    before, routes, now = _index(pod), _routes(pod), first
    for addresses in (MORE, FEWER, (*FEWER, *FIRST)):
        wanted = dataclasses.replace(first, addresses=addresses)
        leaving = [one for one in now.addresses if one not in addresses]
        for _ in range(2):  # again is no harm: a server that was killed meanwhile does it again
            await on.datapath.readdress(pod.path, wanted, leaving)
        [found] = await on.datapath.observe(pod.path, {"net1"})
        assert set(found.addresses) == set(addresses)
        assert _index(pod) == before, "the link stayed"
        assert (await on.datapath.check(pod.path, [wanted])).findings == (), "routes and default routes, too"
        for address in addresses:
            assert crosses(neighbour, pod, str(address.ip)), address
        assert crosses(pod, neighbour, NEIGHBOUR4)
        now = wanted
    assert _routes(pod) == routes, "as they were with the same subnets"
    assert await on.datapath.attach(pod.path, [now])
    assert _index(pod) == before, "looked at again it is as asked for"


@pytest.mark.parametrize(
    "kind", [pytest.param(f"ipvlan-{mode}", marks=pytest.mark.needs("ipvlan")) for mode in ("l2", "l3")]
)
async def test_an_address_that_left_is_free_for_another_pod(lab: Lab, kind: str) -> None:
    """The kernel knows the addresses of all ipvlans of an uplink, and refuses one twice."""
    on = await stage(lab)
    pod = lab.place()
    other = await _neighbour(lab, on, kind)
    first = upon(5, addresses=FIRST, **UPON[kind])
    await on.datapath.attach(pod.path, [first])
    await on.datapath.readdress(pod.path, dataclasses.replace(first, addresses=MORE), FIRST)
    moved: Link = dataclasses.replace(upon(6, **UPON[kind]), addresses=FIRST)
    await on.datapath.readdress(other.path, moved, upon(6, **UPON[kind]).addresses)
    assert crosses(pod, other, "10.1.0.5")
    assert crosses(pod, other, "fd00:1::5")
    assert crosses(other, pod, "10.1.0.50")


@pytest.mark.needs("macvtap")
async def test_the_addresses_of_a_guest_behind_a_macvtap_change_while_it_runs(lab: Lab, tmp_path: pathlib.Path) -> None:
    """They are the guest's to configure: its device stays open, and what it says with the new address is heard."""
    on = await stage(lab)
    pod = lab.place()
    wanted = upon(5, "macvtap", detail=MacvtapDetail())
    [found] = await on.datapath.attach(pod.path, [wanted])
    assert found.device is not None
    before = _index(pod)
    with guests.behind_macvtap(found.device, tmp_path) as guest, sniffer(on.far, "up0") as heard:
        for addresses in (MORE, FEWER, FIRST):
            moved = dataclasses.replace(wanted, addresses=addresses)
            await on.datapath.readdress(pod.path, moved, wanted.addresses)
            wanted = moved
            said = wire.arp(wanted.mac, wanted.mac, str(addresses[0].ip), guests.MARK)
            assert guests.until_heard(guest, guests.OFFLOAD + said, heard), addresses
            answer = wire.ethernet("02:00:00:00:00:06", 0x88B5, b"to the guest", wire.mac(wanted.mac))
            wire.send(on.far, "up0", answer)
            assert guests.reads(guest, b"to the guest")
            [shown] = await on.datapath.observe(pod.path, {"net1"})
            assert shown.addresses == (), "none of the Pod's own kernel"
            assert (await on.datapath.check(pod.path, [wanted])).findings == ()
            [told] = await on.datapath.attach(pod.path, [wanted])
            assert (told.addresses, told.index) == (addresses, before)
        os.write(guest, guests.OFFLOAD + wire.ethernet(wanted.mac, 0x88B5, b"still the same device".ljust(60)))
        assert heard(b"still the same device", 2.0)
