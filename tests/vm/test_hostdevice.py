"""A physical device as hostDevice: by its PCI address, and back from a namespace that ended first."""

import pytest
from netns.lab import Lab, crosses, link
from podnet_kni_server.datapath.lent import Ledger
from podnet_kni_server.datapath.model import Link, NodeLink, host_name
from podnet_kni_server.details import HostDeviceDetail
from vm.cards import Card


def wanted(number: int, address: str) -> Link:
    """A link to the device at a PCI address."""
    detail = HostDeviceDetail(pod=f"default/{number}", pci_address=address)
    named = host_name(detail.pod, "net1")
    return link(number, kind="hostDevice", master="", mac="", host_name=named, detail=detail)


@pytest.mark.parametrize("ended_first", [False, True])
async def test_a_device_at_a_pci_address(lab: Lab, ledger: Ledger, card: Card, other: Card, ended_first: bool) -> None:
    datapath, pods = lab.datapath(None, ledger), [lab.place(), lab.place()]
    links = [wanted(5, card.functions[1]), wanted(6, other.functions[0])]
    for pod, one in zip(pods, links, strict=True):
        await datapath.attach(pod.path, [one])
    assert crosses(pods[0], pods[1], "10.1.0.6")
    node = NodeLink("device", "", device=HostDeviceDetail(pci_address=card.functions[1]))
    assert (await datapath.ensure_node([node]))[node.key].free == 0
    for pod, one in zip(pods, links, strict=True):
        if ended_first:
            pod.delete()
        await datapath.detach(None if ended_first else pod.path, [one])
    assert (await datapath.ensure_node([node]))[node.key].free == 1
    assert not list(ledger)
