"""What compat does with whole files and clusters, as functions of bytes: manifests rewritten, a migration planned, Pods
read as others have made them. ``fuzzing_compat`` lists them beside the translators that these call."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
from podnet_api import core
from podnet_api.errors import InvalidError
from podnet_compat import attached, jsontext, legacy, names
from podnet_compat import pod as pods
from podnet_compat.manifests import rewrite
from podnet_compat.manifests.document import FileError
from podnet_compat.migrate import foreign, injector, inventory, planning, report, steps, takeover

Json = Any
_POD = {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"hugepages-1Gi": "1Gi"}}}]}
_STATUS = [{"name": "test/n1", "interface": "net1", "ips": ["10.1.0.5", "fd00::5"], "default": True, "dns": {}}]
_NAD = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": legacy.KIND}
_BRIDGE = json.dumps({"type": "bridge", "isGateway": True, "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}})
_MULTUS = {"type": "multus", "clusterNetwork": "n1", "defaultNetworks": ["n1"], "systemNamespaces": ["kube-system"],
           "namespaceIsolation": True, "globalNamespaces": "default,other", "readinessindicatorfile": "/x",
           "multusNamespace": "test", "delegates": [{"name": "a"}, {"name": "n1"}]}  # fmt: skip
_INJECTOR = {"features": {"enableHugePageDownApi": True}, "user-defined-injections": {"a": {"op": "add"}}}


def _annotated(**annotations: str) -> Json:
    return {"name": "web", "namespace": "test", "annotations": {names.NETWORKS: "n1,n1@x", **annotations}}


CLUSTER: list[Json] = [[
    {**_NAD, "metadata": {"name": "n1", "namespace": "test"}, "spec": {"config": _BRIDGE}},
    {"apiVersion": "v1", "kind": "Pod", "metadata": _annotated(**{
        "k8s.v1.cni.cncf.io/network-status": json.dumps(_STATUS), names.DEFAULT_NETWORK: "test/n1"}),
     "spec": _POD, "status": {"phase": "Running"}},
    {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "test"},
     "spec": {"template": {"metadata": _annotated(), "spec": _POD}}},
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "test", "labels": {names.ATTACHED_BY: "podnet"}}},
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "multus-daemon-config", "namespace": "kube-system"},
     "data": {"daemon-config.json": json.dumps(_MULTUS)}},
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": injector.NAME, "namespace": "kube-system"},
     "data": {injector.KEY: json.dumps(_INJECTOR)}},
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "podnet-migration", "namespace": "test"},
     "data": {"db-0": json.dumps([{"network": "test/n1", "interface": "net1", "ips": ["10.1.0.5"]}])}},
    {"kind": "MutatingWebhookConfiguration", "metadata": {"name": inventory.WEBHOOK},
     "webhooks": [{"namespaceSelector": {"matchLabels": {names.ATTACHED_BY: names.PODNET}}}]},
]]  # fmt: skip
PODS: list[Json] = [
    {"metadata": _annotated(**{"k8s.v1.cni.cncf.io/network-status": json.dumps(_STATUS)}), "spec": _POD},
    {"metadata": _annotated(**{names.MIRROR_POD: "x"}), "spec": {**_POD, "volumes": [{"name": "podnetinfo"}]}},
]
FILES = [
    """# the network
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: n1}
spec:
  config: '{"type": "bridge", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}'  # as ever
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    metadata:
      annotations:
        k8s.v1.cni.cncf.io/networks: |-
          [{"name": "n1", "ips": ["10.1.0.9"]}]
    spec: &pod
      containers:
      - {name: c, image: i}
---
""",
    """apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {k8s.v1.cni.cncf.io/networks: "n1, n1@x"}}, spec: {}}
- apiVersion: kubevirt.io/v1
  kind: VirtualMachineInstance
  metadata: {name: vm}
  spec: {networks: [{name: red, multus: {networkName: n1}}]}
- apiVersion: k8s.cni.cncf.io/v1
  kind: NetworkAttachmentDefinition
  metadata: {name: n1}
  spec: {config: '{"type": "mynet"}'}
""",
]


def manifests(data: bytes) -> None:
    """Files of YAML: what comes out is YAML again, or the places of what is wrong."""
    given = {"a.yaml": data.decode(errors="replace"), "b.yaml": FILES[0]}
    for as_annotation in (False, True):
        try:
            made = rewrite.rewrite(given, "default", as_annotation=as_annotation)
        except FileError:
            return
        assert set(made.texts) == set(given)
        "".join(made.texts.values()).encode()
        assert all(isinstance(line, str) for line in (*made.errors, *made.warnings))


def plan(data: bytes) -> None:
    """The objects of a cluster: a plan of them, and the steps for each namespace."""
    try:
        found = jsontext.clean(json.loads(data.decode(errors="replace")))
    except (ValueError, RecursionError):
        return
    listed = [item for item in (found if isinstance(found, list) else [found]) if isinstance(item, dict)]
    there = inventory.sort(listed, "test", {"a.conf": json.dumps(_MULTUS)})
    made = planning.plan(there, foreign.rows(there.items, "test"))
    report.text(made, "table", whole=True)
    report.text(made, "json")
    for namespace in planning.namespaces(there):
        steps.refusals(there, namespace)
        for by in (names.PODNET, names.MULTUS):
            json.dumps([str(step) for step in steps.restart(there, namespace, by)])
        steps.record(there, namespace)


def pod(data: bytes) -> None:
    """A Pod as admission has it, and as another runtime has left it."""
    try:
        item = msgspec.json.decode(data)
        item = legacy.without_nulls(item) if isinstance(item, dict) else {}
        read = msgspec.convert(item, core.Pod)
    except (ValueError, RecursionError):
        return
    for listed in attached.of([read]).values():
        attached.text(one.address for one in listed)
    with contextlib.suppress(InvalidError):
        pods.read(read, "test")
    takeover.faults(read.metadata.annotations)
    json.dumps(takeover.patch(read.metadata.annotations, ()))
