"""What the KNI server may do and what it does are the same; and what it keeps is closed to other users."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from typing import Any

import pytest
import yaml
from podnet_api import names
from podnet_hack import paths
from podnet_kni_server.nri import types
from podnet_tests.machine import NODE, Machine, eventually

KNI = "/apis/kni.multinetwork.x-k8s.io/v1alpha1"
PODS = "/api/v1/namespaces/default/pods"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
MANIFEST = paths.CHECKOUT / "hack/manifests/base/kni-server/rbac.yaml"
USER = "system:serviceaccount:podnet-system:podnet-kni-server"
NOBODY = 65534
Verb = tuple[str, str, str]
"""API group, resource with subresource, verb."""


def granted() -> set[Verb]:
    """Every verb of the manifest."""
    rules = [r for one in yaml.safe_load_all(MANIFEST.read_text()) for r in one.get("rules", [])]
    return {(g, r, v) for rule in rules for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]}


def used(server: Any) -> tuple[set[Verb], set[Verb]]:
    """What the server asked for, and what of it was refused, by the API server's audit log."""
    asked, refused = set(), set()
    for line in (server.directory / "audit.log").read_text().splitlines():
        event = json.loads(line)
        reference = event.get("objectRef", {})
        if event["user"]["username"] != USER or not reference:
            continue
        resource = "/".join(part for part in (reference["resource"], reference.get("subresource")) if part)
        verb = (reference.get("apiGroup", ""), resource, event["verb"])
        asked.add(verb)
        if event.get("responseStatus", {}).get("code") == 403:
            refused.add(verb)
    return asked, refused


