"""podnet-compat: NADs and the annotation ``k8s.v1.cni.cncf.io/networks`` on a cluster with podnet.

One asyncio process: the admission webhook, the mirror of NADs and the collector of unused attachments. If
one of them fails the program ends, and is started again. ``podnet-compat translate FILE...`` prints what
files would become, without a cluster (see ``cli``); ``podnet-compat migrate`` moves namespaces (see ``migrate``).

Several replicas may run: each write is idempotent or a compare-and-swap.

RBAC (cluster-wide, unless said otherwise):

k8s.cni.cncf.io               network-attachment-definitions  get list watch patch
multinetwork.x-k8s.io         podnetworks                     get list watch create delete
multinetwork.x-k8s.io         podnetworkattachments           get list watch create patch delete
kni.multinetwork.x-k8s.io     networkconfigs                  get list watch create update delete
kni.multinetwork.x-k8s.io     attachmentconfigs               get list watch create patch delete
(core)                        pods                            list
whereabouts.cni.cncf.io       ippools overlappingrangeipreservations nodeslicepools  list watch
kni.multinetwork.x-k8s.io     ipblocks                        get list watch create delete
(core)                        events                          create
admissionregistration.k8s.io  mutating- and validatingwebhookconfigurations  list watch; patch of
                              compat.multinetwork.x-k8s.io
(core), own namespace         secrets                         create; get patch of podnet-compat-certs
(--systems)                   the kinds of each system        get list watch; ConfigMaps get, by name
nonResourceURLs               /apis/k8s.cni.cncf.io/v1        get (system:discovery has it)
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from podnet_api import admission, program
from podnet_api.kube import Client, Credentials

from podnet_compat import annotation, cli, collector, names, reservations_live, systems
from podnet_compat.foreign.following import Following
from podnet_compat.foreign.reading import Reading
from podnet_compat.foreign.watching import Watched
from podnet_compat.foreign.webhook import Foreign, chosen
from podnet_compat.maker import Maker
from podnet_compat.migrate import command
from podnet_compat.mirror import Mirror
from podnet_compat.pod import Policy
from podnet_compat.store import Store
from podnet_compat.webhook import Webhook

log = logging.getLogger(__name__)

NAME = "podnet-compat"
SECRET = "podnet-compat-certs"
CONFIGURATION = "compat.multinetwork.x-k8s.io"
"""Name of the MutatingWebhookConfiguration and of the ValidatingWebhookConfiguration."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["translate"]:
        return cli.main(given[1:])
    if given[:1] == ["migrate"]:
        return command.main(given[1:])
    options = parser().parse_args(given)
    program.run(_run(options), options.log_level)
    return 0


def parser() -> argparse.ArgumentParser:
    """Its options."""
    parser = argparse.ArgumentParser(prog=NAME, description="legacy multi-network forms onto the podnet API")
    parser.add_argument("--kubeconfig", help="default: $KUBECONFIG, the Pod's service account, ~/.kube/config")
    parser.add_argument(
        "--namespace",
        default=os.environ.get("POD_NAMESPACE", "podnet-system"),
        help="of this program's Service and Secret",
    )
    parser.add_argument("--port", type=int, default=8444)
    parser.add_argument(
        "--cert-dir",
        type=Path,
        help="with tls.crt and tls.key, e.g. of cert-manager, which then sets the caBundle; default: made by itself",
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    parser.add_argument(
        "--namespace-isolation",
        action="store_true",
        help="refuse Pods that name NADs of other namespaces than their own and --global-namespaces",
    )
    parser.add_argument("--global-namespaces", default="default", help="comma list")
    parser.add_argument(
        "--default-networks",
        default="",
        help="NADs before those of each Pod with a legacy annotation (Multus: defaultNetworks), [namespace/]name with "
        "commas between; of Pods without one, label the Namespace",
    )
    parser.add_argument("--system-namespaces", default=names.DEFAULT_NAMESPACE, help="without them; comma list")
    parser.add_argument(
        "--inject-resources",
        action="store_true",
        help="have Pods ask for the devices that their NADs name (resourceName), as network-resources-injector does",
    )
    parser.add_argument(
        "--inject-hugepages",
        action="store_true",
        help="with --inject-resources: tell such Pods their huge pages in /etc/podnetinfo (injectHugepageDownApi)",
    )
    parser.add_argument(
        "--attach-with",
        choices=[names.NATIVE, names.PLUGINS],
        default=names.NATIVE,
        help="NADs that do not say it by annotation; plugins: beside Multus, so that both sides have one wire and one "
        "store of addresses",
    )
    parser.add_argument(
        "--systems",
        action="append",
        default=[],
        help="other systems whose Pods are translated as they are made, e.g. danm,genie,knitter, and whose networks "
        "are followed; may be repeated. The webhook must be asked about them, too: components compat-systems and "
        "compat-systems-npwg of the manifests",
    )
    parser.add_argument("--set", action="append", default=[], metavar=systems.SETTING, help=systems.SETTING_HELP)
    return parser


async def _run(options: argparse.Namespace) -> None:
    async with Client(Credentials.load(options.kubeconfig), NAME) as client:
        await _work(client, options)


def policy(options: argparse.Namespace) -> Policy:
    """What the administrator says of all Pods. Raises InvalidError."""
    return Policy(
        isolated=options.namespace_isolation,
        shared=_listed(options.global_namespaces),
        delegates=annotation.named(options.default_networks, names.DEFAULT_NAMESPACE, "--default-networks"),
        system=_listed(options.system_namespaces),
        inject=options.inject_resources,
        pages=options.inject_hugepages,
    )


def _listed(text: str) -> frozenset[str]:
    return frozenset(filter(None, (one.strip() for one in text.split(","))))


async def _work(client: Client, options: argparse.Namespace) -> None:
    store = Store(client, options.attach_with)
    reserved = reservations_live.Live(store)
    maker = Maker(store, reserved)
    webhook = Webhook(store, maker, policy(options))
    handlers = {
        "/mutate-pods": webhook.mutate_pod,
        "/take-pods": webhook.take_pod,
        "/validate-nads": webhook.validate_nad,
    }
    foreign, settings = chosen(",".join(options.systems), systems.SYSTEMS), systems.settings(options.set)
    watched = Watched(client, [kind for system in foreign for kind in system.kinds])
    reading = Reading(store, foreign, watched)
    if foreign:
        admitted = Foreign(store, foreign, settings, reading)
        handlers |= {"/mutate-foreign-pods": admitted.mutate_pod, "/genie-status": admitted.genie_status}
    following = Following(store, foreign, settings, reading, watched)
    mirror = Mirror(store, maker)
    async with asyncio.TaskGroup() as group:
        group.create_task(store.run())
        group.create_task(mirror.run())
        group.create_task(reserved.run())
        if foreign:
            group.create_task(watched.run())
            group.create_task(following.run())
        group.create_task(collector.run(store))
        group.create_task(
            admission.serve(
                client,
                service=NAME,
                namespace=options.namespace,
                port=options.port,
                secret=SECRET,
                directory=options.cert_dir,
                configurations=[CONFIGURATION],
                handlers=handlers,
            )
        )


if __name__ == "__main__":
    sys.exit(main())
