"""kube-scheduler and the extender as they find each other: not there, not ready, over HTTPS."""

from __future__ import annotations

import asyncio
import pathlib
import ssl
from typing import Any

import aiohttp
import pytest
from benchmark.scheduler import plane as planes
from benchmark.scheduler.plane import NETWORK, Bindings, Network, Plane, Program
from podnet_tests.issuer import issue

BLOCKS = "ipblocks"


@pytest.mark.needs("apiserver")
async def test_until_it_is_ready_pods_with_networks_wait_and_others_do_not(control: Plane) -> None:
    """ignorable is false: no answer, and an answer 503, hold up the Pods that name networks, and only these."""
    await control.network(Network())
    await control.nodes(2, 2)
    await control.send("DELETE", f"{planes.CRDS}/{BLOCKS}.kni.multinetwork.x-k8s.io")
    port = planes.free_port()
    async with control.running(control.scheduler(port)), Bindings.of(control) as bindings:
        await control.pod("managed", planes.managed(NETWORK), planes.listed(NETWORK))
        await control.pod("plain-0")
        await bindings.until(1)
        async with control.running(control.started_extender(port)) as extender:
            await extender.until(lambda: alive(control, port))
            await control.pod("plain-1")
            await bindings.until(2)
            await asyncio.sleep(2)
            assert set(bindings.node) == {"plain-0", "plain-1"}
            assert not await control.serves(port)
            pod = await control.send("GET", f"{planes.PODS}/managed")
            [scheduled] = [c for c in pod["status"]["conditions"] if c["type"] == "PodScheduled"]
            assert scheduled["reason"] == "SchedulerError"
            await control.crds(BLOCKS)
            await bindings.until(3, seconds=60)


async def alive(control: Plane, port: int) -> bool:
    """Whether the program answers, ready or not."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def over_tls(files: pathlib.Path, port: int, name: str) -> dict[str, Any]:
    """The settings of kube-scheduler; ``name`` says whose certificate it shows."""
    tls = {"caFile": f"{files}/authority.crt", "certFile": f"{files}/{name}.crt", "keyFile": f"{files}/{name}.key"}
    return {"urlPrefix": f"https://127.0.0.1:{port}", "enableHTTPS": True, "tlsConfig": tls}


async def encrypted(control: Plane, files: pathlib.Path, port: int) -> Program:
    """An extender that asks for client certificates, ready."""
    flags = ["--tls-cert", f"{files}/server.crt", "--tls-key", f"{files}/server.key"]
    program = control.started_extender(port, *flags, "--client-ca", f"{files}/authority.crt")
    tls = ssl.create_default_context(cafile=f"{files}/authority.crt")
    tls.load_cert_chain(f"{files}/scheduler.crt", f"{files}/scheduler.key")

    async def ready() -> bool:
        try:
            url = f"https://127.0.0.1:{port}/readyz"
            async with aiohttp.ClientSession() as session, session.get(url, ssl=tls) as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    await program.until(ready)
    return program


@pytest.mark.needs("apiserver")
async def test_over_https_only_a_scheduler_with_a_certificate_is_answered(
    control: Plane, tmp_path: pathlib.Path
) -> None:
    authority = issue(tmp_path, "authority")
    for name in ("server", "scheduler"):
        issue(tmp_path, name, authority)
    issue(tmp_path, "stranger")
    await control.network(Network())
    await control.nodes(2, 2)
    port = planes.free_port()
    async with control.running(await encrypted(control, tmp_path, port)), Bindings.of(control) as bindings:
        await control.pod("managed", planes.managed(NETWORK), planes.listed(NETWORK))
        async with control.running(control.scheduler(port, **over_tls(tmp_path, port, "stranger"))):
            await control.pod("plain")
            await bindings.until(1)
            await asyncio.sleep(1)
            assert set(bindings.node) == {"plain"}
        async with control.running(control.scheduler(port, **over_tls(tmp_path, port, "scheduler"))):
            await bindings.until(2, seconds=60)
