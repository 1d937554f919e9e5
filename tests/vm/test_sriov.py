"""Virtual functions in Pods: chosen, set, moved, used, and given back with their settings reset."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_interface

import grpc
import pytest
from netns.lab import Lab, Place, crosses, link
from netns.test_hostdevice import killed_after
from podnet_kni_server.datapath import functions
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.datapath.lent import Ledger
from podnet_kni_server.datapath.model import Link, NodeLink, host_name
from podnet_kni_server.details import SriovDetail
from podnet_kni_server.podresources import Kubelet, podresources_pb2, podresources_pb2_grpc
from vm import cards
from vm.cards import Card, ip

RESOURCE = "intel.com/vf"


@pytest.fixture
def datapath(lab: Lab, ledger: Ledger) -> KernelDatapath:
    """The node is the VM itself."""
    return lab.datapath(None, ledger)


def wanted(number: int, detail: SriovDetail, **changed: object) -> Link:
    """A link to a virtual function."""
    values: dict[str, object] = {"kind": "sriov", "master": "", "mac": "", "host_name": host_name(detail.pod, "net1")}
    return link(number, **{**values, "detail": detail, **changed})  # type: ignore[arg-type]


async def joined(datapath: KernelDatapath, pod: Place, number: int, detail: SriovDetail, **changed: object) -> Link:
    """A Pod with a virtual function."""
    one = wanted(number, detail, **changed)
    (made,) = await datapath.attach(pod.path, [one])
    assert (made.name, made.up) == ("net1", True)
    return one


async def test_any_free_function(lab: Lab, datapath: KernelDatapath, ledger: Ledger, card: Card, other: Card) -> None:
    one, two = lab.place(), lab.place()
    links = [
        await joined(datapath, one, 5, SriovDetail(pod="default/one", uplink=card.name)),
        await joined(datapath, two, 6, SriovDetail(pod="default/two", uplink=other.name)),
    ]
    assert crosses(one, two, "10.1.0.6")
    assert crosses(two, one, "fd00:1::5")
    assert (card.interface(0), other.interface(0)) == ("", "")
    again = await datapath.attach(one.path, [links[0]])
    assert again[0].name == "net1"
    for place, made in zip((one, two), links, strict=True):
        await datapath.detach(place.path, [made])
    assert not list(ledger)


async def test_functions_of_one_card_talk(lab: Lab, datapath: KernelDatapath, card: Card) -> None:
    pods = [lab.place(), lab.place()]
    for number, pod in enumerate(pods):
        await joined(datapath, pod, 5 + number, SriovDetail(pod=f"default/{number}", uplink=card.name))
    assert crosses(pods[0], pods[1], "10.1.0.6")
    for number, pod in enumerate(pods):
        await datapath.detach(pod.path, [wanted(5, SriovDetail(pod=f"default/{number}", uplink=card.name))])


async def test_the_function_with_this_id(lab: Lab, datapath: KernelDatapath, card: Card, other: Card) -> None:
    pod, second = lab.place(), lab.place()
    detail = SriovDetail(pod="default/one", uplink=card.name, device_id=card.functions[2])
    one = await joined(datapath, pod, 5, detail)
    assert [bool(card.interface(number)) for number in range(3)] == [True, True, False]
    with pytest.raises(DatapathError, match="Pod default/one has it"):
        await datapath.attach(second.path, [wanted(6, SriovDetail(pod="default/two", device_id=card.functions[2]))])
    with pytest.raises(DatapathError, match=f"it is a function of {other.name}, not of {card.name}"):
        strange = SriovDetail(pod="default/two", uplink=card.name, device_id=other.functions[0])
        await datapath.attach(second.path, [wanted(6, strange)])
    with pytest.raises(DatapathError, match="no virtual function with this PCI address"):
        await datapath.attach(second.path, [wanted(6, SriovDetail(pod="default/two", device_id="../../etc"))])
    await datapath.detach(pod.path, [one])


class Lister(podresources_pb2_grpc.PodResourcesListerServicer):
    """A kubelet's pod-resources API, as small as it can be."""

    def __init__(self, given: dict[str, list[str]]) -> None:
        self.given = given

    async def List(self, request: object, context: object) -> podresources_pb2.ListPodResourcesResponse:
        """PodResourcesLister.List."""
        return podresources_pb2.ListPodResourcesResponse(
            pod_resources=[_pod_resources(pod, ids) for pod, ids in self.given.items()]
        )


