"""Devices that the kubelet gave to a Pod: which entry gets which, and what the Pod's tools learn of it."""

import dataclasses
import json
from pathlib import Path

import pytest
from podnet_kni_server import devinfo
from podnet_kni_server.cni.cache import Entry
from podnet_kni_server.cni.devices import Devices
from podnet_kni_server.cni.errors import RequestError
from podnet_kni_server.cni.request import DEVICE_INFO, supplied
from podnet_kni_server.datapath import allocation
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.lent import Ledger, Lent
from podnet_kni_server.datapath.model import Link, Observed
from podnet_kni_server.details import CniDetail, SriovDetail

INFO = {"type": "pci", "version": "1.1.0", "pci": {"pci-address": "0000:01:00.2"}}


class Given:
    """allocation.Allocation from a dict."""

    def __init__(self, **devices: list[str]) -> None:
        self.by_resource = {key.replace("__", "/"): given for key, given in devices.items()}

    async def devices(self, pod: str, resource: str) -> list[str]:
        """See Allocation."""
        if pod != "ns/p":
            raise DatapathError(f"cannot learn of Pod {pod}")
        return self.by_resource.get(resource, [])


def _link(name: str = "net1", resource: str = "", device_id: str = "") -> Link:
    own = CniDetail(
        network="ns.net",
        config="",
        namespace="ns",
        pod="p",
        uid="u",
        sandbox="s",
        device_id=device_id,
        resource=resource,
    )
    return Link(kind="cni", name=name, host_name="", master="", mac="", mtu=0, detail=own)


def _entry(name: str, device: str, sandbox: str = "s") -> Entry:
    return Entry(
        sandbox=sandbox, namespace="ns", name="p", interface=name, network="ns.net", config="{}", device=device
    )


def _devices(tmp_path: Path, given: Given, *entries: Entry) -> Devices:
    return Devices(given, devinfo.Files(str(tmp_path)), lambda: list(entries))


async def test_devices_go_to_entries_in_order_sorted_by_id(tmp_path: Path) -> None:
    given = Given(intel__vf=["0000:01:00.4", "0000:01:00.2"], intel__other=["0000:02:00.1"])
    first = await _devices(tmp_path, given).request("", _link(resource="intel/vf"))
    taken = _entry("net1", first.device)
    second = await _devices(tmp_path, given, taken).request("", _link("net2", resource="intel/vf"))
    other = await _devices(tmp_path, given, taken).request("", _link("net3", resource="intel/other"))
    assert [first.device, second.device, other.device] == ["0000:01:00.2", "0000:01:00.4", "0000:02:00.1"]


async def test_the_next_attempt_gets_the_same_device(tmp_path: Path) -> None:
    """Its own entry, which a killed server left, does not take the device away; nor does that of another Pod."""
    left = _entry("net1", "0000:01:00.2"), _entry("net1", "0000:01:00.2", sandbox="former")
    found = await _devices(tmp_path, Given(vf=["0000:01:00.2"]), *left).request("", _link(resource="vf"))
    assert found.device == "0000:01:00.2"


async def test_a_missing_device_fails_the_attachment(tmp_path: Path) -> None:
    devices = _devices(tmp_path, Given(vf=["a"]), _entry("net1", "a"))
    with pytest.raises(RequestError, match=r"net2: the kubelet gave the Pod 1 of vf, of which none is left; .*limits"):
        await devices.request("", _link("net2", resource="vf"))


async def test_the_resource_map_comes_before_device_id(tmp_path: Path) -> None:
    devices = _devices(tmp_path, Given(vf=["from-kubelet"]))
    assert (await devices.request("", _link(resource="vf", device_id="own"))).device == "from-kubelet"
    assert (await devices.request("", _link(device_id="own"))).device == "own"
    assert (await devices.request("", _link())).device == ""


async def test_what_the_device_plugin_wrote_is_handed_on_and_told(tmp_path: Path) -> None:
    written = tmp_path / devinfo.DIRECTORY / "dp" / "intel-vf-0000:01:00.2-device.json"
    written.parent.mkdir(parents=True)
    written.write_text(json.dumps(INFO))
    devices, link = _devices(tmp_path, Given(intel__vf=["0000:01:00.2"])), _link(resource="intel/vf")
    path = str(supplied(await devices.request("", link))[DEVICE_INFO])
    assert path == "/var/run/k8s.cni.cncf.io/devinfo/cni/ns.net-s_net1"
    copied = tmp_path / path.removeprefix("/var/")
    assert json.loads(copied.read_text()) == json.loads(devices.info(link)) == INFO
    copied.chmod(0o644)
    copied.write_text(json.dumps({**INFO, "version": "1.0.0"}))  # as a plugin may
    assert json.loads(devices.info(link))["version"] == "1.0.0"
    devices.forget(link)
    assert not copied.exists()
    assert written.exists()
    assert devices.info(link) == ""


async def test_a_leftover_of_an_attempt_that_failed_is_not_taken_for_the_devices(tmp_path: Path) -> None:
    devices, link = _devices(tmp_path, Given(vf=["a"])), _link(resource="vf")
    left = tmp_path / devinfo.DIRECTORY / "cni" / "ns.net-s_net1"
    left.parent.mkdir(parents=True)
    left.write_text(json.dumps(INFO))
    await devices.request("", link)
    assert devices.info(link) == ""


@pytest.mark.parametrize("text", ["", "[1]", "{", '"a"', "{" + " " * devinfo.LIMIT + "}", "\xff"])
def test_what_is_no_device_information_is_passed_over(tmp_path: Path, text: str) -> None:
    path = tmp_path / devinfo.DIRECTORY / "cni" / "x"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("latin-1"))
    assert devinfo.Files(str(tmp_path)).read("x") == ""


@pytest.mark.parametrize("written", [True, False])
def test_a_virtual_function_of_ours_is_told_by_its_plugin_or_its_address(tmp_path: Path, written: bool) -> None:
    """KubeVirt reads the address there."""
    files, lent, address = devinfo.Files(str(tmp_path)), Ledger(tmp_path / "lent"), "0000:01:00.2"
    detail = SriovDetail(pod="ns/p", resource="intel/vf")
    link = Link(kind="sriov", name="net1", host_name="pnvx", master="", mac="", mtu=0, detail=detail)
    made = Observed("net1", "", 1500, True)
    assert allocation.told(files, lent, link, made) == made
    lent.write(Lent(token="pnvx", pod="ns/p", inside="net1", inside_index=5, address=address))
    path = tmp_path / devinfo.DIRECTORY / "dp" / "intel-vf-0000:01:00.2-device.json"
    path.parent.mkdir(parents=True)
    if written:
        path.write_text(json.dumps({**INFO, "rdma-device": "mlx5_2"}))
    told = json.loads(allocation.told(files, lent, link, made).device_info)
    assert told["pci"] == {"pci-address": address}
    assert ("rdma-device" in told) is written
    software = dataclasses.replace(link, kind="veth", detail=None)
    assert allocation.told(files, lent, software, made) == made
