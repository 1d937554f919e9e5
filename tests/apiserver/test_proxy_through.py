"""What cannot hold the field goes through podnet-proxy to a real API server as it came, and the list stays."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from podnet_api.proxy.openapi_v2_pb2 import Document

KEY = "multinetwork.x-k8s.io/networks"
LISTED = '[{"podNetworkName":"blue"}]'
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\0"


def raw(server: Any, method: str, path: str, kind: str, body: bytes | None = None) -> bytes:
    """One request in another form than JSON."""
    headers = {"Authorization": "Bearer administrator", "Accept": kind, "Content-Type": kind}
    asked = urllib.request.Request(server.url + path, body, headers, method=method)
    tls = ssl.create_default_context(cadata=server.authority.decode())
    with urllib.request.urlopen(asked, context=tls, timeout=20) as answer:
        return bytes(answer.read())


@pytest.fixture
def pod(proxy: Any) -> Iterator[str]:
    """The path of a Pod with a list."""
    spec = {"containers": [{"name": "a", "image": "x"}], "networks": json.loads(LISTED)}
    answer = proxy.send("POST", PODS, {"metadata": {"name": "through"}, "spec": spec})
    assert answer.code == 201, answer.message
    yield f"{PODS}/through"
    proxy.send("DELETE", f"{PODS}/through", {"gracePeriodSeconds": 0})


def carried(apiserver: Any, path: str) -> str:
    """The list as the API server has it."""
    return str(apiserver.send("GET", path).body["metadata"]["annotations"][KEY])


def test_protobuf(proxy: Any, apiserver: Any, pod: str) -> None:
    """A client of Go: it reads the annotation alone, and writes it back."""
    body = raw(proxy, "GET", pod, PROTOBUF)
    assert body.startswith(MAGIC)
    assert body == raw(apiserver, "GET", pod, PROTOBUF)
    changed = body.replace(b"blue", b"grey")
    assert raw(proxy, "PUT", pod, PROTOBUF, changed).startswith(MAGIC)
    assert carried(apiserver, pod) == LISTED.replace("blue", "grey")
    assert proxy.send("GET", pod).body["spec"]["networks"] == [{"podNetworkName": "grey"}]


def test_protobuf_where_json_is_offered_too(proxy: Any, pod: str) -> None:
    body = json.loads(proxy_json(proxy, pod))
    assert body["spec"]["networks"] == json.loads(LISTED)


def proxy_json(proxy: Any, path: str) -> bytes:
    """As client-go asks."""
    headers = {"Authorization": "Bearer administrator", "Accept": f"{PROTOBUF},application/json"}
    tls = ssl.create_default_context(cadata=proxy.authority.decode())
    with urllib.request.urlopen(urllib.request.Request(proxy.url + path, headers=headers), context=tls) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        return bytes(answer.read())


def test_yaml_answers_show_the_annotation(proxy: Any, apiserver: Any, pod: str) -> None:
    assert raw(proxy, "GET", pod, "application/yaml") == raw(apiserver, "GET", pod, "application/yaml")


def test_binding(proxy: Any, apiserver: Any, pod: str) -> None:
    target = {"apiVersion": "v1", "kind": "Node", "name": "nowhere"}
    answer = proxy.send("POST", f"{pod}/binding", {"metadata": {"name": "through"}, "target": target})
    assert answer.code == 201, answer.message
    assert proxy.send("GET", pod).body["spec"]["nodeName"] == "nowhere"
    assert carried(apiserver, pod) == LISTED


def test_eviction(proxy: Any, pod: str) -> None:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "through"}}
    assert proxy.send("POST", f"{pod}/eviction", {**body, "deleteOptions": {"dryRun": ["All"]}}).code == 201
    assert proxy.send("POST", f"{pod}/eviction", body).code == 201
    assert proxy.send("GET", pod).code == 404


def test_scale(proxy: Any, apiserver: Any) -> None:
    labels = {"app": "scaled"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "a", "image": "x"}], "networks": json.loads(LISTED)},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    assert proxy.send("POST", DEPLOYMENTS, {"metadata": {"name": "scaled"}, "spec": spec}).code == 201
    path = f"{DEPLOYMENTS}/scaled"
    scale = proxy.send("GET", f"{path}/scale").body
    assert scale == apiserver.send("GET", f"{path}/scale").body
    scale["spec"]["replicas"] = 3
    assert proxy.send("PUT", f"{path}/scale", scale).code == 200
    assert proxy.send("PATCH", f"{path}/scale", {"spec": {"replicas": 2}}).body["spec"]["replicas"] == 2
    found = proxy.send("GET", path).body["spec"]
    assert (found["replicas"], found["template"]["spec"]["networks"]) == (2, json.loads(LISTED))
    proxy.send("DELETE", path)


def test_ephemeral_containers_and_resize(proxy: Any, apiserver: Any, pod: str) -> None:
    """Subresources whose body is the Pod: what was read is written back, with the field in it."""
    found = proxy.send("GET", pod).body
    found["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "x"}]
    answer = proxy.send("PUT", f"{pod}/ephemeralcontainers", found)
    assert answer.code == 200, answer.message
    assert answer.body["spec"]["networks"] == json.loads(LISTED)
    answer = proxy.send("PUT", f"{pod}/resize", answer.body)
    assert answer.code == 200, answer.message
    assert carried(apiserver, pod) == LISTED


OPENAPI_V2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
POD_SPEC = "io.k8s.api.core.v1.PodSpec"


def test_openapi_v2_gets_the_field(proxy: Any, apiserver: Any) -> None:
    """kubectl checks objects in a List by it. Of the rest it says what the API server says."""
    ours, theirs = (json.loads(raw(side, "GET", "/openapi/v2", "application/json")) for side in (proxy, apiserver))
    networks = ours["definitions"][POD_SPEC]["properties"].pop("networks")
    assert networks["items"]["$ref"].removeprefix("#/definitions/") in ours["definitions"]
    changed = {name for name in ours["definitions"] if ours["definitions"][name] != theirs["definitions"].get(name)}
    assert changed == {"io.k8s.api.core.v1.Network", "io.k8s.api.core.v1.PodIP"}
    assert ours["paths"] == theirs["paths"]


def test_openapi_v2_in_the_form_that_kubectl_reads(proxy: Any, apiserver: Any) -> None:
    documents = [Document.FromString(raw(side, "GET", "/openapi/v2", OPENAPI_V2)) for side in (proxy, apiserver)]
    ours, theirs = ({one.name: one.value for one in whole.definitions.schemas} for whole in documents)
    changed = {name for name in ours if ours[name] != theirs.get(name)}
    assert changed == {"io.k8s.api.core.v1.Network", "io.k8s.api.core.v1.PodIP", POD_SPEC}
    fields = {one.name: one.value for one in ours[POD_SPEC].properties.schemas}
    refs = [fields[name].items.schema[0].ref for name in ("networks", "containers")]
    assert refs == [f"#/definitions/io.k8s.api.core.v1.{kind}" for kind in ("Network", "Container")]
    assert fields["networks"].type == fields["containers"].type
