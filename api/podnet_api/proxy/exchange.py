"""One request to the API server and its answer to the client: streamed, and rewritten where the list is shown."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from podnet_api.proxy import answers, headers, ownership
from podnet_api.proxy.headers import Headers
from podnet_api.proxy.streams import Rewriter
from podnet_api.proxy.upstream import Body, Call, Upstream

log = logging.getLogger(__name__)

WHOLE_SECONDS = 600.0
"""For an answer that is no stream, to the last byte: a client that does not read must not hold us for ever."""
ANSWER_LIMIT = 8 * 1024 * 1024
"""Bytes of the answer to a write: an object of at most 3 MiB, or an error."""


@dataclass(frozen=True)
class Reply:
    """An answer that has been read as a whole."""

    code: int
    headers: Headers
    body: bytes

    @property
    def is_json(self) -> bool:
        """Whether it can be rewritten."""
        return _is_json(self.headers)


async def ask(upstream: Upstream, call: Call, body: bytes | None) -> Reply:
    """The whole answer to ``call``."""
    async with asyncio.timeout(WHOLE_SECONDS), upstream.request(call, body) as answer:
        content = await answer.content.read(ANSWER_LIMIT)
        while len(content) < ANSWER_LIMIT and (more := await answer.content.read(ANSWER_LIMIT)):
            content += more
        return Reply(answer.status, list(answer.headers.items()), content)


async def stream(
    upstream: Upstream, call: Call, body: Body, request: web.Request, rewriter: Rewriter | None
) -> web.StreamResponse:
    """Passes ``call`` on and its answer back; rewritten by ``rewriter`` when it is a success in JSON."""
    async with asyncio.timeout(None if call.long else WHOLE_SECONDS), upstream.request(call, body) as answer:
        if rewriter is not None and answer.status >= 400:
            return await _failure(answer)
        shown = rewriter if rewriter is not None and _is_json(list(answer.headers.items())) else None
        return await relay(answer, request, shown)


async def relay(answer: aiohttp.ClientResponse, request: web.Request, rewriter: Rewriter | None) -> web.StreamResponse:
    """The answer, chunk by chunk."""
    response = prepared(answer.status, list(answer.headers.items()), reframed=rewriter is not None)
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            if part := rewriter.feed(chunk) if rewriter else chunk:
                await response.write(part)
    except (aiohttp.ClientError, TimeoutError) as error:
        log.warning("%s %s was cut off: %r", request.method, request.path, error)
        request.protocol.force_close()  # the client must not take a part for the whole
        return response
    if rewriter and (rest := rewriter.end()):
        await response.write(rest)
    await response.write_eof()
    return response


def prepared(code: int, received: Headers, *, reframed: bool) -> web.StreamResponse:
    """The head of an answer."""
    response = web.StreamResponse(status=code)
    for name, value in _warned(headers.back(received, reframed=reframed)):
        response.headers.add(name, value)
    return response


def whole(reply: Reply, body: bytes) -> web.Response:
    """An answer with ``body`` in place of its own."""
    return web.Response(
        status=reply.code, headers=CIMultiDict(_warned(headers.back(reply.headers, reframed=True))), body=body
    )


async def _failure(answer: aiohttp.ClientResponse) -> web.Response:
    reply = Reply(answer.status, list(answer.headers.items()), await answer.content.read())
    return whole(reply, answers.told(reply.body) if reply.is_json else reply.body)


def _warned(received: Headers) -> Headers:
    """Warnings of a webhook speak of the field, too."""
    return [(name, ownership.told(value) if name.lower() == "warning" else value) for name, value in received]


def _is_json(received: Headers) -> bool:
    found = {name.lower(): value for name, value in received}
    return found.get("content-type", "").startswith("application/json") and "content-encoding" not in found
