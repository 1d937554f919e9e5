"""HTTPS with an authority and client certificates, as a kube-scheduler with tlsConfig speaks it."""

from __future__ import annotations

import asyncio
import pathlib
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from podnet_api.kube import trust
from podnet_scheduler_extender import app, main
from podnet_scheduler_extender.fake import Cluster
from podnet_tests.issuer import issue


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    directory = tmp_path_factory.mktemp("tls")
    authority = issue(directory, "authority")
    for name in ("server", "scheduler"):
        issue(directory, name, authority)
    issue(directory, "stranger")
    return directory


def flags(files: pathlib.Path, *more: str) -> list[str]:
    return ["--tls-cert", f"{files}/server.crt", "--tls-key", f"{files}/server.key", *more]


@pytest.fixture
async def url(files: pathlib.Path) -> AsyncIterator[str]:
    """An extender that asks for client certificates."""
    args = main.arguments(flags(files, "--client-ca", f"{files}/authority.crt"))
    runner = web.AppRunner(app.build(Cluster().extender, lambda: True))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=main._tls(args))
    await site.start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}/healthz"
    await runner.cleanup()


async def get(url: str, tls: ssl.SSLContext) -> int:
    async with aiohttp.ClientSession() as session, session.get(url, ssl=tls) as answer:
        await answer.read()
        return answer.status


async def test_a_client_with_a_certificate_of_the_authority_is_served(files: pathlib.Path, url: str) -> None:
    tls = trust.context(cafile=f"{files}/authority.crt")
    tls.load_cert_chain(f"{files}/scheduler.crt", f"{files}/scheduler.key")
    assert await get(url, tls) == 200


@pytest.mark.parametrize("name", ["", "stranger"])
async def test_others_are_not(files: pathlib.Path, url: str, name: str) -> None:
    tls = trust.context(cafile=f"{files}/authority.crt")
    if name:
        tls.load_cert_chain(f"{files}/{name}.crt", f"{files}/{name}.key")
    with pytest.raises((aiohttp.ClientError, OSError)):
        await asyncio.wait_for(get(url, tls), 10)


async def test_plain_http_is_not_answered(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(url.replace("https", "http"))


@pytest.mark.parametrize("argv", [["--tls-cert", "x"], ["--tls-key", "x"], ["--client-ca", "x"]])
def test_half_of_it_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.arguments(argv)
    assert "cannot serve HTTPS" in capsys.readouterr().err


def test_files_that_are_not_there_are_named(files: pathlib.Path) -> None:
    with pytest.raises(main.ListenError, match=r"cannot serve HTTPS with .*gone\.crt"):
        main._tls(main.arguments(flags(files, "--client-ca", f"{files}/gone.crt")))


def test_the_default_is_plain_http() -> None:
    assert main._tls(main.arguments([])) is None
