"""The aiohttp application of a webhook: probes, and one POST route per handler.

400 what was posted is no AdmissionReview, 413 it is too large, 500 a handler failed (kube-apiserver then
applies failurePolicy; nothing is ever allowed by accident), 200 every answer of a handler.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from podnet_api.admission import review

log = logging.getLogger(__name__)

_Route = Callable[[web.Request], Awaitable[web.Response]]

BODY_LIMIT = 8 * 1024 * 1024
"""Bytes. A request holds the new and the old object, of at most 3 MiB each (kube-apiserver's own limit)."""


def build(handlers: Mapping[str, review.Handler], ready: Callable[[], bool]) -> web.Application:
    """The application that serves ``handlers`` by path; /readyz answers 200 once ``ready()``."""
    app = web.Application(client_max_size=BODY_LIMIT)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz(ready))
    for path, handler in handlers.items():
        app.router.add_post(path, _route(handler))
    return app


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def _readyz(ready: Callable[[], bool]) -> _Route:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if ready() else web.Response(status=503, text="not ready\n")

    return answer


def _route(handler: review.Handler) -> _Route:
    async def answer(posted: web.Request) -> web.Response:
        try:
            request = review.decode(await posted.read())
        except review.BadReviewError as error:
            return web.Response(status=400, text=f"{error}\n")
        return await _handled(handler, request)

    return answer


async def _handled(handler: review.Handler, request: review.Request) -> web.Response:
    """The one place that catches everything: whatever a handler does wrong must reach the user as an
    error of the webhook, and the log with its trace."""
    subject = f"{request.operation} of {request.object.get('kind', 'object')} {request.namespace}/{request.name}"
    try:
        answer = await handler(request)
    except Exception as error:
        log.exception("cannot review %s", subject)
        return web.Response(status=500, text=f"cannot review {subject}: {type(error).__name__}: {error}\n")
    if isinstance(answer, review.Deny):
        log.info("refused %s by %s: %s", subject, request.user, answer.message)
    return web.Response(body=review.encode(request.uid, answer), content_type="application/json")
