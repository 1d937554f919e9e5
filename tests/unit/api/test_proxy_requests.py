"""What a request is about, and which headers go on."""

from __future__ import annotations

import pytest
from podnet_api.proxy import headers, requests

PODS = "/api/v1/namespaces/demo/pods"


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        (PODS, "", ("pods", "", "", False)),
        ("/api/v1/pods", "watch=true", ("pods", "", "", True)),
        ("/api/v1/pods", "watch=", ("pods", "", "", True)),
        ("/api/v1/pods", "watch=0&limit=5", ("pods", "", "", False)),
        ("/api/v1/watch/namespaces/demo/pods/a", "", ("pods", "a", "", True)),
        (f"{PODS}/a", "", ("pods", "a", "", False)),
        (f"{PODS}/a/status", "", ("pods", "a", "status", False)),
        (f"{PODS}/a/binding", "", ("pods", "a", "binding", False)),
        ("/api/v1/namespaces/de%6do/p%6Fds/a", "", ("pods", "a", "", False)),
        ("/apis/apps/v1/namespaces/demo/deployments/web/scale", "", ("deployments", "web", "scale", False)),
        ("/apis/batch/v1/cronjobs", "", ("cronjobs", "", "", False)),
    ],
)
def test_what_carries_a_list(path: str, query: str, expected: tuple[object, ...]) -> None:
    found = requests.target(path, query)
    assert found is not None
    assert (found.carrier.plural, found.name, found.subresource, found.watch) == expected
    assert found.whole == (found.subresource in {"", "status"})


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/api", "/api/v1", "/api/v1/namespaces", "/api/v1/namespaces/pods", "/api/v1/nodes/a/proxy/pods"),
        *("/apis/apps/v1beta1/deployments", "/apis/metrics.k8s.io/v1beta1/namespaces/demo/pods/a", "/pods"),
        *("/api/v1/namespaces/demo/services/a", f"{PODS}/a/proxy/index.html", "//api/v1/pods"),
    ],
)
def test_what_does_not(path: str) -> None:
    assert requests.target(path, "") is None


@pytest.mark.parametrize(
    ("path", "query", "long"),
    [
        ("/api/v1/pods", "watch=1", True),
        ("/api/v1/watch/pods", "", True),
        (f"{PODS}/a/exec", "command=sh", True),
        (f"{PODS}/a/log", "follow=true", True),
        ("/api/v1/nodes/a/proxy/logs", "", True),
        ("/api/v1/pods", "", False),
        ("/apis/example.com/v1/things", "watch=false", False),
    ],
)
def test_what_has_no_deadline(path: str, query: str, long: bool) -> None:
    assert requests.is_long(path, query) is long


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/vnd.kubernetes.protobuf,application/json", "application/json"),
        ("application/cbor, application/json;q=0.5", "application/json;q=0.5"),
        ("application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf"),
        (
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            "application/json;as=Table;v=v1;g=meta.k8s.io, application/json",
        ),
        ("*/*", "application/json"),
        ("", "application/json"),
        ("application/yaml", "application/yaml"),
    ],
)
def test_json_is_asked_for_where_it_is_offered(accept: str, expected: str) -> None:
    assert requests.readable(accept) == expected


@pytest.mark.parametrize(
    ("method", "target", "received", "word"),
    [
        ("CONNECT", "example.com:443", [], "CONNECT"),
        ("GET", "https://example.com/api", [], "path"),
        ("GET", "*", [], "path"),
        ("TRACE", "/", [], "TRACE"),
        ("GET", "/", [("Authorization", "a"), ("authorization", "b")], "authorization"),
        ("POST", "/", [("Content-Length", "1"), ("Transfer-Encoding", "chunked")], "Content-Length"),
        ("GET", "/", [("Connection", "close, Impersonate-User")], "impersonate-user"),
        ("GET", "/", [("connection", "Authorization")], "authorization"),
        ("GET", "/", [("CONNECTION", "x-remote-user")], "x-remote-user"),
    ],
)
def test_what_is_refused(method: str, target: str, received: headers.Headers, word: str) -> None:
    assert word in headers.refusal(method, target, received)


def test_an_ordinary_request_is_not_refused() -> None:
    received = [("Authorization", "Bearer a"), ("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket")]
    assert headers.refusal("GET", "/api?x=https://example.com", received) == ""


def test_what_goes_on() -> None:
    received = [
        *(("Authorization", "Bearer a"), ("Impersonate-User", "b"), ("Impersonate-Group", "c"), ("Accept", "x")),
        *(("X-Remote-User", "admin"), ("x-remote-GROUP", "system:masters"), ("X-Remote-Extra-Scopes", "all")),
        *(("X_Remote_User", "admin"), ("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=x"), ("X-Real-IP", "y")),
        *(("Host", "a"), ("Content-Length", "3"), ("Transfer-Encoding", "chunked"), ("Connection", "close")),
        *(("Keep-Alive", "5"), ("TE", "trailers"), ("Upgrade", "h2c"), ("Expect", "100-continue")),
    ]
    assert headers.onward(received, "198.51.100.7") == [
        ("Authorization", "Bearer a"),
        ("Impersonate-User", "b"),
        ("Impersonate-Group", "c"),
        ("Accept", "x"),
        ("X-Forwarded-For", "198.51.100.7"),
    ]


@pytest.mark.parametrize(
    ("received", "protocol"),
    [
        ([("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")], "spdy/3.1"),
        ([("Connection", "keep-alive, upgrade"), ("Upgrade", "WebSocket")], "websocket"),
        ([("Connection", "Upgrade"), ("Upgrade", "h2c")], ""),
        ([("Upgrade", "websocket")], ""),
        ([], ""),
    ],
)
def test_changes_of_protocol(received: headers.Headers, protocol: str) -> None:
    assert headers.upgrade(received) == protocol


def test_openapi_documents() -> None:
    assert requests.openapi("/openapi/v3") == requests.openapi("/openapi/v3/") == ""
    assert requests.openapi("/openapi/v3/apis/apps/v1") == "apis/apps/v1"
    assert requests.openapi("/openapi/v2") is None
