"""podnet-scheduler-extender: one process beside kube-scheduler, made of supervised tasks.

It serves the extender protocol on loopback at once (503 until the caches are filled, see ``app``) and,
once they are, tells waiting Pods (``wake``). A task that fails ends the process, and the kubelet starts
it anew; nothing is kept on disk.

RBAC (ClusterRole):
- group multinetwork.x-k8s.io: list, watch podnetworks, podnetworkattachments
- group kni.multinetwork.x-k8s.io: list, watch networkconfigs, attachmentconfigs, nodenetworks, ipblocks
- core: list, watch, patch pods; patch pods/status; create events

kube-scheduler needs in its configuration: urlPrefix http://127.0.0.1:10261, filterVerb filter,
prioritizeVerb prioritize, preemptVerb preempt, weight 1, nodeCacheCapable true, ignorable false,
managedResources multinetwork.x-k8s.io/networks with ignoredByScheduler true.

The default is plain HTTP on loopback, beside kube-scheduler in one network namespace. Where it listens elsewhere,
--tls-cert and --tls-key make it HTTPS, and --client-ca admits only clients with a certificate of that authority
(probes and scrapes need one then, too). kube-scheduler needs for that
urlPrefix https://..., enableHTTPS true and tlsConfig with caFile, certFile and keyFile; without a CA it takes any
certificate and says nothing. Certificates are read at the start: restart the program to change them. No request
changes anything but the books in memory, and no body may be larger than 128 MiB.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import gc
import logging
import ssl
import sys
import time

import uvloop
from aiohttp import web
from podnet_api import program
from podnet_api.errors import PodnetError
from podnet_api.kube import Client, Credentials

from podnet_scheduler_extender import app, ledger, score, wake
from podnet_scheduler_extender.extender import Extender
from podnet_scheduler_extender.watches import Watches

log = logging.getLogger("podnet_scheduler_extender")

LISTEN = "127.0.0.1:10261"
_DEBUG_VERBOSITY = 4
_SHUTDOWN_SECONDS = 5.0


class ListenError(PodnetError):
    """The address to listen on, or the certificate to show there, cannot be used."""


def main() -> None:
    """The program."""
    args = arguments(sys.argv[1:])
    level = "DEBUG" if args.verbosity >= _DEBUG_VERBOSITY else args.log_level.upper()
    # Half of the time of a call is HTTP, and uvloop halves that.
    program.run(_serve(args), level, uvloop.new_event_loop)


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="podnet-scheduler-extender", description="Places Pods by the networks that nodes have left."
    )
    parser.add_argument("--kubeconfig", help="path of a kubeconfig; default: the Pod's service account")
    parser.add_argument("--listen", default=LISTEN, type=_address, help="address and port to serve (%(default)s)")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    parser.add_argument("-v", dest="verbosity", type=int, default=0, help="as in Kubernetes; from 4 on: debug")
    parser.add_argument(
        "--claim-ttl",
        type=_seconds,
        default=ledger.TTL,
        help="seconds after which a Pod that was placed but never bound no longer counts (%(default)s)",
    )
    parser.add_argument(
        "--score-weights",
        type=_weights,
        default=score.Weights(),
        metavar="spread=8,pack=0,near=2,local=0",
        help="spread: nodes with most left; pack: with least left; near: with addresses at hand; "
        "local: with devices on one NUMA node (the default is shown)",
    )
    parser.add_argument("--tls-cert", help="certificate to serve HTTPS with, PEM; default: plain HTTP")
    parser.add_argument("--tls-key", help="its private key, PEM")
    parser.add_argument("--client-ca", help="serve only clients with a certificate of this authority, PEM")
    args = parser.parse_args(argv)
    if bool(args.tls_cert) != bool(args.tls_key) or (args.client_ca and not args.tls_cert):
        parser.error("cannot serve HTTPS: --tls-cert and --tls-key go together, and --client-ca needs both")
    return args


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise argparse.ArgumentTypeError(f"cannot listen on {text!r}: say address:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _weights(text: str) -> score.Weights:
    """``name=number``, with commas; what is not named counts nothing."""
    known = {field.name: 0.0 for field in dataclasses.fields(score.Weights)}
    try:
        given = {name: float(number) for name, _, number in (part.partition("=") for part in text.split(","))}
        return score.Weights(**known | given)
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"cannot read the weights {text!r}: {error}") from error


def _seconds(text: str) -> float:
    """A positive number, with or without the unit that Go programs want."""
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"cannot read {text!r} as a number of seconds")
    return value


async def _serve(args: argparse.Namespace) -> None:
    async with Client(Credentials.load(args.kubeconfig), wake.MANAGER) as client, asyncio.TaskGroup() as tasks:
        extender = Extender(time.monotonic, ledger.Ledger(args.claim_ttl), args.score_weights)
        watches = Watches(client, extender.state)
        waker = wake.Waker(extender, wake.KubeWriter(client))
        extender.changed = waker.notify
        gauges(extender, watches)
        watches.start(tasks)
        tasks.create_task(_listen(extender, watches, args.listen, _tls(args)), name="serve kube-scheduler")
        await watches.synced()
        # What was listed stays: without this each full collection walks tens of thousands of objects in a call.
        gc.freeze()
        log.info("ready")
        await waker.run()


def gauges(extender: Extender, watches: Watches) -> None:
    """What /metrics says beside what is counted."""
    extender.metrics.gauge("claims", "Pods in flight.", lambda: len(extender.ledger))
    extender.metrics.gauge("waiting_pods", "Pods that wait for networks.", lambda: len(extender.waiting))
    extender.metrics.gauge("cache_age_seconds", "Time since the API server last told of a change.", watches.age)
    extender.metrics.gauge("ready", "Whether all objects have been listed.", lambda: float(watches.ready()))


def _tls(args: argparse.Namespace) -> ssl.SSLContext | None:
    """How to serve HTTPS; None: plain HTTP."""
    if not args.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(args.tls_cert, args.tls_key)
        if args.client_ca:
            context.load_verify_locations(args.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        files = ", ".join(filter(None, (args.tls_cert, args.tls_key, args.client_ca)))
        raise ListenError(f"cannot serve HTTPS with {files}: {error}") from error
    return context


async def _listen(extender: Extender, watches: Watches, address: tuple[str, int], tls: ssl.SSLContext | None) -> None:
    runner = web.AppRunner(app.build(extender, watches.ready), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, *address, ssl_context=tls).start()
        log.info("listening on %s:%d, %s", *address, "HTTPS" if tls else "HTTP")
        await asyncio.Event().wait()
    except OSError as error:
        raise ListenError(f"cannot listen on {address[0]}:{address[1]}: {error.strerror}") from error
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    main()