def _pod_resources(pod: str, ids: list[str]) -> podresources_pb2.PodResources:
    namespace, name = pod.split("/")
    devices = [
        podresources_pb2.ContainerDevices(resource_name="example.com/other", device_ids=["0000:99:00.0"]),
        podresources_pb2.ContainerDevices(resource_name=RESOURCE, device_ids=ids),
    ]
    container = podresources_pb2.ContainerResources(name="main", devices=devices)
    return podresources_pb2.PodResources(name=name, namespace=namespace, containers=[container])


@contextlib.asynccontextmanager
async def kubelet(socket: pathlib.Path, given: dict[str, list[str]]) -> AsyncIterator[None]:
    """A real gRPC server on a socket."""
    server = grpc.aio.server()
    podresources_pb2_grpc.add_PodResourcesListerServicer_to_server(Lister(given), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


async def test_the_function_that_the_kubelet_gave(lab: Lab, ledger: Ledger, card: Card, tmp_path: pathlib.Path) -> None:
    socket, pod, two = tmp_path / "kubelet.sock", lab.place(), lab.place()
    datapath = KernelDatapath(lent=ledger, allocation=Kubelet(str(socket)))
    detail = SriovDetail(pod="default/one", resource=RESOURCE)
    with pytest.raises(DatapathError, match="cannot learn from the kubelet"):
        await datapath.attach(pod.path, [wanted(5, detail)])
    async with kubelet(socket, {"default/zero": [card.functions[0]], "default/one": [card.functions[1]]}):
        one = await joined(datapath, pod, 5, detail)
        assert [bool(card.interface(number)) for number in range(3)] == [True, False, True]
        with pytest.raises(DatapathError, match="the kubelet gave it none"):
            await datapath.attach(two.path, [wanted(6, SriovDetail(pod="default/two", resource=RESOURCE))])
    await datapath.attach(pod.path, [one])  # no kubelet is asked any more
    await datapath.detach(pod.path, [one])
    await datapath.close()


async def test_settings_and_their_reset(lab: Lab, datapath: KernelDatapath, card: Card) -> None:
    ip("link", "set", card.name, "vf", "0", "vlan", "9", "qos", "1")
    before, pod = card.everything(), lab.place()
    detail = SriovDetail(
        pod="default/one", uplink=card.name, vlan=5, qos=3, trust=True, spoof_check=False, max_tx_rate=100
    )
    one = await joined(datapath, pod, 5, detail, mtu=1400)
    set_now = card.settings(0)
    assert set_now["vlan_list"] == [{"vlan": 5, "qos": 3}]
    assert (set_now["spoofchk"], set_now["trust"]) == (False, True)
    assert set_now["rate"] == {"max_tx": 100, "min_tx": 0}
    await datapath.detach(pod.path, [one])
    assert card.everything() == before
    ip("link", "set", card.name, "vf", "0", "vlan", "0")


async def test_vlans_of_the_card_keep_pods_apart(lab: Lab, datapath: KernelDatapath, card: Card, other: Card) -> None:
    pods = [lab.place(), lab.place(), lab.place()]
    details = [
        SriovDetail(pod="default/one", uplink=card.name, vlan=5),
        SriovDetail(pod="default/two", uplink=other.name, vlan=5),
        SriovDetail(pod="default/three", uplink=card.name),
    ]
    links = [await joined(datapath, pod, 5 + at, details[at]) for at, pod in enumerate(pods)]
    assert crosses(pods[0], pods[1], "10.1.0.6")
    assert not crosses(pods[2], pods[1], "10.1.0.6", patience=1)
    assert not crosses(pods[0], pods[2], "10.1.0.7", patience=1)
    for pod, one in zip(pods, links, strict=True):
        await datapath.detach(pod.path, [one])


async def test_a_mac_address_of_ones_own_that_the_pod_cannot_change(
    lab: Lab, datapath: KernelDatapath, card: Card, other: Card
) -> None:
    pod, peer = lab.place(), lab.place()
    one = await joined(datapath, pod, 5, SriovDetail(pod="default/one", uplink=card.name), mac="02:00:00:00:00:05")
    two = await joined(datapath, peer, 6, SriovDetail(pod="default/two", uplink=other.name))
    assert card.settings(0)["address"] == "02:00:00:00:00:05"
    assert crosses(pod, peer, "10.1.0.6")
    with pytest.raises(subprocess.CalledProcessError):
        pod.ip("link", "set", "net1", "address", "02:00:00:00:00:66")
    await datapath.detach(pod.path, [one])
    await datapath.detach(peer.path, [two])


@pytest.mark.parametrize("program", [False, True])
async def test_looking_again_sets_nothing(
    lab: Lab, datapath: KernelDatapath, card: Card, ledger: Ledger, program: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drivers reset a function whose MAC address is set, some also where it is the same: a Pod would be cut off."""
    pod, told = lab.place(), []
    with _driven_by_a_program(card, 1) if program else contextlib.nullcontext(card.functions[1]) as address:
        detail = SriovDetail(pod="default/one", uplink=card.name, device_id=address, vlan=7, max_tx_rate=50)
        one = await joined(datapath, pod, 5, detail, mac="02:00:00:00:00:77")
        plain = functions._set

        def counted(index: int, name: str, number: int, what: str, part: bytes) -> Request:
            told.append(what)
            return plain(index, name, number, what, part)

        monkeypatch.setattr(functions, "_set", counted)
        before, noted = card.settings(1), list(ledger)
        for _ in range(2):
            assert (await datapath.check(pod.path, [one])).findings == ()
            assert await datapath.attach(pod.path, [one])
        assert (told, card.settings(1), list(ledger)) == ([], before, noted)
        ip("link", "set", card.name, "vf", "1", "vlan", "9", "mac", "02:00:00:00:00:78")
        await datapath.check(pod.path, [one])
        assert card.settings(1) == before, "what somebody changed is put right"
        assert set(told) == {"VLAN", "MAC address"}
        await datapath.detach(pod.path, [one])


async def test_addresses_come_and_go_while_the_pod_keeps_its_function(
    lab: Lab, datapath: KernelDatapath, card: Card, other: Card
) -> None:
    pod, peer = lab.place(), lab.place()
    one = await joined(datapath, pod, 5, SriovDetail(pod="default/one", uplink=card.name))
    two = await joined(datapath, peer, 6, SriovDetail(pod="default/two", uplink=other.name))
    index = pod.run("cat", "/sys/class/net/net1/ifindex")
    for texts in (("10.1.0.50/24", "10.1.0.51/24", "fd00:1::50/64"), ("10.1.0.51/24",)):
        moved = dataclasses.replace(one, addresses=tuple(ip_interface(text) for text in texts))
        await datapath.readdress(pod.path, moved, [a for a in one.addresses if a not in moved.addresses])
        one = moved
        assert pod.run("cat", "/sys/class/net/net1/ifindex") == index
        assert (await datapath.check(pod.path, [one])).findings == ()
        for address in one.addresses:
            assert crosses(peer, pod, str(address.ip)), address
    await datapath.detach(pod.path, [one])
    await datapath.detach(peer.path, [two])


@pytest.mark.parametrize("what", ["link state", "transmit rates", "VLAN"])
async def test_what_the_card_cannot_do_is_an_error(lab: Lab, datapath: KernelDatapath, card: Card, what: str) -> None:
    """The driver of the 82576 knows no link state, no least rate and no 802.1ad."""
    unknown = {
        "link state": {"link_state": "disable"},
        "transmit rates": {"min_tx_rate": 10},
        "VLAN": {"vlan": 5, "vlan_protocol": "802.1ad"},
    }[what]
    detail = SriovDetail(pod="default/one", uplink=card.name, **unknown)  # type: ignore[arg-type]
    with pytest.raises(DatapathError, match=f"cannot set the {what} of virtual function 0 of {card.name}"):
        await datapath.attach(lab.place().path, [wanted(5, detail)])


async def test_the_namespace_ended_first(lab: Lab, datapath: KernelDatapath, ledger: Ledger, card: Card) -> None:
    pod = lab.place()
    detail = SriovDetail(pod="default/one", uplink=card.name, vlan=5)
    one = await joined(datapath, pod, 5, detail, mac="02:00:00:00:00:05", mtu=1400)
    pod.delete()
    await datapath.detach(None, [one])
    assert not list(ledger), "the kernel gives it back within the second"


async def test_a_namespace_that_somebody_holds(lab: Lab, datapath: KernelDatapath, ledger: Ledger, card: Card) -> None:
    """The path is gone, the namespace lives on: the function comes back later, and is restored then."""
    pod = lab.place()
    detail = SriovDetail(pod="default/one", uplink=card.name, vlan=5)
    one = await joined(datapath, pod, 5, detail)
    holder = os.open(pod.path, os.O_RDONLY)
    try:
        pod.delete()
        await datapath.detach(None, [one])
        assert [lent.returning for lent in ledger] == [True]
        (state,) = (await datapath.ensure_node([NodeLink("functions", card.name)])).values()
        assert (state.ready, state.free) == (True, 2)
    finally:
        os.close(holder)
    cards.until(lambda: card.interface(0))
    (state,) = (await datapath.ensure_node([NodeLink("functions", card.name)])).values()
    assert state.free == 3
    assert not list(ledger)


async def test_killed_at_any_step_nothing_is_lost(lab: Lab, ledger: Ledger, card: Card) -> None:
    before, steps = card.everything(), 0
    detail = SriovDetail(pod="default/one", uplink=card.name, vlan=5, trust=True)
    one = wanted(5, detail, mac="02:00:00:00:00:05")
    pod = lab.place()
    while killed_after(steps, None, ledger, pod, one):
        fresh = lab.datapath(None, ledger)
        if steps % 2:
            await fresh.detach(pod.path, [one])
        else:
            pod.delete()
            await fresh.detach(None, [one])
            pod = lab.place()
        assert card.everything() == before, f"after {steps} steps"
        assert not list(ledger)
        steps += 1
    assert steps > 8
    await lab.datapath(None, ledger).detach(pod.path, [one])


async def test_how_many_are_free(lab: Lab, datapath: KernelDatapath, card: Card) -> None:
    node, pods = NodeLink("functions", card.name), [lab.place() for _ in range(3)]
    links = []
    for at, pod in enumerate(pods):
        (state,) = (await datapath.ensure_node([node])).values()
        assert (state.ready, state.free, state.mtu) == (True, 3 - at, 1500)
        links.append(await joined(datapath, pod, 5 + at, SriovDetail(pod=f"default/{at}", uplink=card.name)))
    (state,) = (await datapath.ensure_node([node])).values()
    assert (state.ready, state.free) == (True, 0)
    with pytest.raises(DatapathError, match="cannot use a virtual function of"):
        await datapath.attach(lab.place().path, [wanted(8, SriovDetail(pod="default/late", uplink=card.name))])
    for pod, one in zip(pods, links, strict=True):
        await datapath.detach(pod.path, [one])


async def test_a_function_without_interface_is_set_and_nothing_is_moved(
    lab: Lab, datapath: KernelDatapath, card: Card
) -> None:
    """Its driver is a program in the Pod (vfio-pci)."""
    address = card.functions[1]
    driver = pathlib.Path("/sys/bus/pci/devices", address, "driver")
    (driver / "unbind").write_text(address)
    try:
        with pytest.raises(DatapathError, match="it has no interface on the node"):
            unbound = SriovDetail(pod="default/one", uplink=card.name, device_id=address)
            await datapath.attach(lab.place().path, [wanted(5, unbound)])
    finally:
        pathlib.Path("/sys/bus/pci/drivers/igbvf/bind").write_text(address)
        cards.until(lambda: card.interface(1))


@contextlib.contextmanager
def _driven_by_a_program(card: Card, number: int) -> Iterator[str]:
    """A function under vfio-pci, as for DPDK: it has no interface."""
    address = card.functions[number]
    place = pathlib.Path("/sys/bus/pci/devices", address)
    subprocess.run(["modprobe", "vfio-pci"], check=True)
    (place / "driver_override").write_text("vfio-pci")
    (place / "driver" / "unbind").write_text(address)
    pathlib.Path("/sys/bus/pci/drivers_probe").write_text(address)
    try:
        yield address
    finally:
        (place / "driver_override").write_text("\n")
        (place / "driver" / "unbind").write_text(address)
        pathlib.Path("/sys/bus/pci/drivers_probe").write_text(address)
        cards.until(lambda: card.interface(number))


async def test_a_function_that_a_program_drives_is_set_and_told(
    lab: Lab, datapath: KernelDatapath, card: Card, ledger: Ledger
) -> None:
    pod = lab.place()
    with _driven_by_a_program(card, 1) as address:
        detail = SriovDetail(pod="default/one", uplink=card.name, device_id=address, vlan=7)
        one = wanted(5, detail, mac="02:00:00:00:00:77")
        before = pod.links()
        (made,) = await datapath.attach(pod.path, [one])
        assert (await datapath.attach(pod.path, [one]))[0] == made
        assert (made.index, pod.links()) == (0, before), "there is no interface to move"
        parent = pathlib.Path("/sys/class/net", card.name, "device").resolve().name
        told = {"type": "pci", "version": "1.1.0", "pci": {"pci-address": address, "pf-pci-address": parent}}
        assert json.loads(made.device_info) == told
        assert card.settings(1)["address"] == "02:00:00:00:00:77"
        assert '"vlan": 7' in json.dumps(card.settings(1))
        moved = dataclasses.replace(one, addresses=(ip_interface("10.1.0.50/24"),))
        await datapath.readdress(pod.path, moved, one.addresses)  # the program's affair, and told
        assert (await datapath.attach(pod.path, [moved]))[0].addresses == moved.addresses
        await datapath.detach(pod.path, [one])
        assert not list(ledger)
