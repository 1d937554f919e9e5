"""An external build of Multus on one node of a kind cluster, for as long as it is measured.

$PODNET_MULTUS names a directory with its released programs, `multus-daemon` and `multus-shim` (thick plugin, v4). They
are put on the node as its own manifest puts them: the shim among the plugins, the daemon as root beside containerd, the
configuration made by the daemon out of the cluster's own. Nothing of it is kept.
"""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from podnet_hack.demo.world import World
from podnet_tests.waiting import eventually

PROGRAMS = ("multus-daemon", "multus-shim")
NAME = "podnet-bench-multus"
COMPAT = ("mutatingwebhookconfiguration", "compat.multinetwork.x-k8s.io")
_OWN, _PLUGINS, _CONFIGURATIONS = "/opt/podnet-bench-multus", "/opt/cni/bin", "/etc/cni/net.d"
_SECRETS = "/var/run/secrets/kubernetes.io/serviceaccount"
_SOCKETS = "/run/multus/"
_LEFT = f"{_PLUGINS}/multus-shim {_CONFIGURATIONS}/00-multus.conf {_OWN} {_SECRETS} {_SOCKETS} /var/lib/cni/multus"
_DAEMON = {
    "cniVersion": "0.3.1",
    "logLevel": "error",
    "logToStderr": True,
    "cniConfigDir": _CONFIGURATIONS,
    "multusAutoconfigDir": _CONFIGURATIONS,
    "multusConfigFile": "auto",
    "socketDir": _SOCKETS,
}
_RULES = [
    {"apiGroups": ["k8s.cni.cncf.io"], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods", "pods/status"], "verbs": ["get", "list", "update", "watch"]},
    {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch", "update"]},
]


def found(text: str) -> pathlib.Path:
    """The directory that the variable names. Raises SystemExit when it lacks a program."""
    directory = pathlib.Path(text)
    missing = [name for name in PROGRAMS if not (directory / name).is_file()]
    if missing:
        raise SystemExit(f"cannot measure Multus: {directory} has no {' and no '.join(missing)}")
    return directory


@contextmanager
def installed(world: World, node: str, directory: pathlib.Path) -> Iterator[None]:
    """Multus is the runtime's plugin on the node; afterwards everything is as it was before."""
    _leave_alone(world, [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [world.namespace]}])
    try:
        _grant(world)
        _place(world, node, directory)
        _start(world, node)
        yield
    finally:
        _remove(world, node)
        _leave_alone(world, [])


def _leave_alone(world: World, expressions: list[dict[str, object]]) -> None:
    """compat is asked about namespaces that these select alone: in that of the benchmark, Pods are Multus'."""
    found = world.get(*COMPAT)["webhooks"]
    patch = [
        {"op": "replace", "path": f"/webhooks/{number}/namespaceSelector", "value": {"matchExpressions": expressions}}
        for number in range(len(found))
    ]
    world.kubectl("patch", *COMPAT, "--type=json", "--patch", json.dumps(patch))
    time.sleep(1)  # until the API server has seen it


def _grant(world: World) -> None:
    """The rights of its own manifest."""
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": "kube-system"}
    rbac = "rbac.authorization.k8s.io"
    world.in_namespace("kube-system").apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": "kube-system"}},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": NAME}, "rules": _RULES},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAME},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": NAME},
            "subjects": [subject],
        },
    )


def _place(world: World, node: str, directory: pathlib.Path) -> None:
    world.on_node(node, "mkdir", "-p", _OWN, _SECRETS, _SOCKETS)
    for name, where in zip(PROGRAMS, (_OWN, _PLUGINS), strict=True):
        world.engine.run("cp", str(directory / name), f"{node}:{where}/{name}")
        world.on_node(node, "chmod", "755", f"{where}/{name}")
    system = world.in_namespace("kube-system")
    bundle = json.loads(system.kubectl("get", "configmap", "kube-root-ca.crt", "--output=json"))
    files = {
        f"{_OWN}/daemon-config.json": json.dumps(_DAEMON),
        f"{_SECRETS}/token": system.kubectl("create", "token", NAME, "--duration=2h").strip(),
        f"{_SECRETS}/ca.crt": bundle["data"]["ca.crt"],
    }
    for path, text in files.items():
        world.engine.run("exec", "-i", node, "sh", "-c", f"cat > {path}", stdin=text)


def _start(world: World, node: str) -> None:
    service = world.in_namespace("default").get("service", "kubernetes")["spec"]
    settings = {
        "KUBERNETES_SERVICE_HOST": service["clusterIP"],
        "KUBERNETES_SERVICE_PORT": str(service["ports"][0]["port"]),
        "MULTUS_NODE_NAME": node,
    }
    env = [f"--setenv={name}={value}" for name, value in settings.items()]
    command = (f"{_OWN}/multus-daemon", "-config", f"{_OWN}/daemon-config.json")
    world.on_node(node, "systemd-run", f"--unit={NAME}", "--collect", *env, *command)
    eventually(lambda: "" if _configured(world, node) else f"no configuration of Multus on {node}", 30)
    time.sleep(2)  # until the runtime has read it


def _configured(world: World, node: str) -> bool:
    return "00-multus.conf" in world.on_node(node, "ls", _CONFIGURATIONS)


def _remove(world: World, node: str) -> None:
    """Its Pods must be gone."""
    world.on_node(node, "sh", "-c", f"systemctl stop {NAME} || true; rm -rf {_LEFT}")
    for kind in ("clusterrolebinding", "clusterrole"):
        world.kubectl("delete", kind, NAME, "--ignore-not-found")
    world.in_namespace("kube-system").kubectl("delete", "serviceaccount", NAME, "--ignore-not-found")
