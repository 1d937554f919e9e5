"""Namespaces moved and given back on an API server in memory: order, repetition, death at every write, dry runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from podnet_api import names as api_names
from podnet_api.errors import AlreadyExistsError, KubeError, NotFoundError
from podnet_api.kube import Client, Credentials
from podnet_compat import legacy, names
from podnet_compat.migrate import inventory, kept, reading, steps, work

Object = dict[str, Any]
SPACE = "/api/v1/namespaces/blue"
NADS = "/apis/k8s.cni.cncf.io/v1/namespaces/blue/network-attachment-definitions"
NETWORK = "/apis/multinetwork.x-k8s.io/v1alpha1/podnetworks/blue.lab"
CONFIG = "/apis/kni.multinetwork.x-k8s.io/v1alpha1/networkconfigs/blue.lab"
SETS = "/apis/apps/v1/namespaces/blue/statefulsets"
HOOK = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{inventory.WEBHOOK}"
BRIDGE = {"type": "bridge", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}
STATUS = json.dumps([{"name": "blue/lab", "interface": "net1", "ips": ["10.1.0.7"]}])


class Killed(Exception):
    """The program was killed."""


class Cluster(Client):
    """Objects by path; ``die`` is the number of writes after which the program is killed, before or after the
    last of them is done."""

    def __init__(self) -> None:
        super().__init__(Credentials("http://fake", None), "test")
        self.objects: dict[str, Object] = {}
        self.writes: list[str] = []
        self.die: tuple[int, bool] | None = None
        self.page = 0

    def put(self, path: str, kind: str, **more: Any) -> None:
        parts = path.split("/")
        space = parts[parts.index("namespaces") + 1] if "namespaces" in parts[:-2] else ""
        meta = {"name": parts[-1], "namespace": space} | more.pop("metadata", {})
        self.objects[path] = {"kind": kind, "metadata": meta, **more}

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        if method == "GET":
            return json.dumps(self.objects[path] if path in self.objects else self._listed(path, query or {})).encode()
        self._killed(done=False)
        self.writes.append(f"{method} {path}")
        if (query or {}).get("dryRun") != "All":
            self._write(method, path, json.loads(body or b"null"))
        self._killed(done=True)
        return b"{}"

    def _killed(self, *, done: bool) -> None:
        if self.die is not None and self.die[1] == done and len(self.writes) + (not done) == self.die[0]:
            raise Killed

    def _listed(self, path: str, query: Mapping[str, str]) -> Object:
        root, _, plural = path.rpartition("/")
        items = [
            item
            for key, item in self.objects.items()
            if key.split("/")[-2] == plural
            and key.startswith(f"{root}/")
            and (root.count("/") > 2 or "/namespaces" in key)
        ]
        name = query.get("fieldSelector", "").removeprefix("metadata.name=")
        chosen = [item for item in items if name in {"", item["metadata"]["name"]}]
        if not chosen:
            raise NotFoundError(f"cannot GET {path}: 404", 404)
        group = path.split("/")[2:4]
        start = int(query.get("continue", "0"))
        more = {"continue": str(start + 2)} if start + 2 < len(chosen) else {}
        version = "/".join(group) if path.startswith("/apis") else "v1"
        return {"apiVersion": version, "metadata": more, "items": chosen[start : start + 2]}

    def _write(self, method: str, path: str, body: Any) -> None:
        if method == "POST":
            whole = f"{path}/{body['metadata']['name']}"
            if whole in self.objects:
                raise AlreadyExistsError("cannot POST: 409", 409)
            self.objects[whole] = body
        elif path not in self.objects:
            raise NotFoundError(f"cannot {method} {path}: 404", 404)
        elif method == "DELETE":
            del self.objects[path]
        else:
            self.objects[path] = _merged(self.objects[path], body)

    def labels(self) -> Object:
        found: Object = self.objects[SPACE]["metadata"].get("labels", {})
        return found


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    made = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        made[key] = _merged(made.get(key), value)
    return {key: value for key, value in made.items() if value is not None}


def _pod(name: str, owner: str = "", **annotations: str) -> Object:
    owners = [{"kind": "StatefulSet", "name": owner, "controller": True}] if owner else []
    meta = {"annotations": {names.NETWORKS: "lab", **annotations}, "ownerReferences": owners, "managedFields": [1]}
    return {"metadata": meta, "spec": {}, "status": {"phase": "Running", "x": 1}}


@pytest.fixture
def cluster() -> Cluster:
    """A namespace with a StatefulSet, a lone Pod and a NAD, beside Multus."""
    made = Cluster()
    made.put(SPACE, "Namespace")
    made.put(f"{NADS}/lab", legacy.KIND, spec={"config": json.dumps(BRIDGE)})
    made.put(f"{SPACE}/pods/db-0", "Pod", **_pod("db-0", "db", **{api_names.NPWG_STATUS_ANNOTATION: STATUS}))
    made.put(f"{SPACE}/pods/lone", "Pod", **_pod("lone"))
    template = {"metadata": {"annotations": {names.NETWORKS: "lab"}}, "spec": {}}
    made.put(f"{SETS}/db", "StatefulSet", spec={"template": template})
    beside = {"namespaceSelector": {"matchLabels": {names.ATTACHED_BY: names.PODNET}}}
    made.put(HOOK, "MutatingWebhookConfiguration", webhooks=[beside])
    ref = {"group": api_names.KNI_GROUP, "kind": "NetworkConfig", "name": "blue.lab"}
    made.put(NETWORK, "PodNetwork", spec={"provider": api_names.PROVIDER, "parametersRefs": [ref]})
    made.put(CONFIG, "NetworkConfig", spec={"cni": {"config": "{}"}})
    return made


def runner(cluster: Cluster, said: list[str] | None = None, **options: bool) -> work.Work:
    lines = said if said is not None else []
    return work.Work(
        cluster, lambda only: reading.cluster(cluster, ["kube-system"], only), work.Options(**options), lines.append
    )


async def test_reading_a_cluster_page_by_page(cluster: Cluster) -> None:
    cluster.put(f"{SPACE}/pods/third", "Pod", **_pod("third"))
    found = await reading.cluster(cluster, ["kube-system"])
    assert sorted(pod.name for pod in found.pods) == ["db-0", "lone", "third"]
    assert set(found.nads) == {("blue", "lab")}
    assert all(
        "managedFields" not in item["metadata"]
        for item in found.items
        if item["kind"] != "MutatingWebhookConfiguration"
    )
    assert found.beside


async def test_apply_writes_in_this_order_and_once(cluster: Cluster) -> None:
    said: list[str] = []
    assert await runner(cluster, said, restart=True).apply(["blue"]) == work.DONE
    assert cluster.writes == [f"POST {SPACE}/configmaps", f"PATCH {SPACE}", f"PATCH {SETS}/db"]
    assert cluster.labels() == {names.ATTACHED_BY: "podnet"}
    data = cluster.objects[f"{SPACE}/configmaps/{kept.NAME}"]["data"]
    assert kept.read(data["db-0"])[0].ips == ["10.1.0.7"]
    assert said[-1] == "namespace blue: 2 Pods stay with multus until they are made anew: db-0, lone"
    cluster.writes.clear()
    assert await runner(cluster, restart=True).apply(["blue"]) == work.DONE
    assert cluster.writes == []


async def test_a_dry_run_keeps_nothing(cluster: Cluster) -> None:
    before = json.dumps(cluster.objects)
    said: list[str] = []
    assert await runner(cluster, said, dry_run=True).apply(["blue"]) == work.DONE
    assert len(cluster.writes) == 2
    assert json.dumps(cluster.objects) == before
    assert all(line.endswith("(dry run)") for line in said[:2])


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("write", [1, 2, 3])
async def test_killed_at_any_write_the_next_run_finishes(cluster: Cluster, write: int, done: bool) -> None:
    cluster.die = (write, done)
    with pytest.raises(Killed):
        await runner(cluster, restart=True).apply(["blue"])
    # What must never be: podnet attaches, and what its Pods need to keep their addresses is not noted.
    noted = f"{SPACE}/configmaps/{kept.NAME}" in cluster.objects
    assert noted or not cluster.labels()
    cluster.die = None
    assert await runner(cluster, restart=True).apply(["blue"]) == work.DONE
    assert cluster.labels() == {names.ATTACHED_BY: "podnet"}
    assert cluster.objects[f"{SETS}/db"]["spec"]["template"]["metadata"]["annotations"][steps.RESTARTED] == "podnet"
    assert len(cluster.writes) in {3, 4}


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("write", [1, 2, 3])
async def test_rollback_also_after_a_death(cluster: Cluster, write: int, done: bool) -> None:
    await runner(cluster, restart=True).apply(["blue"])
    taken = {api_names.NETWORKS_ANNOTATION: "[]", names.MOVED[names.NETWORKS]: "lab"}
    cluster.objects[f"{SPACE}/pods/db-0"]["metadata"]["annotations"] = taken
    cluster.writes.clear()
    cluster.die = (write, done)
    with pytest.raises(Killed):
        await runner(cluster, restart=True).rollback(["blue"])
    cluster.die = None
    said: list[str] = []
    assert await runner(cluster, said, restart=True).rollback(["blue"]) == work.DONE
    assert cluster.labels() == {}
    assert f"{SPACE}/configmaps/{kept.NAME}" not in cluster.objects
    assert cluster.objects[f"{SETS}/db"]["spec"]["template"]["metadata"]["annotations"][steps.RESTARTED] == "multus"
    assert said[-1] == "namespace blue: 1 Pods stay with podnet until they are made anew: db-0"


async def test_notes_that_another_run_makes_are_added_to(cluster: Cluster) -> None:
    found = await reading.cluster(cluster, [])
    [step] = steps.record(found, "blue")
    cluster.put(f"{SPACE}/configmaps/{kept.NAME}", "ConfigMap", data={"other": "[]"})
    await runner(cluster)._do([step])
    assert set(cluster.objects[f"{SPACE}/configmaps/{kept.NAME}"]["data"]) == {"other", "db-0"}


async def test_what_hinders_a_namespace_moves_the_others(cluster: Cluster) -> None:
    cluster.put("/api/v1/namespaces/red", "Namespace")
    cluster.put("/api/v1/namespaces/red/pods/bad", "Pod", **_pod("bad"))
    said: list[str] = []
    assert await runner(cluster, said).apply(["red", "blue", "nowhere"]) == work.REFUSED
    refused = [line for line in said if line.startswith("cannot")]
    assert "cannot find a network-attachment-definition (lab) in namespace (red)" in refused[0]
    assert refused[1] == "cannot move namespace nowhere: it does not exist"
    assert cluster.labels() == {names.ATTACHED_BY: "podnet"}
    assert "PATCH /api/v1/namespaces/red" not in cluster.writes


async def test_without_the_component_nothing_is_moved(cluster: Cluster) -> None:
    cluster.objects[HOOK]["webhooks"] = [{}]
    with pytest.raises(work.MigrateError, match="does not run beside Multus here"):
        await runner(cluster).apply(["blue"])
    assert cluster.writes == []


async def test_a_network_that_is_still_native_is_waited_for(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "_TRIES", 2)
    monkeypatch.setattr(work, "_PAUSE", 0.0)
    cluster.objects[CONFIG]["spec"] = {"bridge": {}}
    with pytest.raises(work.MigrateError, match="it says: nothing; does podnet-compat --attach-with=plugins run"):
        await runner(cluster).apply(["blue"])
    del cluster.objects[NETWORK]
    cluster.objects[f"{NADS}/lab"]["metadata"]["annotations"] = {names.TRANSLATION: "Pods use it"}
    with pytest.raises(work.MigrateError, match="it says: Pods use it"):
        await runner(cluster).apply(["blue"])
    assert cluster.writes == []


async def test_errors_of_the_api_server_come_through(cluster: Cluster) -> None:
    class Broken(Cluster):
        async def request(self, *_: Any, **__: Any) -> bytes:
            raise KubeError("cannot GET: 403 Forbidden", 403)

    with pytest.raises(KubeError):
        await runner(Broken()).apply(["blue"])
