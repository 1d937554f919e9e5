"""The program podnet-controller.

RBAC, cluster-wide:
multinetwork.x-k8s.io podnetworks: get, list, watch, create, patch; podnetworks/status: patch;
podnetworkattachments: get, list, watch, patch; podnetworkattachments/status: patch.
kni.multinetwork.x-k8s.io networkconfigs, attachmentconfigs: get, list, watch, patch;
ipblocks, nodenetworks: list, delete.
core pods: list, watch; nodes: list, patch; events: create. apps statefulsets: list.
apiextensions.k8s.io customresourcedefinitions: list, watch (kopf waits for our CRDs by it).

In its namespace: create of leases; get, update of the Lease podnet-controller (coordination.k8s.io).

Any number of replicas, of which the holder of the Lease works. Should two work for a moment, they do no harm:
every write is idempotent, and the last LIST before a release is each one's own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sys
from collections.abc import Sequence

import kopf

from podnet_api import core, multinetwork, names
from podnet_api.controller import deadnodes, duplicates, garbage, leadership, operator, usage
from podnet_api.controller.queue import Queue
from podnet_api.controller.reconcile import COMPONENT, Reconciler
from podnet_api.controller.store import KINDS, Key, Store, key_of
from podnet_api.errors import KubeError
from podnet_api.kube import Cache, Client, Credentials

log = logging.getLogger(__name__)

RESYNC = 300.0
"""Seconds between two fresh lists of our kinds."""
FIRST_RESYNC = 30.0
RETRY = 2.0
DEFAULT_KEY: Key = (multinetwork.PodNetwork, "", names.DEFAULT_NETWORK)


async def run(
    client: Client, stop: asyncio.Event, leader: leadership.Leadership | None, *, port: int, keep_default: bool = True
) -> None:
    """Work until ``stop`` is set. Raises LeadershipLostError, in a group, when ``leader`` leads no more."""
    store, queue, pods = Store(), Queue[Key](), Cache(client, core.Pod, change=usage.needed)
    uses = usage.Uses()
    reconciler = Reconciler(client, store, uses, keep_default=keep_default)
    pods.listen(lambda old, new: _recheck(uses.learn(old, new), old, new, store, queue))
    await _fill(client, store, stop)
    async with asyncio.TaskGroup() as group:
        helpers = [group.create_task(work) for work in (pods.run(), garbage.Collector(client).run())]
        helpers.append(group.create_task(deadnodes.Undertaker(client).run()))
        helpers.append(group.create_task(_work(queue, reconciler, pods)))
        helpers.append(group.create_task(_resync(client, store, queue)))
        helpers.append(group.create_task(duplicates.watch(client, pods, store)))
        if leader is not None:
            helpers.append(group.create_task(leadership.until_lost(leader)))
        await kopf.operator(
            registry=operator.registry(store, queue),
            clusterwide=True,
            standalone=True,
            liveness_endpoint=f"http://0.0.0.0:{port}/healthz",
            stop_flag=stop,
        )
        for helper in helpers:
            helper.cancel()


async def _work(queue: Queue[Key], reconciler: Reconciler, pods: Cache[core.Pod]) -> None:
    await pods.synced.wait()
    queue.add(DEFAULT_KEY)
    await queue.run(reconciler.look)


def _recheck(turned: set[Key], old: core.Pod | None, new: core.Pod | None, store: Store, queue: Queue[Key]) -> None:
    """What began or ceased to be in use says so; what is being deleted may go with the last Pod that needs it."""
    for key in turned:
        queue.add(key)
    for key in usage.named(old) - usage.named(new):
        item = store.get(key[0], key[2], key[1])
        if item is not None and item.metadata.deletion_timestamp is not None:
            queue.add(key)


async def _fill(client: Client, store: Store, stop: asyncio.Event) -> None:
    """All our objects, before any is judged; or as much as there was until ``stop``."""
    while not stop.is_set():
        try:
            await _list(client, store)
        except KubeError as error:
            log.warning("%s; again in %.0f s", error, RETRY)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY):
                    await stop.wait()
        else:
            return


async def _list(client: Client, store: Store) -> None:
    for kind in KINDS:
        items, version = await client.list_all(kind)
        store.replace(kind, items, version)


async def _resync(client: Client, store: Store, queue: Queue[Key]) -> None:
    """Early for the first time: what was deleted before kopf began to watch."""
    for pause in itertools.chain([FIRST_RESYNC], itertools.repeat(RESYNC)):
        await asyncio.sleep(pause)
        try:
            await _list(client, store)
        except KubeError as error:
            log.warning("%s; again in %.0f s", error, RESYNC)
        for kind in KINDS:
            for item in store.all(kind):
                queue.add(key_of(item))
        queue.add(DEFAULT_KEY)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMPONENT, description="Conditions, default network and finalizers.")
    parser.add_argument("--kubeconfig", help="default: $KUBECONFIG, else the Pod's service account")
    parser.add_argument("--namespace", default="podnet-system", help="of the Lease")
    parser.add_argument("--port", type=int, default=8080, help="of /healthz")
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    parser.add_argument(
        "--default-network",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="create the PodNetwork default and create it again when it is deleted",
    )
    parser.add_argument(
        "--leader-elect",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="work only while holding the Lease podnet-controller, so that several replicas may run",
    )
    times = leadership.Times()
    for name, value in (
        ("lease-duration", times.lease),
        ("renew-deadline", times.renew),
        ("retry-period", times.retry),
    ):
        parser.add_argument(f"--leader-elect-{name}", type=int, default=value, help="seconds")
    return parser.parse_args(argv)


async def _main(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    times = leadership.Times(
        arguments.leader_elect_lease_duration,
        arguments.leader_elect_renew_deadline,
        arguments.leader_elect_retry_period,
    )
    leader = leadership.Leadership(arguments.namespace, times) if arguments.leader_elect else None
    if leader is not None and not await leadership.elected(leader, stop, arguments.port):
        return
    async with Client(Credentials.load(arguments.kubeconfig), COMPONENT) as client:
        await run(client, stop, leader, port=arguments.port, keep_default=arguments.default_network)


def main(argv: Sequence[str] | None = None) -> None:
    """Run until SIGTERM."""
    arguments = _arguments(argv)
    logging.basicConfig(level=arguments.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("kopf.objects", "aiohttp.access", "leaderelection"):  # a line per event, per probe, per renewal
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if arguments.kubeconfig:
        os.environ["KUBECONFIG"] = arguments.kubeconfig  # kopf reads it there
    try:
        asyncio.run(_main(arguments))
    except* leadership.LeadershipLostError as lost:
        sys.exit(str(lost.exceptions[0]))


if __name__ == "__main__":
    main()
