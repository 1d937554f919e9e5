"""Every example before a real API server with podnet-webhook beside it."""

from __future__ import annotations

import base64
import datetime
import json
import socket
import ssl
import time
import urllib.parse
from typing import Any

from podnet_api.admission import certificates

NETWORKS = "multinetwork.x-k8s.io/networks"
PLUGINS = "required-plugins.noderesource.dev"
LABEL = "podnetwork.multinetwork.x-k8s.io/"
SECRET = "/api/v1/namespaces/default/secrets/podnet-webhook-certs"
PODS = "/api/v1/namespaces/default/pods"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pods.multinetwork.x-k8s.io"


def test_accepted(webhook: Any, valid: Any) -> None:
    answer = valid.submit(webhook)
    assert answer.code == 201, answer.message


def test_refused(webhook: Any, invalid: Any) -> None:
    answer = invalid.submit(webhook)
    assert answer.code in {400, 422}, answer
    if invalid.needs_webhook:
        field, message = invalid.marks["field"], invalid.marks["message"]
        assert answer.body["reason"] == "Invalid"
        assert any(f == field and message in m for f, m in answer.causes), answer.causes


def pod(networks: Any = None, **spec: Any) -> dict[str, Any]:
    annotations = {} if networks is None else {NETWORKS: json.dumps(networks)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "made", "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": "example.com/main:1"}], **spec},
    }


def made(webhook: Any, body: dict[str, Any]) -> dict[str, Any]:
    answer = webhook.send("POST", PODS, body, dry_run=True)
    assert answer.code == 201, answer.message
    return dict(answer.body)


def terms(body: dict[str, Any]) -> Any:
    node = body["spec"]["affinity"]["nodeAffinity"]
    return node["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]


def ready(name: str) -> dict[str, Any]:
    return {"key": LABEL + name, "operator": "Exists"}


def test_a_pod_gets_all_that_it_needs(webhook: Any) -> None:
    found = made(webhook, pod([{"podNetworkName": "blue"}]))
    assert json.loads(found["metadata"]["annotations"][NETWORKS]) == [
        {"podNetworkName": "default", "interfaceName": "eth0"},
        {"podNetworkName": "blue", "interfaceName": "net1"},
    ]
    assert found["metadata"]["annotations"][PLUGINS] == "[kni]"
    assert terms(found) == [{"matchExpressions": [ready("blue")]}]
    resources = found["spec"]["containers"][0]["resources"]
    assert resources["limits"][NETWORKS] == resources["requests"][NETWORKS] == "0"


def test_a_pod_without_networks_is_untouched(webhook: Any) -> None:
    found = made(webhook, pod())
    assert "annotations" not in found["metadata"]
    assert not found["spec"].get("affinity")
    assert found["spec"]["containers"][0]["resources"] == {}


def test_only_default_costs_nothing(webhook: Any) -> None:
    answer = webhook.send("POST", PODS, pod([]), dry_run=True)
    assert any("the list is empty" in warning for warning in answer.warnings)
    assert answer.body["metadata"]["annotations"] == {NETWORKS: '[{"podNetworkName":"default","interfaceName":"eth0"}]'}
    assert answer.body["spec"]["containers"][0]["resources"] == {}


def test_affinity_of_a_daemonset_stays(webhook: Any) -> None:
    fields = [{"key": "metadata.name", "operator": "In", "values": ["worker-1"]}]
    required = {"nodeSelectorTerms": [{"matchFields": fields}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    found = made(webhook, pod([{"podNetworkName": "blue"}], affinity=affinity))
    assert terms(found) == [{"matchFields": fields, "matchExpressions": [ready("blue")]}]


def test_an_attachment_leads_to_its_network(webhook: Any) -> None:
    path = "/apis/multinetwork.x-k8s.io/v1alpha1/namespaces/default/podnetworkattachments"
    body = {
        "apiVersion": "multinetwork.x-k8s.io/v1alpha1",
        "kind": "PodNetworkAttachment",
        "metadata": {"name": "led"},
        "spec": {"podNetworkName": "red"},
    }
    assert webhook.send("POST", path, body).code == 201
    deadline = time.monotonic() + 10
    while not (found := made(webhook, pod([{"podNetworkAttachmentName": "led"}])))["spec"].get("affinity"):
        assert time.monotonic() < deadline
    assert terms(found) == [{"matchExpressions": [ready("red")]}]
    absent = made(webhook, pod([{"podNetworkAttachmentName": "absent"}]))
    assert not absent["spec"].get("affinity")
    assert NETWORKS in absent["spec"]["containers"][0]["resources"]["limits"]


def test_applying_the_same_manifest_again_changes_nothing(webhook: Any) -> None:
    body = pod([{"podNetworkName": "blue"}])
    assert webhook.send("POST", PODS, body).code == 201
    try:
        again = webhook.send("PATCH", f"{PODS}/made", {"metadata": {"annotations": body["metadata"]["annotations"]}})
        assert again.code == 200, again.message
        assert len(json.loads(again.body["metadata"]["annotations"][NETWORKS])) == 2
        without = {"metadata": {"annotations": {NETWORKS: None}}}
        through = webhook.send("PATCH", f"{PODS}/made/status", without)
        assert through.code == 422, through
        assert "cannot change through status" in through.message
        labelled = webhook.send("PATCH", f"{PODS}/made", {"metadata": {"labels": {"a": "b"}}})
        assert labelled.code == 200, labelled.message
        gone = webhook.send("PATCH", f"{PODS}/made", without)
        assert gone.code == 200, "a running Pod may lose all its networks"
    finally:
        webhook.send("DELETE", f"{PODS}/made", {"gracePeriodSeconds": 0})


def test_the_refusal_reads_like_the_api_servers_own(webhook: Any) -> None:
    answer = webhook.send("POST", PODS, pod([{"podNetworkName": "blue"}, {"podNetworkName": "blue"}]), dry_run=True)
    assert answer.body["details"]["name"] == "made"
    assert answer.body["details"]["kind"] == "Pod"
    assert answer.message.endswith(
        f'Pod "made" is invalid: metadata.annotations[{NETWORKS}][1].podNetworkName: '
        'Duplicate value: "blue": a Pod attaches to each network at most once'
    )


def test_a_template_with_a_bad_list_gets_a_warning(webhook: Any) -> None:
    template = {**pod([{"podNetworkName": "Blue"}])}
    template["metadata"] = {"annotations": template["metadata"]["annotations"], "labels": {"a": "b"}}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "made"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {k: template[k] for k in ("metadata", "spec")}},
    }
    answer = webhook.send("POST", "/apis/apps/v1/namespaces/default/deployments", body, dry_run=True)
    assert answer.code == 201, answer.message
    assert any("spec.template.metadata.annotations" in warning for warning in answer.warnings), answer.warnings


def test_a_reset_bundle_is_put_back(webhook: Any) -> None:
    whole = webhook.send("GET", CONFIGURATION).body
    bundle = whole["webhooks"][0]["clientConfig"].pop("caBundle")
    assert webhook.send("PUT", CONFIGURATION, whole).code == 200
    deadline = time.monotonic() + 10
    while webhook.send("GET", CONFIGURATION).body["webhooks"][0]["clientConfig"].get("caBundle") != bundle:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_certificate_near_its_end_is_renewed_and_every_call_passes(webhook: Any) -> None:
    """The Secret is made to look ten months old; the program looks at it again when its configuration changes."""
    kept = {key: base64.b64decode(value) for key, value in webhook.send("GET", SECRET).body["data"].items()}
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=320)
    old = certificates.make("podnet-webhook", "default", long_ago, kept["ca.crt"])
    data = {key: base64.b64encode(value).decode() for key, value in old.to_data().items()}
    assert webhook.send("PATCH", SECRET, {"data": data}).code == 200
    whole = webhook.send("GET", CONFIGURATION).body
    place = urllib.parse.urlsplit(whole["webhooks"][0]["clientConfig"]["url"])
    assert webhook.send("PATCH", CONFIGURATION, {"metadata": {"labels": {"looked": "at"}}}).code == 200
    deadline = time.monotonic() + 30
    while not _serves_what_is_kept(webhook, place, old):
        assert made(webhook, pod([{"podNetworkName": "blue"}]))["metadata"]["annotations"][PLUGINS]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert made(webhook, pod([{"podNetworkName": "blue"}]))["metadata"]["annotations"][PLUGINS]


