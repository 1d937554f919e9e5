"""What hostDevice and sriov make of a Pod's request, and how many of them a node has."""

from pathlib import Path

import pytest
from podnet_api import reasons
from podnet_kni_server import asked, kinds, node_status, plan
from podnet_kni_server.datapath.model import NodeLinkState
from podnet_kni_server.details import HostDeviceDetail, SriovDetail
from podnet_kni_server.errors import AttachError
from podnet_tests.kni_world import World, network_config, pod_network, sandbox


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    device = {"pciAddress": "0000:01:10.0"}
    made.add(network_config("device", bridge=None, hostDevice=device, antiSpoof=False, ipam=None))
    settings = {"vlan": 5, "qos": 3, "spoofCheck": False, "trust": True, "maxTxRate": 100}
    made.add(
        network_config("fast", bridge=None, sriov=settings, uplink={"interface": "eth7"}, antiSpoof=False, ipam=None)
    )
    return made


def test_a_device_keeps_its_own_mac_address(world: World) -> None:
    box = sandbox("device")
    (request,) = asked.of_sandbox(box, world)
    link = plan.interface(box, request, [], 9000).link
    assert (link.kind, link.mac, link.mtu) == ("hostDevice", "", 9000)
    assert link.detail == HostDeviceDetail(pod="ns/p", pci_address="0000:01:10.0")
    node = kinds.KINDS["hostDevice"].node(request.config, None, [])
    assert (node.kind, node.key) == ("device", "device///0000:01:10.0")


def test_a_function_is_chosen_and_set_as_asked(world: World) -> None:
    world.attachment_of("mine", "fast", deviceID="0000:01:10.2", mac="02:00:00:00:00:07")
    box = sandbox({"podNetworkAttachmentName": "mine"})
    (request,) = asked.of_sandbox(box, world)
    link = plan.interface(box, request, [], 1500).link
    wanted = SriovDetail(
        pod="ns/p",
        uplink="eth7",
        device_id="0000:01:10.2",
        vlan=5,
        qos=3,
        spoof_check=False,
        trust=True,
        max_tx_rate=100,
    )
    assert (link.kind, link.mac, link.detail) == ("sriov", "02:00:00:00:00:07", wanted)
    node = kinds.KINDS["sriov"].node(request.config, None, [])
    assert (node.kind, node.key) == ("functions", "functions/eth7")


def test_a_device_of_the_node_takes_no_device_id(world: World) -> None:
    world.attachment_of("mine", "device", deviceID="0000:01:10.2")
    with pytest.raises(AttachError, match=r"spec\.deviceID") as caught:
        asked.of_sandbox(sandbox({"podNetworkAttachmentName": "mine"}), world)
    assert caught.value.reason == reasons.PARAMS_UNSUPPORTED


@pytest.mark.parametrize(("free", "used", "capacity"), [(3, 1, 4), (0, 2, 2), (0, 0, 0), (None, 1, 4096)])
def test_capacity_is_what_is_free_and_what_is_used(world: World, free: int | None, used: int, capacity: int) -> None:
    state = NodeLinkState(True, reasons.READY, "", 1500, free)
    config = world.configs["fast"]
    entry = node_status.entry(pod_network("fast"), config, state, lambda name: used, lambda pool, version: 0)
    assert (entry.attachments.capacity, entry.attachments.used) == (capacity, used)
