"""The program podnet-webhook.

RBAC, cluster-wide: get, list, watch of podnetworks, podnetworkattachments (multinetwork.x-k8s.io), of
networkconfigs, attachmentconfigs (kni.multinetwork.x-k8s.io) and of namespaces;
create of subjectaccessreviews (authorization.k8s.io); list, watch of mutatingwebhookconfigurations,
validatingwebhookconfigurations (admissionregistration.k8s.io), and patch of those named
pods.multinetwork.x-k8s.io and objects.multinetwork.x-k8s.io. In its namespace: create of secrets; get,
patch of the Secret podnet-webhook-certs. Replicas: any number.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from podnet_api import admission, core, kni, multinetwork, names, overlap, program
from podnet_api.admission import Allow, Deny, Request
from podnet_api.errors import KubeError, NotFoundError
from podnet_api.faults import Fault
from podnet_api.kube import Cache, Client, Credentials
from podnet_api.webhook import access, configurations, lookup, namespaces, objects, placement, pods, running, templates


class Webhook:
    """The handlers, and the caches that they look things up in."""

    def __init__(self, client: Client, *, hybrid: bool = False, cni_shim: bool = False) -> None:
        self._cni_shim = cni_shim
        self.networks = Cache(client, multinetwork.PodNetwork)
        self.attachments = Cache(client, multinetwork.PodNetworkAttachment)
        self.namespaces = Cache(client, core.Namespace)
        self._client = client
        self._access = access.Access(client)
        self.lookup = lookup.Lookup(client, self.networks, self.attachments) if hybrid else None

    def _decide(self, request: Request) -> placement.Decide:
        """Who places Pods of the request's namespace."""
        return placement.hybrid(request.namespace, self.lookup) if self.lookup else placement.by_extender

    def _created(self, request: Request, pod: dict[str, Any], resolve: pods.Resolve) -> Allow | tuple[Fault, ...]:
        return pods.created(pod, resolve, self._decide(request), cni_shim=self._cni_shim)

    async def mutate_pods(self, request: Request) -> Allow | Deny:
        """A Pod that is created or whose list changes."""
        resolve = await self._resolver(request, request.object)
        if request.operation == "UPDATE":
            answer = running.updated(request.object, request.old_object or {}, resolve)
            return await self._permitted_change(request, answer, resolve)
        return await self._permitted(request, self._created(request, request.object, resolve), request.object, resolve)

    async def mutate_by_namespace(self, request: Request) -> Allow | Deny:
        """A Pod that is created without a list, where its Namespace has one."""
        namespace = await self._namespace(request.namespace)
        text = namespaces.text_for(request.object, namespace)
        if not text:
            return Allow()
        pod = namespaces.with_list(request.object, text)
        resolve = await self._resolver(request, pod)
        given = await self._permitted(request, self._created(request, pod, resolve), pod, resolve)
        return namespaces.answer(request.object, text, request.namespace, given)

    async def _namespace(self, name: str) -> core.Namespace:
        """The API server has seen its label, the cache perhaps not yet. Raises KubeError."""
        found = self.namespaces.get(name)
        if found is None or names.NAMESPACE_NETWORKS not in found.metadata.labels:
            return await self._client.get(core.Namespace, name)
        return found

    async def _permitted(
        self, request: Request, answer: Allow | tuple[Fault, ...], pod: dict[str, Any], resolve: pods.Resolve
    ) -> Allow | Deny:
        """``answer``, if the networks of ``pod`` may be used."""
        if isinstance(answer, Allow):
            faults = tuple(await self._access.pod_faults(request, pods.wanted(pod, resolve)))
            return Deny("Pod", request.name, faults) if faults else answer
        return Deny("Pod", request.name, answer)

    async def _permitted_change(
        self, request: Request, answer: Allow | tuple[Fault, ...], resolve: pods.Resolve
    ) -> Allow | Deny:
        """``answer``, if the networks that the old list did not have may be used."""
        if not isinstance(answer, Allow):
            return Deny("Pod", request.name, answer)
        coming = running.coming(request.object, request.old_object or {}, resolve)
        faults = tuple(await self._access.pod_faults(request, coming))
        return Deny("Pod", request.name, faults) if faults else answer

    async def _resolver(self, request: Request, pod: dict[str, Any]) -> pods.Resolve:
        """Attachment -> network, from the cache; one that was made a moment ago is not there yet and is asked for.
        Raises KubeError."""
        named = pods.attachments(pod)
        fresh = {name: await self._fresh(request.namespace, name) for name in named if not self._cached(request, name)}
        return lambda name: self._cached(request, name) or fresh.get(name)

    def _cached(self, request: Request, name: str) -> str | None:
        found = self.attachments.get(name, request.namespace)
        return found.spec.pod_network_name if found else None

    async def _fresh(self, namespace: str, name: str) -> str | None:
        try:
            found = await self._client.get(multinetwork.PodNetworkAttachment, name, namespace)
        except NotFoundError:
            return None
        return found.spec.pod_network_name

    async def validate_pods(self, request: Request) -> Allow | Deny:
        """The same after all mutation: what direct writers and later webhooks did to the list."""
        resolve = await self._resolver(request, request.object)
        if request.operation == "UPDATE":
            through = running.through_faults(request.subresource)
            faults = through or running.final_faults(request.object, request.old_object or {}, resolve)
            return await self._permitted_change(request, faults or Allow(), resolve)
        faults = pods.final_faults(request.object, resolve, self._decide(request), cni_shim=self._cni_shim)
        return await self._permitted(request, faults or Allow(), request.object, resolve)

    async def validate_objects(self, request: Request) -> Allow | Deny:
        """Our own kinds."""
        faults = objects.faults(request.object, request.old_object, self._provider_of)
        if not faults and request.operation == "CREATE" and request.object.get("kind") == "PodNetworkAttachment":
            faults = tuple(await self._access.attachment_faults(request))
        if faults:
            return Deny(str(request.object.get("kind")), request.name, faults)
        return Allow(warnings=await self._overlaps(request))

    async def _overlaps(self, request: Request) -> list[str]:
        """What a new NetworkConfig shares with others. A warning is no reason to fail."""
        if request.operation != "CREATE" or request.object.get("kind") != "NetworkConfig":
            return []
        try:
            others, _ = await self._client.list_all(kni.NetworkConfig)
        except KubeError:
            return []
        return overlap.of_config(msgspec.convert(request.object, kni.NetworkConfig), others)

    async def validate_templates(self, request: Request) -> Allow | Deny:
        """Kinds with a pod template: warnings only."""
        return Allow(warnings=templates.warnings(request.object))

    def _provider_of(self, network: str) -> str | None:
        found = self.networks.get(network)
        return found.spec.provider if found else None


