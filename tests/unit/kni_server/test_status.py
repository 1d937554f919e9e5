"""What is written to a Pod's status, byte for byte where other tools read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from podnet_api import core, names
from podnet_api.meta import ObjectMeta
from podnet_kni_server import status
from podnet_kni_server.datapath.model import Observed
from podnet_kni_server.records import Record
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
        "name": "default",
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
