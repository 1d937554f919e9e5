"""What Multus' users and tools learn of a Pod: rows of network-status, Events, static Pods."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from podnet_api import core, names, reasons
from podnet_api.errors import KubeError
from podnet_api.meta import ObjectMeta
from podnet_kni_server import attach, npwg, publish, status
from podnet_kni_server.checkpoint import Store
from podnet_kni_server.cni import result, rows
from podnet_kni_server.datapath.fake import FakeDatapath
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.details import NpwgRow
from podnet_kni_server.errors import AttachError
from podnet_kni_server.records import InterfaceRecord, LinkRecord, Record, Sandbox, State
from podnet_tests.kni_world import World, network_config, sandbox

NETNS = "/run/netns/s1"
STATIC = {"kubernetes.io/config.source": "file", names.LEGACY_NETWORKS_ANNOTATION: "net1"}


def _made(**told: Any) -> tuple[NpwgRow, ...]:
    return rows.rows(result.decode(json.dumps({"cniVersion": "1.1.0", **told}), "1.1.0"))


def _inside(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "sandbox": NETNS, **more}


def _record(found: tuple[NpwgRow, ...] | None, mac: str = "", addresses: list[str] | None = None) -> Record:
    link = LinkRecord(kind="cni", name="net1", master="", mac=mac, mtu=1400 if mac else 0, addresses=addresses or [])
    one = InterfaceRecord(network="ns.net", config="c", link=link, rows=None if found is None else list(found))
    return Record(sandbox="s1", uid="u", namespace="ns", name="p", state=State.ATTACHED, interfaces=[one])


def _status(record: Record) -> list[dict[str, Any]]:
    told = status.npwg(record, lambda name: name.replace(".", "/"), None)
    found: list[dict[str, Any]] = json.loads(msgspec.json.encode(told))
    return found[1:]


def test_one_row_for_each_interface_of_a_result() -> None:
    found = _made(
        interfaces=[{"name": "br0"}, _inside("net1", mac="02:00:00:00:00:01"),
                    _inside("net1b", mac="02:00:00:00:00:02")],
        ips=[{"address": "10.1.0.5/24", "interface": 1}, {"address": "10.2.0.5/24", "interface": 2},
             {"address": "10.3.0.5/24"}],
        routes=[{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}, {"dst": "10.8.0.0/16", "gw": "10.1.0.2"}],
        dns={"nameservers": ["10.1.0.53"], "domain": "example.org"},
    )  # fmt: skip
    first, second = _status(_record(found, "02:00:00:00:00:01", ["10.1.0.5/24"]))
    assert first == {
        "name": "ns/net",
        "interface": "net1",
        "ips": ["10.1.0.5"],
        "mac": "02:00:00:00:00:01",
        "mtu": 1400,
        "dns": {"nameservers": ["10.1.0.53"], "domain": "example.org"},
        "gateway": ["10.1.0.1"],
    }
    assert (second["interface"], second["ips"], second["mac"]) == (
        "net1b",
        ["10.2.0.5", "10.3.0.5"],
        "02:00:00:00:00:02",
    )


def test_a_default_route_without_gateway_leads_to_that_of_its_address() -> None:
    """host-local's routes often have none; Multus writes "<nil>" then."""
    made = _made(
        interfaces=[_inside("net1", mac="02:00:00:00:00:01")],
        ips=[{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}, {"address": "fd00::5/64"}],
        routes=[{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
    )
    assert made[0].gateway == ["10.1.0.1"]


def test_a_result_without_interfaces_is_a_row_with_a_name_alone() -> None:
    """istio-cni: Multus says nothing at all of it."""
    assert _status(_record(_made())) == [{"name": "ns/net", "dns": {}}]


def test_a_result_of_old_that_tells_no_interfaces_is_told_as_the_kernel_has_it() -> None:
    told = _status(_record((), "02:00:00:00:00:01", ["10.1.0.5/24"]))
    assert [(one["interface"], one["ips"]) for one in told] == [("net1", ["10.1.0.5"])]


def test_keys_stand_as_multus_writes_them() -> None:
    record = _record(None, "02:00:00:00:00:01", ["10.1.0.5/24"])
    (one,) = record.interfaces
    info = '{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:01:00.2"}}'
    one = msgspec.structs.replace(one, gateways=["10.1.0.1"], device_info=info)
    (row,) = _status(msgspec.structs.replace(record, interfaces=[one]))
    assert list(row) == ["name", "interface", "ips", "mac", "mtu", "dns", "device-info", "gateway"]
    assert row["device-info"] == json.loads(info)


def test_both_spellings_of_the_annotation_for_pods_of_nads() -> None:
    body = status.attached(_record(None), lambda name: name.replace(".", "/"), None, "")
    annotations = body["metadata"]["annotations"]
    assert annotations[npwg.STATUS_PLURAL] == annotations[names.NPWG_STATUS_ANNOTATION]
    body = status.attached(_record(None), str, None, "")
    assert npwg.STATUS_PLURAL not in body["metadata"]["annotations"]


def test_events_in_the_words_of_multus() -> None:
    record = _record(None, "02:00:00:00:00:01", ["1.1.1.3/24", "fd00::3/64"])
    assert list(npwg.added(record, lambda name: "ns/net")) == ["Add net1 [1.1.1.3/24 fd00::3/64] from ns/net"]
    assert list(npwg.added(record, str)) == []
    assert list(npwg.added(_record(()), lambda name: "ns/net")) == []


def test_a_network_that_is_gone_has_the_reason_of_multus() -> None:
    legacy = {names.LEGACY_NETWORKS_ANNOTATION: "net1"}
    error = AttachError("cannot attach", reasons.NETWORK_NOT_FOUND)
    assert npwg.reason(sandbox(annotations=legacy), error) == "NoNetworkFound"
    assert npwg.reason(sandbox(), error) == ""
    assert npwg.reason(sandbox(annotations=legacy), AttachError("other")) == ""


async def test_a_pod_is_added_once_and_found_again_without_a_word(tmp_path: Path) -> None:
    world, said = World(tmp_path), list[str]()
    world.add(network_config("blue"))
    core_ = attach.Core(
        view=world,
        node=world,
        leases=world.leases,
        blocks=world.blocks,
        store=Store(tmp_path),
        datapath=world.datapath,
        hooks=attach.Hooks(added=lambda record: said.append(record.pod)),
    )
    await core_.attach(sandbox("blue"))
    await core_.attach(sandbox("blue"))
    await core_.reconcile([sandbox("blue")])
    assert said == ["ns/p"]


def _static(**more: Any) -> Sandbox:
    return sandbox(annotations=STATIC, **more)


async def test_a_static_pod_that_asks_multus_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(AttachError, match="a static Pod passes no admission") as caught:
        await world.core.attach(_static())
    assert npwg.reason(_static(), caught.value) == reasons.INVALID_NETWORKS
    assert world.nothing_left()


@pytest.mark.parametrize(
    "annotations",
    [
        {**STATIC, "kubernetes.io/config.source": "api"},
        {**STATIC, names.LEGACY_NETWORKS_ANNOTATION: ""},
        {**STATIC, names.LEGACY_NETWORKS_ANNOTATION: "[]"},
        {**STATIC, names.NETWORKS_ANNOTATION: "[]"},
    ],
)
async def test_others_are_not(tmp_path: Path, annotations: dict[str, str]) -> None:
    assert npwg.unserved(sandbox(annotations=annotations)) == ""
    assert await World(tmp_path).core.attach(sandbox(annotations=annotations)) is None


async def test_a_static_pod_that_a_multus_has_attached_may_start(tmp_path: Path) -> None:
    world = World(tmp_path)
    made = [Link(kind="veth", name=name, host_name="", master="", mac="", mtu=1500) for name in ("eth0", "net1")]
    world.datapath.namespaces[NETNS] = {link.name: link for link in made}
    assert npwg.unserved(_static())
    assert await world.core.attach(_static()) is None


class Client:
    """The part of the API that a status needs."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.away = False

    async def apply(self, resource: object, body: dict[str, Any], **more: object) -> None:
        """Notes what is applied."""
        if self.away:
            raise KubeError("cannot reach the API server")
        self.bodies.append(body)


async def test_the_status_of_a_static_pod_goes_to_its_mirror(tmp_path: Path) -> None:
    meta = ObjectMeta(namespace="ns", name="p", uid="mirror", annotations={"kubernetes.io/config.mirror": "u"})
    client = Client()
    publisher = publish.Publisher(
        client, FakeDatapath(), tmp_path, str, lambda namespace, name: core.Pod(metadata=meta)  # type: ignore[arg-type]
    )  # fmt: skip
    record = _record(None)
    assert await publisher._write(lambda: publisher._attached(record))
    assert client.bodies[0]["metadata"]["uid"] == "mirror"


async def test_a_status_that_cannot_be_written_now_waits(tmp_path: Path) -> None:
    client = Client()
    publisher = publish.Publisher(client, FakeDatapath(), tmp_path, str, lambda namespace, name: None)  # type: ignore[arg-type]
    client.away = True
    assert not await publisher._write(lambda: publisher._attached(_record(None)))
    client.away = False
    assert await publisher._write(lambda: publisher._attached(_record(None)))
    assert client.bodies[0]["metadata"]["uid"] == "u"
