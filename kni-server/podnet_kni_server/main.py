"""podnet-kni-server: one process per node, made of supervised tasks.

Order of a start: records -> caches -> blocks -> node set-up -> KNI socket -> runtime hook -> ready. Until
Synchronize is answered the node carries the not-ready taint. A task that fails ends the process, and the
kubelet starts it anew: everything it did is in the checkpoints.

RBAC: list, watch podnetworks, podnetworkattachments, networkconfigs, attachmentconfigs, pods; get, list, watch,
create, patch, delete ipblocks; create nodenetworks, patch nodenetworks/status; get, list, watch, patch nodes, patch
nodes/status; patch pods/status; create events. A test holds the manifest to what is really called.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

# Must be set before grpc is imported: its fork handlers deadlock with threads of ours.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
# When it is imported aiohttp loads all authorities that the system trusts, for contexts that are not used here: 2 MiB.
os.environ.setdefault("SSL_CERT_FILE", os.devnull)

from podnet_api import core as kube_core
from podnet_api import names, program, reasons
from podnet_api.errors import KubeError, PodnetError
from podnet_api.kube import Client, Credentials

from podnet_kni_server import asked, attach, devinfo, door, extras, hostports, npwg, publish, without_nri
from podnet_kni_server.blocks import Blocks
from podnet_kni_server.check import Checker
from podnet_kni_server.checkpoint import Store
from podnet_kni_server.cni import default
from podnet_kni_server.cni import node as cni_node
from podnet_kni_server.cni.request import Pod as PluginsPod
from podnet_kni_server.composite import Composite
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.datapath.lent import Ledger
from podnet_kni_server.errors import AttachError
from podnet_kni_server.events import NORMAL, WARNING, Event, Events
from podnet_kni_server.hook import Hook
from podnet_kni_server.leases import Holder, Leases
from podnet_kni_server.node import NodeAgent
from podnet_kni_server.nri import plugin, types
from podnet_kni_server.objects import Objects
from podnet_kni_server.plug import Plugger
from podnet_kni_server.podresources import Kubelet, kubelet
from podnet_kni_server.probes import Probes
from podnet_kni_server.reaper import Reaper
from podnet_kni_server.records import Record, Sandbox
from podnet_kni_server.remake import Remaker
from podnet_kni_server.resolver import Resolver
from podnet_kni_server.running import Running
from podnet_kni_server.runtime_calls import RuntimeCalls
from podnet_kni_server.second_hook import SecondHook

if os.environ["SSL_CERT_FILE"] == os.devnull:
    del os.environ["SSL_CERT_FILE"]  # a kubeconfig may name no authority and mean the system's
log = logging.getLogger("podnet_kni_server")

# A hanging server must not hold up Pods without networks; those with networks are held by NRI's default
# validator, which finds a plugin missing that has been dropped.
_IDENTITY = types.Identity(
    names.NRI_PLUGIN_NAME, names.NRI_PLUGIN_INDEX, types.FailurePolicy(fail_request=False, keep_connected=False)
)


def main() -> None:
    """The program."""
    args = _arguments(sys.argv[1:])
    if args.check:
        from podnet_kni_server import server

        sys.exit(asyncio.run(server.check(args.run_dir / "kni.sock")))
    if args.install_cni_shim:
        default.install(default.SHIM, cni_node.programs(args.host_root, args.cni_bin_dir))
        return
    if not args.node_name:
        sys.exit("cannot start: --node-name (or $NODE_NAME) is not set")
    if not (args.nri_socket or args.cni_shim):
        sys.exit(
            "cannot start: without NRI (--nri-socket is empty) only the CNI shim could attach Pods: add --cni-shim"
        )
    program.run(_serve(args), args.log_level)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="podnet-kni-server", description="Attaches the Pods of one node.")
    parser.add_argument("--node-name", default=os.environ.get("NODE_NAME", ""), help="name of the Node ($NODE_NAME)")
    parser.add_argument("--run-dir", type=Path, default=Path("/run/kni"), help="socket, checkpoints, status files")
    parser.add_argument(
        "--nri-socket",
        default="/run/nri/nri.sock",
        help="the container runtime's NRI socket; empty: it has no NRI, and the CNI shim is the only hook (--cni-shim)",
    )
    parser.add_argument("--host-root", default="/", help="the node's root directory; CNI plugins see it as theirs")
    parser.add_argument("--cni-bin-dir", default="/opt/cni/bin", help="the node's CNI plugins; several with a colon")
    parser.add_argument("--cni-conf-dir", default="/etc/cni/net.d", help="the node's CNI configurations")
    parser.add_argument("--cni-cache-dir", default="/var/lib/kni/cni", help="the node's directory of CNI results")
    parser.add_argument("--pod-resources-socket", default=kubelet.SOCKET, help="the kubelet's pod-resources API")
    parser.add_argument("--cni-shim", action="store_true", help="serve the CNI shim, and put its configuration first")
    parser.add_argument("--install-cni-shim", action="store_true", help="put the shim among the plugins, and end")
    parser.add_argument("--kubeconfig", help="path of a kubeconfig; default: the Pod's service account")
    parser.add_argument("--probes", default="127.0.0.1:10262", help="address of /healthz, /readyz and /metrics")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    parser.add_argument(
        "--check-interval",
        type=float,
        default=float(os.environ.get("PODNET_CHECK_INTERVAL", "60")),
        help="seconds between two looks at a Pod's links in the kernel ($PODNET_CHECK_INTERVAL); 0: never",
    )
    parser.add_argument(
        "--allowed-sysctls",
        default=",".join(extras.ALLOWED_SYSCTLS),
        help="kernel parameters that networks and attachments may set in Pods; patterns with a comma between",
    )
    parser.add_argument("--no-taint", action="store_true", help="do not taint the node until it is ready")
    parser.add_argument("--check", action="store_true", help="exit 0 when the server of this node is ready, else 1")
    return parser.parse_args(argv)


async def _serve(args: argparse.Namespace) -> None:
    async with Client(Credentials.load(args.kubeconfig), publish.MANAGER) as client, asyncio.TaskGroup() as tasks:
        await _Program(args, client, tasks).run()


class _Program:
    """The parts, put together."""

    def __init__(self, args: argparse.Namespace, client: Client, tasks: asyncio.TaskGroup) -> None:
        # Long, because it is the list of all parts and of who knows whom; nothing is decided here.
        self._args = args
        self._tasks = tasks
        given = Kubelet(args.pod_resources_socket)
        self._cni = cni_node.Node(args.host_root, args.cni_bin_dir, args.cni_conf_dir, args.cni_cache_dir, given)
        noted = Ledger(args.run_dir / "devices")
        kernel = KernelDatapath(lent=noted, allocation=given, files=devinfo.Files(args.host_root))
        self._datapath = Composite(kernel, self._cni.plugins)
        self._objects = Objects(client, args.node_name)
        self._leases = Leases()
        self._blocks = Blocks(args.node_name, self._leases, self._objects, lambda: self._node.recount())
        self._publisher = publish.Publisher(
            client,
            self._datapath,
            args.run_dir / "status",
            self._npwg_name,
            self._pod,
        )
        self._node = NodeAgent(
            client,
            self._objects,
            self._datapath,
            used=lambda name: self._core.attached(name),
            free=self._leases.free,
            in_use=lambda: self._core.networks(),
        )
        self._events = Events(client, args.node_name)
        self._cni.plugins.warned = self._warned
        self._core = attach.Core(
            view=self._objects,
            node=self._node,
            leases=self._leases,
            blocks=self._blocks,
            store=Store(args.run_dir / "sandboxes"),
            datapath=self._datapath,
            hooks=attach.Hooks(
                attached=self._publisher.attached,
                added=self._added,
                failed=self._failed,
                forgotten=self._publisher.forgotten,
                counts=self._node.recount,
                alive=lambda sandbox: self._running.look(sandbox),
            ),
            policy=extras.Policy(tuple(filter(None, args.allowed_sysctls.split(","))), self._objects.port_holder),
        )
        plugger = Plugger(self._core, self._objects, self._datapath)
        self._running = Running(self._core, plugger, self._pod, self._publisher, self._events)
        resolver = Resolver(self._publisher.directory, self._pod, Path(args.host_root), self._events)
        self._reaper = Reaper(self._core, self._running.lost)
        self._hook = Hook(
            self._core, self._publisher, self._running.now, self._running.lost, resolver.mount, self._reaper
        )
        self._running.sandboxes = self._alive
        self._checker = Checker(
            self._core,
            self._datapath,
            self._events,
            interval=args.check_interval,
            changed=self._publisher.attached,
            repair_node=self._node.touch,
        )
        self._not_ready = "the caches are not filled yet"
        self._probes = Probes(args.probes, lambda: self._not_ready)
        self._door = door.Door(args.run_dir / "kni.sock", self._load_service)

    def _load_service(self) -> Callable[[], door.Behind]:
        from podnet_kni_server import server

        return lambda: server.Server(server.Service(self._core, self._node))

    def _pod(self, namespace: str, name: str) -> kube_core.Pod | None:
        return self._objects.pods.get(name, namespace)

    async def run(self) -> None:
        """Start everything in order, then stay until a task fails or we are cancelled."""
        self._core.load()
        self._cni.open()
        self._objects.start(self._tasks)
        await self._door.start()
        self._tasks.create_task(self._door.run(), name="KNI socket")
        await self._probes.start()
        try:
            await self._objects.synced()
            await self._taint(True)
            self._blocks.adopt()
            self._objects.blocks.listen(self._blocks.seen)  # without a pause after: nothing must be missed
            await self._node.set_up()
            self._start_tasks()
            await self._hook.synchronized.wait()
            self._tasks.create_task(self._cni.run(self._sandboxes, self._node.touch), name="plugins")
            if self._args.cni_shim:
                self._tasks.create_task(self._second_hook().run(), name="second hook")
            self._node.touch()
            await self._taint(False)
            gc.collect()
            gc.freeze()  # what stays for ever need not be looked through again in the middle of an attach
            log.info("ready")
            await asyncio.Event().wait()
        finally:
            await self._probes.stop()
            await self._door.stop()
            await self._datapath.close()

    def _start_tasks(self) -> None:
        self._tasks.create_task(self._cni.keep_leases(), name="dhcp")
        self._objects.pods.listen(self._prefetch)
        for pod in self._objects.pods:
            self._prefetch(None, pod)
        self._tasks.create_task(self._node.run(), name="node")
        self._tasks.create_task(self._node.watch_links(), name="links")
        self._tasks.create_task(self._publisher.run(), name="status")
        self._tasks.create_task(self._events.run(), name="events")
        self._objects.pods.listen(self._running.pod_changed)
        self._objects.pods.listen(self._mirrored)
        self._objects.pods.listen(self._shadowed)
        self._objects.on_list_change(self._running.objects_changed)
        self._tasks.create_task(self._running.run(), name="running Pods")
        self._tasks.create_task(self._reaper.run(), name="reaper")
        if self._args.check_interval > 0:
            self._tasks.create_task(self._checker.run(), name="check")
        self._tasks.create_task(self._blocks.run(), name="blocks")
        if self._args.nri_socket:
            runtime = plugin.run(self._args.nri_socket, self._hook, identity=_IDENTITY, report=self._reported)
            self._tasks.create_task(runtime, name="runtime hook")
        else:
            self._tasks.create_task(self._without_nri(), name="without NRI")

    async def _without_nri(self) -> None:
        """No runtime tells what lives: those are that were attached whole and have their namespace."""
        alive = without_nri.alive(self._core.records())
        await self._core.reconcile([without_nri.sandbox(record, {}) for record in alive])
        self._publisher.tidy({record.sandbox for record in self._core.records()})
        self._hook.synchronized.set()
        self._reported(plugin.State(connected=True, synchronized=True, reason=""))

    def _alive(self) -> Mapping[str, Sandbox]:
        """The sandboxes that live, by id."""
        if self._args.nri_socket:
            return self._hook.sandboxes
        return without_nri.sandboxes(self._core.records(), self._annotations)

    def _second_hook(self) -> SecondHook:
        directory = self._cni.configurations
        calls = RuntimeCalls(
            self._core,
            self._cni.executor,
            directory,
            self._annotations,
            lambda: self._not_ready,
            alone=not self._args.nri_socket,
        )
        remaker = Remaker(
            lambda: self._hook.sandboxes, lambda one: self._core.record(one) is not None, self._pod, self._events
        )
        return SecondHook(calls, directory, self._cni.programs, self._args.run_dir / "cni.sock", remaker.look)

    def _annotations(self, namespace: str, name: str, uid: str) -> Mapping[str, str] | None:
        pod = self._objects.pods.get(name, namespace)
        return pod.metadata.annotations if pod is not None and uid in {"", pod.metadata.uid} else None

    def _warned(self, pod: PluginsPod, message: str) -> None:
        """Plugins may not obey what a Pod asks of them."""
        reason = reasons.CAPABILITY_NOT_DECLARED
        self._events.say(Event(pod.namespace, pod.name, pod.uid, WARNING, reason, message), once=True)

    def _npwg_name(self, network: str) -> str:
        return self._cni.cluster_network() if network == names.DEFAULT_NETWORK else self._objects.npwg_name(network)

    def _mirrored(self, old: kube_core.Pod | None, new: kube_core.Pod | None) -> None:
        """The status of a static Pod can be written when the API server has its mirror."""
        uid = publish.mirrored(new) if old is None and new is not None else ""
        for record in self._core.records() if uid else ():
            if record.uid == uid:
                self._publisher.attached(record)

    def _shadowed(self, old: hostports.Pod | None, new: hostports.Pod | None) -> None:
        """A hostPort that comes after a mapping of ours gets nothing of what arrives there."""
        if old is not None or new is None:
            return
        mapped = ((record.pod, port) for record in self._core.records() for port in record.ports)
        for message in hostports.shadowed(new, mapped):
            meta, reason = new.metadata, reasons.HOST_PORT_TAKEN
            self._events.say(Event(meta.namespace, meta.name, meta.uid, WARNING, reason, message), once=True)

    def _added(self, record: Record) -> None:
        """Users of Multus look for its Events."""
        for message in npwg.added(record, self._objects.npwg_name):
            event = Event(record.namespace, record.name, record.uid, NORMAL, reasons.ADDED_INTERFACE, message)
            self._events.say(event)

    def _failed(self, sandbox: Sandbox, error: PodnetError) -> None:
        self._publisher.failed(sandbox, error)
        reason = npwg.reason(sandbox, error)
        if reason:
            event = Event(sandbox.namespace, sandbox.name, sandbox.uid, WARNING, reason, str(error))
            self._events.say(event, once=True)

    def _sandboxes(self) -> set[str]:
        return {record.sandbox for record in self._core.records()} | set(self._hook.sandboxes)

    def _reported(self, state: plugin.State) -> None:
        """The runtime hook came or went: without it no Pod may be sent here."""
        why = "" if state.synchronized else f"the runtime does not call the KNI server: {state.reason}"
        self._node.hook_lost = self._not_ready = why
        self._node.touch()
        self._tasks.create_task(self._door.serving(state.synchronized), name="health")

    async def _taint(self, present: bool) -> None:
        """Several writers change a Node: a conflict is tried again."""
        if self._args.no_taint:
            return
        for _ in range(20):
            try:
                await self._node.taint(present)
                return
            except KubeError as error:
                log.info("cannot change the taint yet: %s", error)
                await asyncio.sleep(0.5)
        log.error("cannot change the taint of node %s; giving up", self._args.node_name)

    def _prefetch(self, old: kube_core.Pod | None, pod: kube_core.Pod | None) -> None:
        """A Pod was bound to this node: claim addresses before its sandbox comes."""
        if pod is None and old is not None:
            self._blocks.forget(f"{old.metadata.namespace}/{old.metadata.name}")
        if pod is None or old is not None or pod.finished or self._core.knows(pod.metadata.uid):
            return
        sandbox = Sandbox(
            "", pod.metadata.uid, pod.metadata.namespace, pod.metadata.name, None, pod.metadata.annotations
        )
        try:
            requests = asked.of_sandbox(sandbox, self._objects)
        except AttachError as error:
            log.info("%s", error)
            return
        for request in requests:
            for version in request.leased_versions:
                assert request.pool is not None
                holder = Holder("", request.interface, sandbox.pod)
                self._tasks.create_task(self._blocks.expect(request.pool, version, holder), name="claim")


if __name__ == "__main__":
    main()