def _serves_what_is_kept(webhook: Any, place: urllib.parse.SplitResult, old: certificates.Certificates) -> bool:
    """Whether the Secret was renewed, and its certificate is served to who trusts the configuration's caBundle."""
    kept = base64.b64decode(webhook.send("GET", SECRET).body["data"]["tls.crt"])
    if kept == old.certificate:
        return False
    bundle = webhook.send("GET", CONFIGURATION).body["webhooks"][0]["clientConfig"].get("caBundle", "")
    tls = ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
    with (
        socket.create_connection((place.hostname, place.port), 10) as plain,
        tls.wrap_socket(plain, server_hostname="localhost") as shown,
    ):
        served = shown.getpeercert(binary_form=True) or b""
    return ssl.DER_cert_to_PEM_cert(served).split() == kept.decode().split()


def test_a_pool_that_overlaps_gets_a_warning(webhook: Any) -> None:
    """A warning, not a refusal: networks that never meet may have the same addresses."""
    configs = "/apis/kni.multinetwork.x-k8s.io/v1alpha1/networkconfigs"

    def config(name: str, **ipam: Any) -> dict[str, Any]:
        spec = {"bridge": {}, "ipam": {"ranges": [{"cidr": "10.72.0.0/16"}], **ipam}}
        head = {"apiVersion": "kni.multinetwork.x-k8s.io/v1alpha1", "kind": "NetworkConfig"}
        return {**head, "metadata": {"name": name}, "spec": spec}

    assert webhook.send("POST", configs, config("first")).code == 201
    try:
        for other, warned in ((config("second"), True), (config("second", space="apart"), False)):
            answer = webhook.send("POST", configs, other, dry_run=True)
            assert answer.code == 201, answer.message
            said = [w for w in answer.warnings if "NetworkConfigs second and first" in w and "10.72.0.1" in w]
            assert bool(said) == warned, answer.warnings
    finally:
        webhook.send("DELETE", f"{configs}/first")
