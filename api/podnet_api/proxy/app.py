"""The aiohttp application: every path of the API server, with the list shown and understood.

400 what must not go on, 401 a client certificate that names nobody, 413 and 422 about a body, 502 to 504 when the API
server does not answer; everything else is its own answer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

import aiohttp
from aiohttp import web

from podnet_api.errors import InvalidError
from podnet_api.proxy import (
    answers,
    bodies,
    exchange,
    headers,
    identity,
    openapi,
    openapi_v2,
    requests,
    shown,
    splice,
    streams,
)
from podnet_api.proxy.requests import Target
from podnet_api.proxy.upstream import Call, Upstream
from podnet_api.proxy.writing import Writing, understood

log = logging.getLogger(__name__)

BODY_LIMIT = 3 * 1024 * 1024
"""Bytes of a body that is rewritten: kube-apiserver's own limit."""


class Proxy:
    """Handles every request."""

    def __init__(self, upstream: Upstream, *, vouch: bool = False) -> None:
        self._upstream = upstream
        self._vouch = vouch

    def application(self) -> web.Application:
        """What to serve."""
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self.handle)
        return app

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request. The one place that turns errors into answers."""
        received = [(name, value) for name, value in request.headers.items()]
        problem = "" if request.version >= aiohttp.HttpVersion10 else "cannot forward HTTP/0.9"
        if problem := problem or headers.refusal(request.method, request.raw_path, received):
            return _refused(400, problem)
        try:
            return await self._route(request, self._call(request, received), received)
        except identity.IdentityError as error:
            return _refused(401, str(error))
        except bodies.UnreadableError as error:
            return _status(400, str(error))
        except web.HTTPRequestEntityTooLarge:
            return _refused(413, f"Request entity too large: limit is {BODY_LIMIT}")
        except TimeoutError as error:
            return self._lost(request, 504, error)
        except aiohttp.ClientConnectionError as error:
            return self._lost(request, 503, error)
        except aiohttp.ClientError as error:
            return self._lost(request, 502, error)

    def _lost(self, request: web.Request, code: int, error: Exception) -> web.StreamResponse:
        log.warning("cannot pass on %s %s: %r", request.method, request.path, error)
        if request.writer.output_size:
            request.protocol.force_close()
        return _status(code, f"cannot reach the API server: {type(error).__name__}")

    def _call(self, request: web.Request, received: headers.Headers) -> Call:
        path, _, query = request.raw_path.partition("?")
        onward = headers.onward(received, request.remote or "")
        certificate = request.get_extra_info("peercert") if self._vouch else None
        if certificate:
            said = identity.headers(certificate, time.time())
            onward = [*headers.without(onward, "authorization"), *said]
        return Call(request.method, path, query, onward, bool(certificate), requests.is_long(path, query))

    async def _route(self, request: web.Request, call: Call, received: headers.Headers) -> web.StreamResponse:
        if protocol := headers.upgrade(received):
            if request.can_read_body:
                return _refused(400, "cannot change the protocol of a request with a body")
            return await splice.splice(self._upstream, call, protocol, request)
        document = requests.openapi(call.path)
        if request.method == "GET" and document is not None and (not document or document in openapi.DOCUMENTS):
            return await self._openapi(request, call, document)
        if request.method == "GET" and call.path.rstrip("/") == openapi_v2.PATH:
            return await self._openapi_v2(call)
        target = requests.target(call.path, call.query)
        if target is None or not target.whole or request.method not in _METHODS:
            return await exchange.stream(self._upstream, call, _body(request), request, None)
        return await self._object(request, _readable(call), target)

    async def _object(self, request: web.Request, call: Call, target: Target) -> web.StreamResponse:
        content_type = request.headers.get("Content-Type", "")
        if request.method in _WRITES and understood(request.method, content_type):
            return await self._write(request, call, target, content_type)
        return await exchange.stream(self._upstream, call, _body(request), request, _rewriter(request, target))

    async def _write(self, request: web.Request, call: Call, target: Target, content_type: str) -> web.StreamResponse:
        body = await request.read()
        try:
            reply = await Writing(self._upstream, call, target, content_type).write(body)
        except InvalidError as error:
            return _json(422, answers.invalid(error, target.carrier, target.name or _name(body)))
        if not reply.is_json:
            return exchange.whole(reply, reply.body)
        told = answers.told(reply.body) if reply.code >= 400 else shown.whole(reply.body, target.carrier)
        return exchange.whole(reply, told)

    async def _openapi(self, request: web.Request, call: Call, document: str) -> web.StreamResponse:
        """The index or a changed document, at the address that the changed index gives it."""
        kept = headers.without(call.headers, "accept", "accept-encoding", "if-none-match", "if-modified-since")
        asked = Call("GET", call.path, "", [*kept, ("Accept", requests.JSON)], call.vouched)
        reply = await exchange.ask(self._upstream, asked, None)
        if reply.code != 200 or not reply.body.startswith(b"{"):  # the index has no Content-Type of JSON
            return exchange.whole(reply, reply.body)
        change = openapi.document if document else openapi.index
        response = exchange.whole(reply, await asyncio.to_thread(change, reply.body))
        return _kept(response, reply, request) if document else response

    async def _openapi_v2(self, call: Call) -> web.StreamResponse:
        """The document, which is not to be kept: its mark is that of the API server's own."""
        kept = headers.without(call.headers, "accept-encoding", "if-none-match", "if-modified-since")
        reply = await exchange.ask(self._upstream, replace(call, headers=kept), None)
        content_type = next((value for name, value in reply.headers if name.lower() == "content-type"), "")
        changed = reply.code == 200
        body = await asyncio.to_thread(openapi_v2.document, reply.body, content_type) if changed else reply.body
        response = exchange.whole(reply, body)
        for name in ("ETag", "Last-Modified"):
            response.headers.popall(name, None)
        return response