async def run(
    client: Client,
    *,
    namespace: str,
    port: int,
    hybrid: bool = False,
    cni_shim: bool = False,
    cert_dir: Path | None = None,
) -> None:
    """Serve until cancelled."""
    webhook = Webhook(client, hybrid=hybrid, cni_shim=cni_shim)
    async with asyncio.TaskGroup() as group:
        group.create_task(webhook.networks.run())
        group.create_task(webhook.attachments.run())
        group.create_task(webhook.namespaces.run())
        await webhook.networks.synced.wait()
        await webhook.attachments.synced.wait()
        await webhook.namespaces.synced.wait()
        if webhook.lookup:
            await webhook.lookup.start(group)
        await admission.serve(
            client,
            service=configurations.SERVICE,
            namespace=namespace,
            port=port,
            secret=configurations.SECRET,
            directory=cert_dir,
            configurations=(configurations.PODS, configurations.OBJECTS),
            handlers={
                configurations.MUTATE_PODS: webhook.mutate_pods,
                configurations.MUTATE_BY_NAMESPACE: webhook.mutate_by_namespace,
                configurations.VALIDATE_PODS: webhook.validate_pods,
                configurations.VALIDATE_OBJECTS: webhook.validate_objects,
                configurations.VALIDATE_TEMPLATES: webhook.validate_templates,
            },
        )


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="podnet-webhook", description="Admission of podnet.")
    parser.add_argument("--kubeconfig", help="default: $KUBECONFIG, else the Pod's service account")
    parser.add_argument("--namespace", default=configurations.NAMESPACE, help="of the Service and the Secret")
    parser.add_argument("--port", type=int, default=configurations.PORT)
    parser.add_argument(
        "--cert-dir",
        type=Path,
        help="with tls.crt and tls.key, e.g. of cert-manager, which then sets the caBundle; default: made by itself",
    )
    parser.add_argument(
        "--hybrid",
        action="store_true",
        help="where nodes can count alone, let kube-scheduler place Pods without calling the extender",
    )
    parser.add_argument(
        "--cni-shim", action="store_true", help="the nodes have the CNI shim, so a list may replace the default network"
    )
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    return parser.parse_args(argv)


async def _main(arguments: argparse.Namespace) -> None:
    async with Client(Credentials.load(arguments.kubeconfig), configurations.SERVICE) as client:
        await run(
            client,
            namespace=arguments.namespace,
            port=arguments.port,
            hybrid=arguments.hybrid,
            cni_shim=arguments.cni_shim,
            cert_dir=arguments.cert_dir,
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Run until SIGTERM."""
    arguments = _arguments(argv)
    program.run(_main(arguments), arguments.log_level)


if __name__ == "__main__":
    main()
