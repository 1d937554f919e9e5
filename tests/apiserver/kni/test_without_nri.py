"""The real KNI server where the runtime has no NRI: the CNI shim is the only hook, also after a kill."""

from __future__ import annotations

import asyncio
import json
import pathlib
from typing import Any

import aiohttp
import pytest
from podnet_kni_server.cni import default
from podnet_tests.machine import Machine, eventually

URL = "http://podnet/cni"
CLUSTER = {"cniVersion": "1.0.0", "name": "cluster", "plugins": [{"type": "loopback"}]}


async def _call(machine: Machine, command: str, pod: Any, *, interface: str = "eth0") -> tuple[int, Any]:
    """As the shim hands it over; what it answers."""
    named = {"K8S_POD_NAMESPACE": pod.namespace, "K8S_POD_NAME": pod.name, "K8S_POD_UID": pod.uid}
    body = {
        "command": command,
        "config": {"cniVersion": "1.0.0", "runtimeConfig": {default.ANNOTATIONS: dict(pod.annotations)}},
        "containerID": pod.id,
        "netns": pod.netns_path,
        "ifName": interface,
        "args": ";".join(f"{key}={value}" for key, value in named.items()),
    }
    connector = aiohttp.UnixConnector(str(machine.run / "cni.sock"))
    async with aiohttp.ClientSession(connector=connector) as session, session.post(URL, json=body) as answer:
        text = await answer.read()
        return answer.status, json.loads(text) if text else None


async def _ready(machine: Machine) -> None:
    """Until the server takes calls."""
    async with asyncio.timeout(30):
        while not await _listens(str(machine.run / "cni.sock")):
            await asyncio.sleep(0.1)


async def _listens(path: str) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


def _spawn(machine: Machine, tmp_path: pathlib.Path) -> None:
    (tmp_path / "net.d").mkdir(exist_ok=True)
    (tmp_path / "net.d/10-cluster.conflist").write_text(json.dumps(CLUSTER))
    places = {"cni-conf-dir": tmp_path / "net.d", "cni-bin-dir": tmp_path / "bin", "cni-cache-dir": tmp_path / "cache"}
    machine.spawn(more=["--cni-shim", "--nri-socket=", *(f"--{name}={path}" for name, path in places.items())])


@pytest.mark.needs("go")
async def test_pods_come_and_go_and_a_kill_changes_nothing(machine: Machine, tmp_path: pathlib.Path) -> None:
    _spawn(machine, tmp_path)
    await _ready(machine)
    pods = [machine.sandbox({"podNetworkName": "green", "interfaceName": "eth0"}, "blue") for _ in range(2)]
    for pod in pods:
        status, made = await _call(machine, "ADD", pod)
        assert (status, made["ips"][0]["address"].rpartition(".")[0]) == (200, "10.81.0")
    await eventually(machine.faults)
    machine.kill()
    machine.vanish(pods[1].id)
    _spawn(machine, tmp_path)
    await _ready(machine)
    await eventually(machine.faults)
    assert (await _call(machine, "CHECK", pods[0]))[0] == 200
    assert (await _call(machine, "DEL", pods[0]))[0] == 200
    machine.vanish(pods[0].id)
    assert not machine.records()
    await eventually(machine.faults)
