"""The way to a local cluster through podnet-proxy: `python -m podnet_hack.proxied --cluster NAME` prints a kubeconfig.

kind's administrator has a client certificate, which ends at the proxy. So there is a ServiceAccount with the same
rights, and the kubeconfig has a token of it. The address is a node's own: nothing has to run on this machine.
"""

import argparse
import base64
import json
import pathlib
import sys
from typing import Any

import yaml

from podnet_hack import errors, paths
from podnet_hack.localcluster import cluster

NAMESPACE = "podnet-system"
SERVICE = "podnet-proxy"
SECRET = "podnet-proxy-certs"
USER = "podnet-user"
TOKEN_HOURS = 24


def kubeconfig(name: str) -> pathlib.Path:
    """The file that reaches a cluster through its proxy; made anew, because the token in it ends after a day."""
    made = paths.BUILD / f"{name}-networks.kubeconfig"
    _make_user(name)
    token = cluster.kubectl(name, "create", "token", USER, f"--namespace={NAMESPACE}", f"--duration={TOKEN_HOURS}h")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": _reached(name)}],
        "users": [{"name": USER, "user": {"token": token.strip()}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": USER}}],
        "current-context": name,
    }
    made.touch(mode=0o600)
    made.write_text(yaml.safe_dump(config))
    return made


def _reached(name: str) -> dict[str, str]:
    """Where the proxy is: the port of its Service on the control plane, and who signed its certificate."""
    service = _get(name, "service", SERVICE)
    node = json.loads(cluster.kubectl(name, "get", "nodes", "--output=json"))["items"][0]
    address = next(one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP")
    host = f"[{address}]" if ":" in address else address
    authority = base64.b64decode(_get(name, "secret", SECRET)["data"]["ca.crt"])
    return {
        "server": f"https://{host}:{service['spec']['ports'][0]['nodePort']}",
        "tls-server-name": f"{SERVICE}.{NAMESPACE}.svc",
        "certificate-authority-data": base64.b64encode(authority).decode(),
    }


def _get(name: str, kind: str, what: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        cluster.kubectl(name, "get", kind, what, f"--namespace={NAMESPACE}", "--output=json")
    )
    return found


def _make_user(name: str) -> None:
    subject = {"kind": "ServiceAccount", "name": USER, "namespace": NAMESPACE}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": USER, "namespace": NAMESPACE}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": USER},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [subject],
    }
    cluster.kubectl(name, "apply", "--filename=-", stdin=yaml.safe_dump_all([account, binding]))


def main(argv: list[str]) -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="proxied", description=__doc__)
    parser.add_argument("--cluster", default="podnet")
    print(kubeconfig(parser.parse_args(argv).cluster))


if __name__ == "__main__":
    sys.exit(errors.reported(lambda: main(sys.argv[1:])))
