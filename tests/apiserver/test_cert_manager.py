"""The real cert-manager makes and renews podnet-webhook's certificate, as hack/manifests/overlays/cert-manager asks.

Its controller, cainjector and webhook are processes beside the API server, built from its Go module. The overlay's
objects are applied as kustomize renders them. There is no kubelet, so the test copies the Secret to where a Pod
would have it mounted; and no Service network, so podnet-webhook's Service is another name of this machine, under which
the API server still asks for the certificate of podnet-webhook.podnet-system.svc.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import pathlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from podnet_hack import errors
from podnet_hack.localcluster import components
from podnet_tests import rendered

from .conftest import CRDS, REGISTRATION, end, free_port, spawned

NAMESPACE = "podnet-system"
CERTIFICATES = f"/apis/cert-manager.io/v1/namespaces/{NAMESPACE}/certificates"
ISSUERS = f"/apis/cert-manager.io/v1/namespaces/{NAMESPACE}/issuers"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
COLLECTIONS = {
    "Issuer": ISSUERS,
    "Certificate": CERTIFICATES,
    "MutatingWebhookConfiguration": f"{REGISTRATION}/mutatingwebhookconfigurations",
    "ValidatingWebhookConfiguration": f"{REGISTRATION}/validatingwebhookconfigurations",
}
OURS = ("pods.multinetwork.x-k8s.io", "objects.multinetwork.x-k8s.io")
NETWORKS = "multinetwork.x-k8s.io/networks"
SECONDS = 60.0


def eventually(what: str, check: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """What ``check`` gives once it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def cert_manager(apiserver: Any) -> Iterator[Any]:
    """The API server with cert-manager, whose own webhook cainjector makes known."""
    try:
        programs = components.build(components.CERT_MANAGER)
        crds = components.module_directory(components.CERT_MANAGER) / "deploy/crds"
    except errors.HackError as error:
        pytest.skip(f"no cert-manager: {error}")
    for namespace in (NAMESPACE, "cert-manager"):
        assert apiserver.send("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}).code in {201, 409}
    made = [install(apiserver, file) for file in sorted(crds.glob("crd-*.yaml"))]
    port = free_port()
    made += [register(apiserver, kind, port) for kind in ("Validating", "Mutating")]
    processes = started(apiserver, programs, port)
    yield apiserver
    for process in processes:
        end(process)
    for path in made[::-1]:
        apiserver.send("DELETE", path)


def install(server: Any, file: pathlib.Path) -> str:
    """One CRD of cert-manager; its labels are for a template engine."""
    crd = yaml.safe_load(file.read_text())
    del crd["metadata"]["labels"]
    answer = server.send("POST", CRDS, crd)
    assert answer.code == 201, answer.message
    return f"{CRDS}/{crd['metadata']['name']}"


def register(server: Any, kind: str, port: int) -> str:
    """cert-manager's own webhook."""
    rule = {
        "apiGroups": ["cert-manager.io"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["*/*"],
    }
    webhook = {
        "name": "webhook.cert-manager.io",
        "rules": [rule],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "clientConfig": {"url": f"https://localhost:{port}/{'validate' if kind == 'Validating' else 'mutate'}"},
    }
    note = {"cert-manager.io/inject-ca-from-secret": "cert-manager/cert-manager-webhook-ca"}
    meta = {"name": "cert-manager-webhook", "annotations": note}
    collection = COLLECTIONS[f"{kind}WebhookConfiguration"]
    answer = server.send("POST", collection, {"metadata": meta, "webhooks": [webhook]})
    assert answer.code == 201, answer.message
    return f"{collection}/cert-manager-webhook"


def started(server: Any, programs: pathlib.Path, port: int) -> list[subprocess.Popen[bytes]]:
    """Its three programs."""
    where, at = f"--kubeconfig={server.kubeconfig}", server.directory
    flags = {
        "controller": ["--leader-elect=false", f"--metrics-listen-address=127.0.0.1:{free_port()}"],
        "cainjector": ["--leader-elect=false"],
        "webhook": [
            f"--secure-port={port}",
            f"--healthz-port={free_port()}",
            "--dynamic-serving-ca-secret-namespace=cert-manager",
            "--dynamic-serving-ca-secret-name=cert-manager-webhook-ca",
            "--dynamic-serving-dns-names=localhost",
        ],
    }
    return [spawned(at / f"cert-manager-{name}.log", programs / name, where, *more) for name, more in flags.items()]


class Mounted:
    """The Secret where a Pod would have it mounted; the kubelet's part is played by ``sync``."""

    def __init__(self, server: Any, directory: pathlib.Path) -> None:
        self._server, self.directory = server, directory
        self.port = free_port()

    def sync(self) -> bytes:
        """Write the Secret's files, all at once; its certificate."""
        data = self._server.send("GET", f"{SECRETS}/podnet-webhook-tls").body["data"]
        for name in ("tls.key", "tls.crt"):
            (self.directory / name).write_bytes(base64.b64decode(data[name]))
        return base64.b64decode(data["tls.crt"])

    def handshake(self, bundle: str) -> bytes:
        """The certificate (DER) that is shown to who trusts ``bundle``. Raises ssl.SSLError when it is not trusted."""
        tls = ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
        name = f"podnet-webhook.{NAMESPACE}.svc"
        with (
            socket.create_connection(("localhost", self.port), 10) as plain,
            tls.wrap_socket(plain, server_hostname=name) as shown,
        ):
            return shown.getpeercert(binary_form=True) or b""


@pytest.fixture(scope="module")
def mounted(cert_manager: Any, tmp_path_factory: pytest.TempPathFactory) -> Mounted:
    return Mounted(cert_manager, tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def served(cert_manager: Any, mounted: Mounted, spawn: Any) -> Iterator[Any]:
    """The overlay's certificates and our webhook, which serves what cert-manager made."""
    service = {"metadata": {"name": "podnet-webhook"}, "spec": {"type": "ExternalName", "externalName": "localhost"}}
    made = [f"/api/v1/namespaces/{NAMESPACE}/services/podnet-webhook"]
    assert cert_manager.send("POST", made[0].rpartition("/")[0], service).code == 201
    objects = [
        one
        for one in rendered.overlay("cert-manager")
        if one["kind"] in COLLECTIONS and "compat" not in one["metadata"]["name"]
    ]
    for item in sorted(objects, key=lambda one: list(COLLECTIONS).index(one["kind"])):
        for webhook in item.get("webhooks", ()):
            webhook["clientConfig"]["service"]["port"] = mounted.port
        made.append(create(cert_manager, item))
        if item["kind"] == "Certificate":
            until_ready(cert_manager, item["metadata"]["name"])
    mounted.sync()
    flags = ("--namespace", NAMESPACE, "--cert-dir", str(mounted.directory))
    spawn("podnet_api.webhook.main", *flags, port=mounted.port, until="serving")
    yield cert_manager
    for path in made[::-1]:
        cert_manager.send("DELETE", path)


def create(server: Any, item: dict[str, Any]) -> str:
    """Create it; cert-manager's webhook may not be known or trusted yet."""
    collection = COLLECTIONS[item["kind"]]
    answers: list[str] = []

    def made() -> bool:
        answer = server.send("POST", collection, item)
        answers.append(answer.message)
        return bool(answer.code == 201)

    eventually(f"{item['metadata']['name']} is created: {answers[-1:]}", made)
    return f"{collection}/{item['metadata']['name']}"


def until_ready(server: Any, name: str) -> None:
    """Wait for a Certificate."""

    def ready() -> bool:
        found = (server.send("GET", f"{CERTIFICATES}/{name}").body.get("status") or {}).get("conditions") or []
        return any(one["type"] == "Ready" and one["status"] == "True" for one in found)

    eventually(f"{name} is ready", ready)


def bundles(server: Any) -> set[str]:
    """The caBundles of our configurations."""
    collections = [path for kind, path in COLLECTIONS.items() if kind.endswith("Configuration")]
    items = [item for path in collections for item in server.send("GET", path).body["items"]]
    ours = [item for item in items if item["metadata"]["name"] in OURS]
    assert len(ours) == len(OURS)
    return {webhook["clientConfig"].get("caBundle", "") for item in ours for webhook in item["webhooks"]}


def ask(server: Any, networks: list[dict[str, Any]]) -> Any:
    """An admission call: a Pod with a list, not kept."""
    meta = {"name": "asked", "annotations": {NETWORKS: json.dumps(networks)}}
    body = {"metadata": meta, "spec": {"containers": [{"name": "a", "image": "x"}]}}
    return server.send("POST", "/api/v1/namespaces/default/pods", body, dry_run=True)


def test_the_certificate_is_the_manifests(served: Any, mounted: Mounted) -> None:
    found = x509.load_pem_x509_certificate(mounted.sync())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [f"podnet-webhook.{NAMESPACE}.svc"]
    assert found.issuer.rfc4514_string() == "CN=podnet-authority"


def test_cainjector_has_made_the_authority_known(served: Any) -> None:
    authority = served.send("GET", f"{SECRETS}/podnet-webhook-tls").body["data"]["ca.crt"]
    eventually("the caBundles are the authority's", lambda: bundles(served) == {authority})


def test_admission_passes_before_during_and_after_a_renewal(served: Any, mounted: Mounted) -> None:
    eventually("an admission call passes", lambda: ask(served, [{"podNetworkName": "blue"}]).code == 201)
    assert ask(served, [{"podNetworkName": "blue"}] * 2).code == 422, "and it is our webhook that answers"
    [trusted] = bundles(served)
    before = x509.load_pem_x509_certificate(mounted.sync())
    with asking(served) as failed:
        renew(served, before)
        assert x509.load_der_x509_certificate(mounted.handshake(trusted)) == before, "the kubelet takes its time"
        after = x509.load_pem_x509_certificate(mounted.sync())
        der = after.public_bytes(serialization.Encoding.DER)
        eventually("the new certificate is served", lambda: mounted.handshake(trusted) == der)
        assert ask(served, [{"podNetworkName": "blue"}]).code == 201
    assert not failed
    assert after.serial_number != before.serial_number
    assert after.public_key() != before.public_key()
    assert bundles(served) == {trusted}, "the authority stays"


@contextlib.contextmanager
def asking(server: Any) -> Iterator[list[str]]:
    """Admission calls without a pause; what was said of those that failed."""
    failed: list[str] = []
    done = threading.Event()

    def go_on() -> None:
        while not done.wait(0.05):
            answer = ask(server, [{"podNetworkName": "blue"}])
            if answer.code != 201:
                failed.append(answer.message)

    thread = threading.Thread(target=go_on)
    thread.start()
    yield failed
    done.set()
    thread.join(SECONDS)


def renew(server: Any, before: x509.Certificate) -> None:
    """Asks for it as `cmctl renew` does, and waits until it is done."""
    path = f"{CERTIFICATES}/podnet-webhook"
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    item = server.send("GET", path).body
    issuing = {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "x"}
    item["status"]["conditions"].append({**issuing, "lastTransitionTime": now})
    answer = server.send("PUT", f"{path}/status", item)
    assert answer.code == 200, answer.message
    old = base64.b64encode(before.public_bytes(serialization.Encoding.PEM)).decode()
    secret = f"{SECRETS}/podnet-webhook-tls"
    eventually("a new certificate", lambda: server.send("GET", secret).body["data"]["tls.crt"] != old)
