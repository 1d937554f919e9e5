"""The HTTP side: /filter, /prioritize, /preempt for kube-scheduler, /explain, /metrics, /healthz, /readyz.

Thin: decode, call ``extender``, encode, count. 400 what was posted cannot be answered, 413 it is too
large, 503 the caches are not filled yet: kube-scheduler takes each of these for an error, tries the Pod
again after a pause and evicts nobody. "No node" is an answer, not an error.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from podnet_scheduler_extender import explain, metrics, wire
from podnet_scheduler_extender.extender import Extender

log = logging.getLogger(__name__)

BODY_LIMIT = 128 * 1024 * 1024
"""Bytes. 5,000 whole Nodes, as a kube-scheduler without nodeCacheCapable sends them, take about 100 MB."""
_Route = Callable[[web.Request], Awaitable[web.Response]]


def build(extender: Extender, ready: Callable[[], bool]) -> web.Application:
    """The application; ``ready`` says whether the caches are filled."""
    app = web.Application(client_max_size=BODY_LIMIT)
    verbs: dict[str, Callable[[bytes], bytes]] = {
        "filter": lambda body: wire.encode(extender.filter(wire.arguments(body))),
        "prioritize": lambda body: extender.prioritize(wire.arguments(body)),
        "preempt": lambda body: wire.encode(extender.preempt(wire.decode(body, wire.PreemptionArgs))),
    }
    for verb, answer in verbs.items():
        app.router.add_post(f"/{verb}", _verb(verb, answer, extender.metrics, ready))
    app.router.add_get("/explain", _explain(extender))
    app.router.add_get("/metrics", _page(extender.metrics))
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz(ready))
    return app


def _verb(verb: str, answer: Callable[[bytes], bytes], counted: metrics.Metrics, ready: Callable[[], bool]) -> _Route:
    taken, answered = counted.seconds.labels(verb), counted.answers.labels(verb, "200")

    async def route(request: web.Request) -> web.Response:
        body = await request.read()
        started = time.perf_counter()
        response = _answer(answer, body) if ready() else _failure(503, "cannot answer yet: still listing objects")
        seconds = time.perf_counter() - started
        taken.observe(seconds)
        (answered if response.status == 200 else counted.answers.labels(verb, str(response.status))).inc()
        log.debug("%s answered in %.2f ms", verb, seconds * 1000)
        return response

    return route


def _answer(answer: Callable[[bytes], bytes], body: bytes) -> web.Response:
    try:
        return web.Response(body=answer(body), content_type="application/json")
    except wire.BadRequestError as error:
        return _failure(400, str(error))


def _failure(status: int, text: str) -> web.Response:
    log.warning("%s", text)
    return web.Response(status=status, text=text + "\n")


def _explain(extender: Extender) -> _Route:
    async def route(request: web.Request) -> web.Response:
        namespace, slash, name = request.query.get("pod", "").partition("/")
        if not slash:
            return web.Response(status=400, text="cannot explain: say ?pod=namespace/name\n")
        report = extender.explain(namespace, name)
        if report is None:
            text = f"cannot explain Pod {namespace}/{name}: no Pod of this name has networks\n"
            return web.Response(status=404, text=text)
        if request.query.get("output") == "json":
            return web.Response(body=msgspec.json.encode(report), content_type="application/json")
        return web.Response(text=explain.page(report))

    return route


def _page(counted: metrics.Metrics) -> _Route:
    async def route(_: web.Request) -> web.Response:
        return web.Response(body=counted.page(), headers={"Content-Type": metrics.CONTENT_TYPE})

    return route


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def _readyz(ready: Callable[[], bool]) -> _Route:
    async def route(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if ready() else web.Response(status=503, text="still listing objects\n")

    return route
