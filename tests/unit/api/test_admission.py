"""The admission server: the wire form, certificates, the Secret, and what goes wrong."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import test_utils, web
from podnet_api import admission
from podnet_api.admission import app, certificates, registration, review, secret, server
from podnet_api.faults import Fault, FaultType
from podnet_api.kube import Client, Credentials
from podnet_api.meta import ObjectMeta

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
FAULT = Fault("spec.a", FaultType.INVALID, "must be b", "c")


def body(**request: Any) -> bytes:
    asked = {"uid": "1", "operation": "CREATE", "object": {"kind": "Pod"}, **request}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}).encode()


def test_a_review_is_read() -> None:
    asked = review.decode(
        body(
            object={"metadata": {"generateName": "web-"}},
            oldObject={"a": 1},
            namespace="ns",
            dryRun=True,
            userInfo={"username": "me", "groups": ["g"]},
        )
    )
    assert asked == review.Request(
        "1", "CREATE", "me", "ns", "web-", {"metadata": {"generateName": "web-"}}, {"a": 1}, True, ("g",)
    )
    assert review.decode(body(operation="DELETE", object=None, name="x")).object == {}


@pytest.mark.parametrize(
    "posted",
    [b"", b"[]", b"\xff", b"[" * 100_000, b"{}", body().replace(b"k8s.io/v1", b"k8s.io/v1beta1"), body(uid=5)],
)
def test_what_is_no_review_is_an_error(posted: bytes) -> None:
    with pytest.raises(review.BadReviewError, match="cannot read"):
        review.decode(posted)


def answer_of(answer: admission.Allow | admission.Deny) -> Any:
    return json.loads(review.encode("1", answer))["response"]


def test_answers() -> None:
    assert answer_of(admission.Allow()) == {"uid": "1", "allowed": True}
    patched = answer_of(admission.Allow([{"op": "remove", "path": "/a"}], ["careful"]))
    assert json.loads(base64.b64decode(patched["patch"])) == [{"op": "remove", "path": "/a"}]
    assert (patched["patchType"], patched["warnings"]) == ("JSONPatch", ["careful"])
    denied = answer_of(admission.Deny("Pod", "x", (FAULT,)))
    assert denied["allowed"] is False
    assert denied["status"] == {
        "code": 422,
        "reason": "Invalid",
        "message": 'Pod "x" is invalid: spec.a: Invalid value: "c": must be b',
        "details": {
            "name": "x",
            "kind": "Pod",
            "causes": [{"reason": "FieldValueInvalid", "message": 'Invalid value: "c": must be b', "field": "spec.a"}],
        },
    }
    assert admission.Deny("Pod", "x", (FAULT, FAULT)).message.startswith('Pod "x" is invalid: [spec.a: ')


def test_certificates_are_renewed_in_time_and_stay_trusted() -> None:
    first = certificates.make("svc", "ns", NOW)
    assert certificates.from_data(first.to_data()) == first
    assert first.usable("svc", "ns", NOW)
    assert not first.usable("other", "ns", NOW)
    assert not first.usable("svc", "ns", NOW + certificates.LIFETIME - certificates.RENEW_BEFORE)
    second = certificates.make("svc", "ns", NOW + 300 * DAY, first.authorities)
    assert second.authorities.endswith(first.authorities)
    assert certificates.from_data(second.to_data()) == second
    third = certificates.make("svc", "ns", NOW + 600 * DAY, second.authorities)
    assert first.authorities not in third.authorities


def test_foreign_certificates_are_an_error() -> None:
    one, other = (certificates.make("svc", "ns", NOW).to_data() for _ in range(2))
    wrong: list[dict[str, bytes]] = [{}, one | {"tls.crt": b"x"}, one | {"tls.key": b"x"}]
    for data in [*wrong, one | {"tls.key": other["tls.key"]}, one | {"ca.crt": other["ca.crt"]}]:
        with pytest.raises(certificates.CertificateError, match="cannot"):
            certificates.from_data(data)


class FakeApi:
    """Secrets and webhook configurations as far as the server uses them; ``conflicts`` is how often another
    replica is quicker."""

    def __init__(self) -> None:
        self.secret: dict[str, Any] | None = None
        self.patches: list[Any] = []
        self.conflicts = 0
        self.app = web.Application()
        secrets = "/api/v1/namespaces/ns/secrets"
        self.app.router.add_get(f"{secrets}/s", self.get)
        self.app.router.add_post(secrets, self.post)
        self.app.router.add_patch(f"{secrets}/s", self.merge)
        for kind in ("mutating", "validating"):
            path = f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations"
            self.app.router.add_get(path, self.list)
            self.app.router.add_patch(f"{path}/ours", self.patch)

    async def get(self, _: web.Request) -> web.Response:
        if self.secret is None:
            return web.json_response({"reason": "NotFound"}, status=404)
        return web.json_response(self.secret)

    async def post(self, request: web.Request) -> web.Response:
        if self.conflicts:
            self.conflicts -= 1
            self.adopt(certificates.make("svc", "ns", datetime.datetime.now(datetime.UTC)))
            return web.json_response({"reason": "AlreadyExists"}, status=409)
        self.secret = await request.json()
        return web.json_response(self.secret)

    async def merge(self, request: web.Request) -> web.Response:
        assert self.secret is not None
        self.secret |= await request.json()
        return web.json_response(self.secret)

    async def list(self, request: web.Request) -> web.Response:
        if "watch" in request.query:
            await asyncio.sleep(60)
        webhooks = [{"name": "a", "clientConfig": {}}, {"name": "b", "clientConfig": {"caBundle": "x"}}]
        items = [{"metadata": {"name": name, "resourceVersion": "1"}, "webhooks": webhooks} for name in ("ours", "not")]
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": items})

    async def patch(self, request: web.Request) -> web.Response:
        self.patches.append(await request.json())
        return web.json_response({})

    def adopt(self, made: certificates.Certificates) -> None:
        data = {key: base64.b64encode(value).decode() for key, value in made.to_data().items()}
        self.secret = {"metadata": {"name": "s", "namespace": "ns", "resourceVersion": "1"}, "data": data}


@pytest.fixture
async def api() -> AsyncIterator[tuple[FakeApi, Client]]:
    fake = FakeApi()
    async with (
        test_utils.TestServer(fake.app) as running,
        Client(Credentials(str(running.make_url("")), None), "t") as c,
    ):
        yield fake, c


async def test_the_secret_is_made_adopted_and_renewed(api: tuple[FakeApi, Client]) -> None:
    fake, client = api
    store = secret.Store(client, "svc", "ns", "s")
    fake.conflicts = 1
    adopted = await store.current()
    assert await store.current() == adopted
    old = certificates.make("svc", "ns", datetime.datetime.now(datetime.UTC) - 330 * DAY)
    fake.adopt(old)
    renewed = await store.current()
    assert renewed != old
    assert old.authorities in renewed.authorities
    assert fake.secret is not None
    fake.secret["data"] = {"tls.crt": "!"}
    assert await store.current() not in (old, renewed)


async def test_served_from_certificates_to_answers(
    api: tuple[FakeApi, Client], monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(server, "LINGER", 0.0)
    fake, client = api

    async def handle(request: admission.Request) -> admission.Allow | admission.Deny:
        if request.name == "bug":
            raise ZeroDivisionError("oh")
        return admission.Deny("Pod", request.name, (FAULT,)) if request.name == "bad" else admission.Allow()

    arguments: dict[str, Any] = {"service": "svc", "namespace": "ns", "port": unused_tcp_port, "secret": "s"}
    task = asyncio.create_task(admission.serve(client, **arguments, configurations=["ours"], handlers={"/h": handle}))
    url = f"https://localhost:{unused_tcp_port}"
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        await until(lambda: len(fake.patches) == 2)
        authority = base64.b64decode(fake.patches[0][1]["value"]).decode()
        assert [step["op"] for step in fake.patches[0]] == ["test", "add", "test", "add"]
        tls = ssl.create_default_context(cadata=authority)
        await _ready(session, f"{url}/readyz", tls)
        codes = {
            name: await _code(session, "POST", f"{url}/h", tls, body(name=name)) for name in ("good", "bad", "bug")
        }
        assert codes == {"good": 200, "bad": 200, "bug": 500}
        assert await _code(session, "POST", f"{url}/h", tls, b"nonsense") == 400
        assert await _code(session, "POST", f"{url}/h", tls, b" " * (app.BODY_LIMIT + 1)) == 413
        assert await _code(session, "POST", f"{url}/other", tls, body()) == 404
        with pytest.raises(OSError):
            await admission.serve(client, **arguments, configurations=["ours"], handlers={})
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_certificate_of_others_is_served_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(server, "LINGER", 0.0)
    monkeypatch.setattr(server, "REFRESH", 0.05)
    monkeypatch.setattr(server, "_RETRY", 0.05)
    monkeypatch.setattr(server, "_SPREAD", 0.0)
    now = datetime.datetime.now(datetime.UTC)
    made = [certificates.make("svc", "ns", now) for _ in range(2)]

    def put(crt: bytes, key: bytes) -> None:
        (tmp_path / "tls.crt").write_bytes(crt)
        (tmp_path / "tls.key").write_bytes(key)

    client = Client(Credentials("http://unused", None), "svc")
    arguments: dict[str, Any] = {"service": "svc", "namespace": "ns", "port": unused_tcp_port, "secret": "s"}
    arguments |= {"configurations": ["ours"], "handlers": {}, "directory": tmp_path}
    task = asyncio.create_task(admission.serve(client, **arguments))
    url = f"https://localhost:{unused_tcp_port}/readyz"
    async with asyncio.timeout(20):
        await asyncio.sleep(0.2)
        assert not task.done(), "files that are not there yet are waited for"
        for one in made:
            put(one.certificate, made[1].key)  # while they do not go together, the former is served
            await asyncio.sleep(0.2)
            put(one.certificate, one.key)
            tls = ssl.create_default_context(cadata=one.authorities.decode())
            async with aiohttp.ClientSession() as session:
                await _ready(session, url, tls)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def until(check: Callable[[], bool]) -> None:
    """Wait for something that another task brings about."""
    while True:
        if check():
            return
        await asyncio.sleep(0.01)


async def _ready(session: aiohttp.ClientSession, url: str, tls: ssl.SSLContext) -> None:
    while True:
        if await _code(session, "GET", url, tls) == 200:
            return
        await asyncio.sleep(0.01)


async def _code(session: aiohttp.ClientSession, method: str, url: str, tls: ssl.SSLContext, data: bytes = b"") -> int:
    try:
        async with session.request(method, url, ssl=tls, data=data) as answer:
            await answer.read()
            return answer.status
    except aiohttp.ClientConnectionError:
        return 0


def test_only_webhooks_that_lack_the_bundle_are_patched() -> None:
    config = registration.ClientConfig
    webhooks = [registration.Webhook(name="a", client_config=config(ca_bundle="x")), registration.Webhook(name="b")]
    item = registration.MutatingWebhookConfiguration(metadata=ObjectMeta(name="n"), webhooks=webhooks)
    assert registration.patch_for(item, "x") == [
        {"op": "test", "path": "/webhooks/1/name", "value": "b"},
        {"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": "x"},
    ]
