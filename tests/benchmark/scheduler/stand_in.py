"""An extender that takes every node, or passes each call on to another extender after a pause.

`python stand_in.py PORT [UPSTREAM_PORT PAUSE_SECONDS]`. The first is the ceiling of the protocol itself: what no
extender can do better. The second is a slow network.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import msgspec
from aiohttp import web


class _Args(msgspec.Struct, rename="pascal"):
    node_names: list[str] = []


async def _accept(request: web.Request) -> web.Response:
    asked = msgspec.json.decode(await request.read(), type=_Args).node_names
    if request.path == "/prioritize":
        answer = msgspec.json.encode([{"Host": name, "Score": 10} for name in asked])
    else:
        answer = msgspec.json.encode({"NodeNames": asked, "FailedNodes": {}, "Error": ""})
    return web.Response(body=answer, content_type="application/json")


def _accepting() -> web.Application:
    app = web.Application(client_max_size=1 << 27)
    app.router.add_post("/{verb}", _accept)
    app.router.add_get("/readyz", _ready)
    return app


async def _ready(_: web.Request) -> web.Response:
    return web.Response(text="ok")


def _slow(upstream: int, pause: float) -> web.Application:
    app = web.Application(client_max_size=1 << 27)

    async def sessions(_: web.Application) -> None:
        app["session"] = aiohttp.ClientSession(f"http://127.0.0.1:{upstream}")

    async def later(request: web.Request) -> web.Response:
        await asyncio.sleep(pause)
        async with app["session"].post(request.path, data=await request.read()) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")

    app.on_startup.append(sessions)
    app.router.add_post("/{verb}", later)
    app.router.add_get("/readyz", _ready)
    return app


def main() -> None:
    """The program."""
    port, *more = sys.argv[1:]
    app = _slow(int(more[0]), float(more[1])) if more else _accepting()
    web.run_app(app, host="127.0.0.1", port=int(port), print=None, access_log=None)


if __name__ == "__main__":
    main()
