"""podnet-proxy on the wire, before a server that writes down every byte it gets and answers what a test tells it."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from podnet_api.proxy import app, carriage, exchange, main, upstream
from podnet_api.proxy.app import Proxy
from podnet_api.proxy.upstream import Upstream

PODS = "/api/v1/namespaces/demo/pods"
POD = {"metadata": {"name": "a", "annotations": {carriage.KEY: '[{"podNetworkName":"blue"}]'}}, "spec": {}}
SECONDS = 5


class Recorder:
    """An API server of sorts. ``answer`` is sent as it is, once a request is there; ``seen`` is all that came."""

    def __init__(self) -> None:
        self.answer: bytes | Callable[[bytes], bytes] = said(b"{}")
        self.seen = b""
        self.port = 0
        self.open = 0
        self.connections = 0
        self.hang = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.open, self.connections = self.open + 1, self.connections + 1
        try:
            while chunk := await reader.read(1 << 16):
                self.seen += chunk
                if chunk.startswith(b"echo"):
                    writer.write(chunk)
                elif b"\r\n\r\n" in chunk and not self.hang:
                    writer.write(self.answer(chunk) if callable(self.answer) else self.answer)
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            writer.close()

    @property
    def head(self) -> dict[str, str]:
        """The headers of the first request, in lower case."""
        lines = self.seen.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def said(body: bytes, code: str = "200 OK", *more: str, kind: str = "application/json") -> bytes:
    """An answer."""
    head = [f"HTTP/1.1 {code}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more, "", ""]
    return "\r\n".join(head).encode() + body


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    """The API server."""
    made = Recorder()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.fixture
async def port(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Where the proxy is."""
    monkeypatch.setattr(main, "SHUTDOWN_SECONDS", 0.1)
    async with Upstream(f"http://127.0.0.1:{recorder.port}") as there:
        runner = main.runner(Proxy(there).application())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
        await runner.cleanup()


async def send(port: int, raw: bytes) -> bytes:
    """What comes back for ``raw`` until the proxy closes or says nothing more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    got = b""
    try:
        async with asyncio.timeout(0.5):
            while chunk := await reader.read(1 << 16):
                got += chunk
    except (TimeoutError, ConnectionError):
        pass
    writer.close()
    return got


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request."""
    return "\r\n".join([f"{line} HTTP/1.1", "Host: proxy", *headers, "", ""]).encode() + body