_EDIT = "kubectl edit"
"""It works out its patch from types that are compiled into it and fails at a field that they lack, whatever else was
edited. It is shown the annotation alone, and says by this header who it is."""
_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE"))
_WRITES = frozenset(("POST", "PUT", "PATCH"))


def _readable(call: Call) -> Call:
    """Asks for JSON, and not compressed: it could not be rewritten otherwise."""
    accept = ", ".join(value for name, value in call.headers if name.lower() == "accept")
    kept = headers.without(call.headers, "accept", "accept-encoding")
    return Call(
        call.method,
        call.path,
        call.query,
        [*kept, ("Accept", requests.readable(accept))],
        call.vouched,
        call.long,
    )


def _rewriter(request: web.Request, target: Target) -> streams.Rewriter | None:
    """What shows the list in an answer; None where there is nothing to show: rows without objects."""
    table = "as=Table" in request.headers.get("Accept", "")
    if request.headers.get("Kubectl-Command") == _EDIT or (table and not target.objects):
        return None
    return streams.rewriter(target.carrier, watch=target.watch, collection=not target.name, table=table)


def _body(request: web.Request) -> aiohttp.StreamReader | None:
    return request.content if request.can_read_body else None


def _kept(response: web.Response, reply: exchange.Reply, request: web.Request) -> web.Response:
    """How long a document may be kept: for ever under the address with its hash, as the API server says."""
    received = {name.lower(): value for name, value in reply.headers}
    hashed = openapi.hashed(received.get("etag", "").strip('"'))
    response.headers["ETag"] = f'"{hashed}"'
    if request.query.get("hash") == hashed:
        response.headers["Cache-Control"] = "public, immutable"
        response.headers["Expires"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 31536000))
    return response


def _name(body: bytes) -> str:
    """The name of an object that could not be created."""
    item = bodies.decode(body)
    return str(((item.get("metadata") or {}) if isinstance(item, dict) else {}).get("name", ""))


def _json(code: int, body: bytes) -> web.Response:
    return web.Response(status=code, body=body, content_type="application/json")


def _status(code: int, message: str) -> web.Response:
    return _json(code, answers.status(code, message))


def _refused(code: int, message: str) -> web.Response:
    """An answer after which the connection is closed: what follows on it cannot be trusted."""
    response = _status(code, message)
    response.force_close()
    return response
