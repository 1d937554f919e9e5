"""The program podnet-webhook.

RBAC, cluster-wide: get, list, watch of podnetworks, podnetworkattachments (multinetwork.x-k8s.io);
list, watch of mutatingwebhookconfigurations, validatingwebhookconfigurations
(admissionregistration.k8s.io), and patch of those named pods.multinetwork.x-k8s.io and
objects.multinetwork.x-k8s.io. In its namespace: create of secrets; get, patch of the Secret
podnet-webhook-certs. Replicas: any number.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from podnet_api import admission, multinetwork, program
from podnet_api.admission import Allow, Deny, Request
from podnet_api.kube import Cache, Client, Credentials
from podnet_api.webhook import configurations, objects, pods, templates


class Webhook:
    """The handlers, and the caches that they look things up in."""

    def __init__(self, client: Client) -> None:
        self.networks = Cache(client, multinetwork.PodNetwork)
        self.attachments = Cache(client, multinetwork.PodNetworkAttachment)

    async def mutate_pods(self, request: Request) -> Allow | Deny:
        """A Pod that is created or whose list changes."""
        if request.operation == "UPDATE":
            return pods.updated(request.object, request.old_object or {})
        answer = pods.created(request.object, lambda name: self._network_of(request.namespace, name))
        return answer if isinstance(answer, Allow) else Deny("Pod", request.name, answer)

    async def validate_pods(self, request: Request) -> Allow | Deny:
        """The same after all mutation: what direct writers and later webhooks did to the list."""
        if request.operation == "UPDATE":
            faults = pods.change_faults(request.object, request.old_object or {})
        else:
            faults = pods.final_faults(request.object, lambda name: self._network_of(request.namespace, name))
        return Deny("Pod", request.name, faults) if faults else Allow()

    async def validate_objects(self, request: Request) -> Allow | Deny:
        """Our own kinds."""
        faults = objects.faults(request.object, request.old_object, self._provider_of)
        return Deny(str(request.object.get("kind")), request.name, faults) if faults else Allow()

    async def validate_templates(self, request: Request) -> Allow | Deny:
        """Kinds with a pod template: warnings only."""
        return Allow(warnings=templates.warnings(request.object))

    def _network_of(self, namespace: str, attachment: str) -> str | None:
        found = self.attachments.get(attachment, namespace)
        return found.spec.pod_network_name if found else None

    def _provider_of(self, network: str) -> str | None:
        found = self.networks.get(network)
        return found.spec.provider if found else None


async def run(client: Client, *, namespace: str, port: int) -> None:
    """Serve until cancelled."""
    webhook = Webhook(client)
    async with asyncio.TaskGroup() as group:
        group.create_task(webhook.networks.run())
        group.create_task(webhook.attachments.run())
        await webhook.networks.synced.wait()
        await webhook.attachments.synced.wait()
        await admission.serve(
            client,
            service=configurations.SERVICE,
            namespace=namespace,
            port=port,
            secret=configurations.SECRET,
            configurations=(configurations.PODS, configurations.OBJECTS),
            handlers={
                configurations.MUTATE_PODS: webhook.mutate_pods,
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
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    return parser.parse_args(argv)


async def _main(arguments: argparse.Namespace) -> None:
    async with Client(Credentials.load(arguments.kubeconfig), configurations.SERVICE) as client:
        await run(client, namespace=arguments.namespace, port=arguments.port)


def main(argv: Sequence[str] | None = None) -> None:
    """Run until SIGTERM."""
    arguments = _arguments(argv)
    program.run(_main(arguments), arguments.log_level)


if __name__ == "__main__":
    main()
