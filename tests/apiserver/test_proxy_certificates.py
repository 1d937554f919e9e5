"""Client certificates through podnet-proxy: re-asserted by the request-header authority, and nothing else is."""

from __future__ import annotations

import http.client
import json
import pathlib
import ssl
import time
import urllib.parse
from dataclasses import dataclass
from typing import Any

import pytest
from podnet_tests.authority import Authority, Pair

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
PODS = "/api/v1/namespaces/default/pods"


@dataclass(frozen=True)
class Front:
    """A proxy that accepts certificates of ``users``."""

    url: str
    authority: bytes
    users: Authority
    strangers: Authority

    def send(
        self, pair: Pair | None, method: str = "POST", path: str = WHO, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Status and body, with a client certificate or without."""
        tls = ssl.create_default_context(cadata=self.authority.decode())
        if pair is not None:
            tls.load_cert_chain(pair.certificate, pair.key)
        place = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPSConnection(place.hostname or "", place.port, timeout=20, context=tls)
        sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, json.dumps(REVIEW) if method == "POST" else None, sent)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, json.loads(body)

    def who(self, pair: Pair | None, **headers: str) -> tuple[str, list[str]]:
        """User and groups as the API server sees them."""
        code, answer = self.send(pair, **headers)
        assert code == 201, answer
        info = answer["status"]["userInfo"]
        return info["username"], [group for group in info["groups"] if group != "system:authenticated"]


@pytest.fixture(scope="module")
def front(request_header: Any, spawn_proxy: Any, tmp_path_factory: Any) -> Front:
    directory: pathlib.Path = tmp_path_factory.mktemp("authorities")
    users, strangers = Authority(directory, "users"), Authority(directory, "strangers")
    ours: Pair = request_header.pair("front-proxy-client")
    flags = ["--client-ca", users.certificate]
    flags += ["--requestheader-cert", ours.certificate, "--requestheader-key", ours.key]
    server = spawn_proxy(*map(str, flags))
    return Front(server.url, server.authority, users, strangers)


def test_the_api_server_sees_who_the_certificate_names(front: Front) -> None:
    assert front.who(front.users.pair("alice", "team-a", "team-b")) == ("alice", ["team-a", "team-b"])
    code, answer = front.send(front.users.pair("alice"), "GET", PODS)
    assert code == 403
    assert 'User "alice"' in answer["message"]
    assert front.send(front.users.pair("root", "system:masters"), "GET", PODS)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Remote_User": "root"},
        {"X_Remote_Group": "system:masters"},
        {"x_REMOTE_group": "system:masters", "X_Remote_Extra_A": "b"},
        {"Authorization": "Bearer administrator"},
        {"Authorization": "Bearer wrong"},
    ],
)
def test_headers_add_nothing_to_a_certificate(front: Front, headers: dict[str, str]) -> None:
    assert front.who(front.users.pair("bob", "team"), **headers) == ("bob", ["team"])


def test_impersonation_is_the_api_servers_to_allow(front: Front) -> None:
    headers = {"Impersonate_User": "root", "Impersonate_Group": "system:masters"}
    code, answer = front.send(front.users.pair("bob"), "GET", PODS, **headers)
    assert code == 403
    assert 'User "bob" cannot impersonate' in answer["message"]
    code, answer = front.send(front.users.pair("root", "system:masters"), "GET", PODS, Impersonate_User="carol")
    assert code == 403
    assert 'User "carol"' in answer["message"]


def test_without_a_certificate_nobody_is_vouched_for(front: Front) -> None:
    assert front.who(None, Authorization="Bearer administrator")[0] == "administrator"
    headers = {"X_Remote_User": "root", "X_Remote_Group": "system:masters"}
    code, answer = front.send(None, "GET", PODS, **headers)
    assert code in {401, 403}
    assert "root" not in answer["message"]


def test_strangers_and_certificates_that_are_over(front: Front) -> None:
    for pair in (front.strangers.pair("root", "system:masters"), front.users.pair("root", seconds=-10)):
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            front.send(pair)


def test_a_certificate_that_ends_during_a_connection(front: Front) -> None:
    pair = front.users.pair("brief", seconds=2)
    tls = ssl.create_default_context(cadata=front.authority.decode())
    tls.load_cert_chain(pair.certificate, pair.key)
    place = urllib.parse.urlsplit(front.url)
    connection = http.client.HTTPSConnection(place.hostname or "", place.port, timeout=20, context=tls)
    codes = []
    for pause in (0, 3.5):
        time.sleep(pause)
        connection.request("GET", "/version")
        answer = connection.getresponse()
        answer.read()
        codes.append(answer.status)
    assert codes == [200, 401]


@pytest.mark.parametrize("user", ["", "a\r\nX-Remote-Group: system:masters", "ünsal", " padded"])
def test_names_that_are_no_header(front: Front, user: str) -> None:
    code, answer = front.send(front.users.pair(user, "team"))
    assert (code, answer["reason"]) == (401, "Unauthorized")