@pytest.fixture
async def confined(apiserver: Any, networks: None) -> AsyncIterator[Machine]:
    """A machine whose server has the account of the manifest."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        directory = pathlib.Path(place)
        made = Machine(apiserver, directory, NODE, _account(apiserver, directory))
        try:
            await made.open()
            yield made
        finally:
            await made.close()


def _account(server: Any, directory: pathlib.Path) -> pathlib.Path:
    """A kubeconfig with a token of the account."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "podnet-system"}}
    assert server.send("POST", "/api/v1/namespaces", space).code in {201, 409}
    for item in yaml.safe_load_all(MANIFEST.read_text()):
        plural = item["kind"].lower() + "s"
        at = "/api/v1/namespaces/podnet-system" if item["kind"] == "ServiceAccount" else RBAC
        assert server.send("POST", f"{at}/{plural}", item).code in {201, 409}
    accounts = "/api/v1/namespaces/podnet-system/serviceaccounts/podnet-kni-server"
    answer = server.send("POST", f"{accounts}/token", {"spec": {}})
    assert answer.code == 201, answer.message
    config = yaml.safe_load(server.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": answer.body["status"]["token"]}
    made = directory / "kubeconfig"
    made.write_text(yaml.safe_dump(config))
    return made


def _pod(server: Any, name: str, networks: list[dict[str, str]], owner: str = "") -> str:
    """A Pod that is bound to the node; its uid."""
    meta: dict[str, Any] = {"name": name, "annotations": {names.NETWORKS_ANNOTATION: json.dumps(networks)}}
    if owner:
        reference = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": owner, "uid": "u", "controller": True}
        meta["ownerReferences"] = [reference]
    spec = {"nodeName": NODE, "containers": [{"name": "main", "image": "example.com/main:1"}]}
    answer = server.send("POST", PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    assert answer.code == 201, answer.message
    return str(answer.body["metadata"]["uid"])


def _block(name: str, node: str, config: str, cidr: str, pod: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {"networkConfig": config, "cidr": cidr, "nodeName": node}
    if pod:
        spec["holder"] = {"namespace": "default", "statefulSet": "db", "pod": pod, "interface": "net0"}
    return {"apiVersion": names.KNI_API_VERSION, "kind": "IPBlock", "metadata": {"name": name}, "spec": spec}


async def test_every_verb_that_is_granted_is_used_and_no_other(apiserver: Any, confined: Machine) -> None:
    server, machine = apiserver, confined
    kept = _block("kept-10-83-0-9-32", "elsewhere", "kept", "10.83.0.9/32", "db-0")
    assert server.send("POST", f"{KNI}/ipblocks", kept).code == 201
    await machine.start()
    await _live(server, machine)
    await _member(server, machine)
    await _robbed(server, machine)
    for id in list(machine.alive):
        await machine.stop_pod(id)
    await eventually(lambda: sorted(granted() - used(server)[0]), 25)
    asked, refused = used(server)
    assert not refused
    assert not asked - granted()


async def _live(server: Any, machine: Machine) -> None:
    """A Pod gets its networks, and another one while it runs."""
    uid = _pod(server, "first", [{"podNetworkName": "green"}])
    await machine.run_pod("green", name="first", uid=uid)
    await eventually(lambda: "" if _said(server, "first") else "no status")
    more = json.dumps([{"podNetworkName": "green"}, {"podNetworkName": "blue"}])
    patch = {"metadata": {"annotations": {names.NETWORKS_ANNOTATION: more}}}
    assert server.send("PATCH", f"{PODS}/first", patch).code == 200
    await eventually(lambda: "" if "blue" in _said(server, "first") else _said(server, "first"))


def _said(server: Any, pod: str) -> str:
    return str(server.send("GET", f"{PODS}/{pod}").body["metadata"]["annotations"].get(names.STATUS_ANNOTATION, ""))


async def _member(server: Any, machine: Machine) -> None:
    """A member of a StatefulSet brings its address along."""
    uid = _pod(server, "db-0", [{"podNetworkName": "kept"}], "db")
    await asyncio.sleep(0.5)
    pod = await machine.run_pod("kept", name="db-0", uid=uid)
    assert machine.addresses_in(pod.id, "net0") == {"10.83.0.9/24"}
    assert server.send("GET", f"{KNI}/ipblocks/kept-10-83-0-9-32").body["spec"]["nodeName"] == NODE


async def _robbed(server: Any, machine: Machine) -> None:
    """Somebody gives a block of this node to another."""
    blocks = server.send("GET", f"{KNI}/ipblocks").body["items"]
    [mine] = [
        b["metadata"]["name"] for b in blocks if b["spec"]["networkConfig"] == "blue" and ":" not in b["spec"]["cidr"]
    ]
    cidr = server.send("GET", f"{KNI}/ipblocks/{mine}").body["spec"]["cidr"]
    for _ in range(20):  # who is first, it or we?
        server.send("DELETE", f"{KNI}/ipblocks/{mine}")
        if server.send("POST", f"{KNI}/ipblocks", _block(mine, "elsewhere", "blue", cidr)).code == 201:
            break
    await eventually(lambda: "" if "has IPBlock" in machine.log.read_text() else "not noticed")
    server.send("DELETE", f"{KNI}/ipblocks/{mine}")


OTHER_USER = """
import json, os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
done = {}
for path in json.loads(sys.argv[1]):
    try:
        if path.endswith(".sock"):
            socket.socket(socket.AF_UNIX).connect(path)
        else:
            os.listdir(path) if os.path.isdir(path) else open(path).read()
        done[path] = "could"
    except OSError as error:
        done[path] = error.strerror
print(json.dumps(done))
"""


async def test_other_users_get_at_nothing(machine: Machine) -> None:
    await machine.start()
    pod: types.PodSandbox = await machine.run_pod("blue", "green")
    os.chmod(machine.run.parent, 0o755)
    found = [machine.run, *machine.run.rglob("*")]
    assert {machine.run / "kni.sock", machine.run / "sandboxes" / f"{pod.id}.json"} <= set(found)
    command = [sys.executable, "-c", OTHER_USER, json.dumps([str(path) for path in found])]
    answered = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert set(answered.values()) == {"Permission denied"}, answered
    for path in found:
        assert path.lstat().st_uid == 0
        assert not path.lstat().st_mode & stat.S_IWOTH, path
        if path.suffix == ".sock" or "sandboxes" in str(path):
            assert not path.lstat().st_mode & 0o077, (path, oct(path.lstat().st_mode))
