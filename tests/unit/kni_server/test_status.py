"""What is written to a Pod's status, byte for byte where other tools read it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from podnet_api import core, names
from podnet_api.meta import ObjectMeta, Resource
from podnet_kni_server import publish, status
from podnet_kni_server.datapath.fake import FakeDatapath
from podnet_kni_server.datapath.model import Observed
from podnet_kni_server.errors import AttachError
from podnet_kni_server.records import Record, State
from podnet_tests.kni_world import World, network_config, sandbox

NOW = "2026-01-02T03:04:05Z"


@pytest.fixture
async def record(tmp_path: Path) -> Record:
    world = World(tmp_path)
    world.add(network_config("blue", dns={"nameservers": ["10.1.0.53"]}))
    made = await world.core.attach(sandbox("default", "blue", ips=("10.244.1.7",)))
    assert made is not None
    return made


async def test_one_apply_holds_all_three(record: Record) -> None:
    body = status.attached(record, lambda name: f"ns/{name}", Observed("eth0", "aa:bb:cc:00:00:01", 1500, True), NOW)
    annotations = body["metadata"]["annotations"]
    [ours] = json.loads(annotations[names.STATUS_ANNOTATION])
    mac = ours.pop("mac")
    assert ours == {
        "network": "blue",
        "interface": "net1",
        "addresses": ["10.1.0.2/24"],
        "mtu": 1450,
        "gateways": ["10.1.0.1"],
        "nameservers": ["10.1.0.53"],
    }
    default, npwg = json.loads(annotations[names.NPWG_STATUS_ANNOTATION])
    assert default == {
        "name": "ns/default",
        "interface": "eth0",
        "ips": ["10.244.1.7"],
        "mac": "aa:bb:cc:00:00:01",
        "mtu": 1500,
        "default": True,
        "dns": {},
    }
    assert npwg == {
        "name": "ns/blue",
        "interface": "net1",
        "ips": ["10.1.0.2"],
        "mac": mac,
        "mtu": 1450,
        "dns": {"nameservers": ["10.1.0.53"]},
        "gateway": ["10.1.0.1"],
    }
    [condition] = body["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        names.NETWORKS_READY,
        "True",
        "NetworksAttached",
    )
    assert body["metadata"]["uid"] == record.uid


async def test_what_the_pod_says_already_is_not_written_again(record: Record) -> None:
    body = status.attached(record, str, None, NOW)
    metadata = ObjectMeta(annotations=body["metadata"]["annotations"], uid=record.uid)
    conditions = [core.PodCondition(type=names.NETWORKS_READY, status="True")]
    pod = core.Pod(metadata=metadata, status=core.PodStatus(conditions=conditions))
    assert status.is_said(pod, record)
    assert not status.is_said(core.Pod(metadata=metadata), record)
    assert not status.is_said(core.Pod(metadata=ObjectMeta(), status=pod.status), record)


def test_a_failure_says_what_to_do() -> None:
    body = status.failed(
        "ns", "p", "u", "NetworkNotFound", "cannot attach Pod ns/p: PodNetwork red does not exist", NOW
    )
    [condition] = body["status"]["conditions"]
    assert condition["status"] == "False"
    assert condition["message"].endswith("create the PodNetwork; the Pod starts then")
    assert "annotations" not in body["metadata"]


async def test_the_file_is_the_same_list(record: Record) -> None:
    assert json.loads(status.file(record)) == status.networks(record)


async def test_what_a_running_pod_has_stands_beside_what_it_could_not_be_given(record: Record) -> None:
    whole = status.attached(record, str, None, NOW)
    body = status.partly(record, str, None, "NoAddressesLeft", "cannot attach Pod ns/p to red", NOW)
    assert body["metadata"]["annotations"] == whole["metadata"]["annotations"]
    [condition] = body["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "NoAddressesLeft")


async def test_an_interface_that_is_half_made_is_not_reported(record: Record) -> None:
    half = [msgspec.structs.replace(i, state=State.ATTACHING) for i in record.interfaces]
    record = msgspec.structs.replace(record, interfaces=half)
    assert status.networks(record) == []
    assert [entry["name"] for entry in status.npwg(record, str, None)] == ["default"]


async def test_addresses_from_outside_stand_apart_from_ours(record: Record) -> None:
    came = [msgspec.structs.replace(i, observed=["2001:db8::5/64"]) for i in record.interfaces]
    record = msgspec.structs.replace(record, interfaces=came)
    [ours] = status.networks(record)
    assert (ours["addresses"], ours["observedAddresses"]) == (["10.1.0.2/24"], ["2001:db8::5/64"])
    assert status.npwg(record, str, None)[1]["ips"] == ["10.1.0.2", "2001:db8::5"]
    assert "PODNET_NET1_IPV6" not in status.environment(record), "variables tell what podnet gave"


class Api:
    """The part of a Client that the publisher needs."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    async def apply(self, resource: Resource, body: dict[str, Any], **_: str) -> None:
        self.bodies.append(body)


async def test_after_a_failure_the_watch_is_not_trusted(record: Record, tmp_path: Path) -> None:
    """It may still show the Pod as it was before the failure was written."""
    body = status.attached(record, str, None, NOW)
    metadata = ObjectMeta(annotations=body["metadata"]["annotations"], uid=record.uid)
    shown = core.Pod(
        metadata=metadata,
        status=core.PodStatus(conditions=[core.PodCondition(type=names.NETWORKS_READY, status="True")]),
    )
    api = Api()
    publisher = publish.Publisher(api, FakeDatapath(), tmp_path / "status", str, lambda *_: shown)  # type: ignore[arg-type]
    task = asyncio.create_task(publisher.run())

    async def settled(count: int) -> list[str]:
        await asyncio.sleep(0.05)
        assert len(api.bodies) == count
        return [one["status"]["conditions"][0]["status"] for one in api.bodies]

    publisher.attached(record)
    assert await settled(0) == []
    publisher.partly(record, AttachError("cannot attach Pod ns/p"))
    assert await settled(1) == ["False"]
    publisher.partly(record, AttachError("cannot attach Pod ns/p"))
    assert await settled(1) == ["False"], "the same is said once"
    publisher.attached(record)
    assert await settled(2) == ["False", "True"]
    task.cancel()