def body_of(answer: bytes) -> bytes:
    """The body, its chunks put together."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"chunked" not in head.lower():
        return body
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole, body = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return whole


HIDDEN = b"GET /secret HTTP/1.1\r\nHost: x\r\nX-Remote-User: admin\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        request("POST /a", "Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN),
        request("POST /a", "Transfer-Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n" + HIDDEN),
        request("POST /a", "Content-Length: 5", "Content-Length: 60", body=HIDDEN),
        request("POST /a", "Content-Length: 5, 60", body=HIDDEN),
        request("POST /a", "Content-Length: +5", body=HIDDEN),
        request("POST /a", "Content-Length: -1", body=HIDDEN),
        request("POST /a", "Transfer-Encoding: xchunked", body=HIDDEN),
        request("POST /a", "Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n" + HIDDEN),
        request("POST /a", "Transfer-Encoding : chunked", body=b"0\r\n\r\n" + HIDDEN),
        request("POST /a", "Transfer-Encoding: chunked", body=b"5;\nx\r\nabcde\r\n0\r\n\r\n" + HIDDEN),
        request("POST /a", "Transfer-Encoding: chunked", body=b"0x5\r\nabcde\r\n0\r\n\r\n" + HIDDEN),
        request("GET /a", "X: a\n" + HIDDEN.decode()),
        request("GET /a", "X: a\r b"),
        request("GET /a", " folded: x"),
        request("GET /a", "X\x00: y"),
        request("GET /a\x00b"),
        request("GET http://proxy/api"),
        request("GET @evil.example/"),
        request("CONNECT evil.example:443"),
        request("GET /a", "Connection: close, Impersonate-User", "Impersonate-User: nobody"),
        request("GET /a", "Connection: Authorization", "Authorization: Bearer a"),
        request("GET /a", "Authorization: Bearer a", "Authorization: Bearer b"),
        request("POST /a", "Connection: Upgrade", "Upgrade: SPDY/3.1", "Content-Length: 3", body=b"abc"),
        b"GET /a\r\n\r\n",
        b"\x16\x03\x01\x00\x00",
    ],
    ids=range(25),
)
async def test_what_must_not_go_on(recorder: Recorder, port: int, raw: bytes) -> None:
    answer = await send(port, raw)
    assert b"/secret" not in recorder.seen, "a hidden request has reached the API server"
    assert not answer or answer.split()[1] in {b"400", b"404"}, answer
    assert not recorder.seen


async def test_one_request_is_one_request(recorder: Recorder, port: int) -> None:
    """The body may look like a request: it stays a body."""
    raw = request("POST /a", f"Content-Length: {len(HIDDEN)}", "Connection: close", body=HIDDEN)
    assert b"200 OK" in await send(port, raw)
    head, _, body = recorder.seen.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body == f"{len(HIDDEN):x}\r\n".encode() + HIDDEN + b"\r\n0\r\n\r\n"


async def test_a_compressed_body_goes_on_as_it_is(recorder: Recorder, port: int) -> None:
    body = gzip.compress(b"x" * 1000)
    length = f"Content-Length: {len(body)}"
    await send(port, request("POST /a", "Content-Encoding: gzip", length, "Connection: close", body=body))
    assert recorder.head["content-encoding"] == "gzip"
    assert body in recorder.seen


async def test_nobody_says_who_he_is_by_header(recorder: Recorder, port: int) -> None:
    said_by_caller = [
        "X-Remote-User: admin",
        "x-REMOTE-group: system:masters",
        "X-Remote-Extra-A: b",
        "X_Remote_User: c",
    ]
    kept = ["Authorization: Bearer mine", "Impersonate-User: you"]
    await send(port, request("GET /a", *said_by_caller, *kept, "Connection: close", "X-Forwarded-For: 1.2.3.4"))
    assert not [name for name in recorder.head if name.replace("_", "-").startswith("x-remote")]
    assert recorder.head["authorization"] == "Bearer mine"
    assert recorder.head["impersonate-user"] == "you"
    assert recorder.head["x-forwarded-for"] == "127.0.0.1"


async def test_two_callers_on_one_connection_are_two(recorder: Recorder, port: int) -> None:
    """Connections to the API server are shared; credentials are not."""
    await send(port, request("GET /a", "Authorization: Bearer first") + request("GET /b"))
    second = recorder.seen.partition(b"GET /b")[2]
    assert second
    assert b"uthorization" not in second


async def test_a_path_goes_on_as_it_came(recorder: Recorder, port: int) -> None:
    for path in ("/a/%2e%2e/b?x=%2F&y=a+b", "//evil.example/x", "/a/../b", "/a;b?x=é".encode().decode("latin1")):
        recorder.seen = b""
        await send(port, request(f"GET {path}", "Connection: close"))
        assert recorder.seen.startswith(f"GET {path} HTTP/1.1\r\n".encode()) or "é" in path or "Ã" in path


UPGRADE = ("Connection: Upgrade", "Upgrade: SPDY/3.1")


async def test_bytes_go_both_ways_after_101(recorder: Recorder, port: int) -> None:
    recorder.answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nfirst"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(f"POST {PODS}/a/exec?command=sh", *UPGRADE))
    async with asyncio.timeout(SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert await reader.readexactly(5) == b"first"
        for word in (b"echo GET / HTTP/1.1\r\n\r\n", b"echo \x00\xff" + b"x" * 300_000):
            writer.write(word)
            assert await reader.readexactly(len(word)) if len(word) < 1000 else await reader.read(5) == b"echo "
        writer.close()
        while recorder.open:
            await asyncio.sleep(0.01)


async def test_nothing_goes_on_after_a_refused_upgrade(recorder: Recorder, port: int) -> None:
    recorder.answer = said(b'{"kind":"Status"}', "403 Forbidden")
    answer = await send(port, request(f"GET {PODS}/a/exec", *UPGRADE) + HIDDEN)
    assert b"403" in answer
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(f"GET {PODS}/a/exec", "Connection: Upgrade", "Upgrade: websocket"))
    async with asyncio.timeout(SECONDS):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HIDDEN)
        await reader.read()
    assert b"/secret" not in recorder.seen
    assert b"admin" not in recorder.seen


async def test_other_protocols_are_not_changed_to(recorder: Recorder, port: int) -> None:
    await send(port, request("GET /a", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAM"))
    assert "upgrade" not in recorder.head


async def test_json_is_asked_for_and_not_compressed(recorder: Recorder, port: int) -> None:
    recorder.answer = said(json.dumps({"kind": "PodList", "items": [POD]}).encode())
    accept = "Accept: application/vnd.kubernetes.protobuf,application/json"
    answer = await send(port, request(f"GET {PODS}", accept, "Accept-Encoding: gzip", "Connection: close"))
    assert recorder.head["accept"] == "application/json"
    assert "accept-encoding" not in recorder.head
    assert json.loads(body_of(answer))["items"][0]["spec"]["networks"] == [{"podNetworkName": "blue"}]


@pytest.mark.parametrize("kind", ["application/vnd.kubernetes.protobuf", "application/cbor", "application/yaml"])
async def test_what_cannot_hold_the_field_goes_through(recorder: Recorder, port: int, kind: str) -> None:
    recorder.answer = said(b"k8s\x00" + carriage.KEY.encode(), kind=kind)
    answer = await send(port, request(f"GET {PODS}/a", f"Accept: {kind}", "Connection: close"))
    assert recorder.head["accept"] == kind
    assert body_of(answer) == b"k8s\x00" + carriage.KEY.encode()
    body = b"k8s\x00" + carriage.KEY.encode()
    await send(port, request(f"PUT {PODS}/a", f"Content-Type: {kind}x", f"Content-Length: {len(body)}", body=body))
    assert body in recorder.seen


async def test_a_list_that_is_cut_off_is_not_ended(recorder: Recorder, port: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(head + b'{"kind":"PodList","items":[{"metadata":{}},{"metadata":{')
        await writer.drain()
        writer.close()

    broken = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with Upstream(f"http://127.0.0.1:{broken.sockets[0].getsockname()[1]}") as there:
        runner = main.runner(Proxy(there).application())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        answer = await send(runner.addresses[0][1], request(f"GET {PODS}"))
        await runner.cleanup()
    broken.close()
    assert b"200 OK" in answer
    assert not answer.endswith(b"0\r\n\r\n")


async def test_an_answer_that_takes_for_ever(recorder: Recorder, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "WHOLE_SECONDS", 0.2)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    recorder.answer = head + b'{"kind":"PodList","items":[{"metadata":{}},{"metadata":{'
    start = asyncio.get_running_loop().time()
    answer = await send(port, request(f"GET {PODS}"))
    assert asyncio.get_running_loop().time() - start < 0.45, "the connection is closed"
    assert b"200 OK" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert b"504" not in answer


async def test_a_client_that_leaves_ends_its_watch(recorder: Recorder, port: int) -> None:
    recorder.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    )
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(f"GET {PODS}?watch=true"))
    async with asyncio.timeout(SECONDS):
        while not recorder.open:
            await asyncio.sleep(0.01)
        writer.close()
        while recorder.open:
            await asyncio.sleep(0.01)


async def test_an_api_server_that_says_nothing(recorder: Recorder, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "READ_SECONDS", 0.1)
    recorder.hang = True
    answer = await send(port, request(f"GET {PODS}", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 504")
    assert json.loads(body_of(answer))["reason"] == "Timeout"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(f"GET {PODS}?watch=true"))
    with pytest.raises(TimeoutError):  # a watch may say nothing for as long as it likes
        await asyncio.wait_for(reader.read(1), 0.4)
    writer.close()


async def test_no_api_server() -> None:
    async with Upstream("http://127.0.0.1:1") as there:
        runner = main.runner(Proxy(there).application())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        answer = await send(runner.addresses[0][1], request(f"GET {PODS}", "Connection: close"))
        await runner.cleanup()
    assert answer.startswith(b"HTTP/1.1 503")
    assert json.loads(body_of(answer))["kind"] == "Status"


async def test_a_body_that_is_too_large(recorder: Recorder, port: int) -> None:
    body = b"x" * (app.BODY_LIMIT + 1)
    answer = await send(port, request(f"POST {PODS}", f"Content-Length: {len(body)}", body=body))
    assert answer.startswith(b"HTTP/1.1 413")
    assert json.loads(body_of(answer))["reason"] == "RequestEntityTooLarge"
    assert not recorder.seen


async def test_a_write_that_cannot_be_read(recorder: Recorder, port: int) -> None:
    body = b'{"spec":{"networks":1},"spec":{}}'
    answer = await send(port, request(f"POST {PODS}", f"Content-Length: {len(body)}", "Connection: close", body=body))
    assert answer.startswith(b"HTTP/1.1 400")
    assert "duplicate" in json.loads(body_of(answer))["message"]
    assert not recorder.seen


async def test_a_guarded_patch_is_tried_again(recorder: Recorder, port: int) -> None:
    """Somebody else is quicker, twice."""
    current = json.dumps({**POD, "metadata": {**POD["metadata"], "resourceVersion": "7"}}).encode()
    conflicts = [said(b'{"kind":"Status","code":409}', "409 Conflict")] * 2

    def answer(chunk: bytes) -> bytes:
        return said(current) if chunk.startswith(b"GET") else (conflicts.pop() if conflicts else said(current))

    recorder.answer = answer
    body = b'[{"op":"add","path":"/spec/networks/-","value":{"podNetworkName":"red"}}]'
    kind = "Content-Type: application/json-patch+json"
    length = f"Content-Length: {len(body)}"
    found = await send(port, request(f"PATCH {PODS}/a", kind, length, "Connection: close", body=body))
    assert b"200 OK" in found
    assert recorder.seen.count(b"GET ") == recorder.seen.count(b"PATCH ") == 3
    assert recorder.seen.count(b'"path":"/metadata/resourceVersion","value":"7"') == 3


def test_the_limits_fit_each_other() -> None:
    assert app.BODY_LIMIT < exchange.ANSWER_LIMIT
    assert upstream.READ_SECONDS > 60
