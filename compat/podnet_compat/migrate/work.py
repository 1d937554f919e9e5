"""Carries out the steps of a migration on a cluster; ``command`` calls ``apply`` and ``rollback``.

It may be killed at any point and run again: each step is computed from what the cluster has by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import msgspec
from podnet_api import kni, multinetwork
from podnet_api.errors import AlreadyExistsError, NotFoundError, PodnetError
from podnet_api.kube import Client

from podnet_compat import names
from podnet_compat.legacy import Nad
from podnet_compat.migrate import steps
from podnet_compat.migrate.inventory import Inventory
from podnet_compat.migrate.steps import Step

DONE, REFUSED = 0, 1
_TRIES, _PAUSE = 120, 0.5
"""How often, and with how many seconds between, it is looked whether podnet-compat has a NAD attached by plugins."""
_MERGE = "application/merge-patch+json"

Say = Callable[[str], None]
Read = Callable[[str], Awaitable[Inventory]]
"""The inventory of one namespace, or with "" of the cluster."""


class MigrateError(PodnetError):
    """A namespace cannot be moved."""


@dataclass(frozen=True)
class Options:
    """``dry_run``: the API server checks every write and keeps none. ``restart``: workloads make their Pods anew.
    ``decided``: what a plan asks is no hindrance."""

    dry_run: bool = False
    restart: bool = False
    decided: bool = False


@dataclass(frozen=True)
class Work:
    """One run."""

    client: Client
    read: Read
    options: Options
    say: Say

    async def apply(self, namespaces: Iterable[str]) -> int:
        """Moves each of ``namespaces`` that nothing hinders; 1 where something did. Raises PodnetError."""
        found = await self.read("")
        if not found.beside:
            raise MigrateError(
                "cannot move a namespace: podnet-compat does not run beside Multus here, where it attaches the Pods of "
                "labelled namespaces only; apply hack/manifests/components/beside-multus with the manifests of podnet"
            )
        refused = False
        for namespace in namespaces:
            hindered = steps.refusals(found, namespace) + (
                [] if namespace in found.namespaces else ["it does not exist"]
            )
            for text in hindered:
                self.say(f"cannot move namespace {namespace}: {text}")
            refused |= bool(hindered)
            if not hindered:
                await self._move(found, namespace)
        return REFUSED if refused else DONE

    async def _move(self, found: Inventory, namespace: str) -> None:
        for nad in steps.by_plugins(found, namespace):
            await self._await_plugins(nad)
        await self._do([*steps.record(found, namespace), *steps.label(found, namespace, names.PODNET)])
        found = await self.read(namespace)
        await self._do(steps.record(found, namespace) if not self.options.dry_run else [])
        await self._made_anew(found, namespace, names.PODNET)

    async def rollback(self, namespaces: Iterable[str]) -> int:
        """Gives ``namespaces`` back to Multus. Raises PodnetError."""
        for namespace in namespaces:
            found = await self.read(namespace)
            await self._do([*steps.label(found, namespace, names.MULTUS), *steps.forget(found, namespace)])
            await self._made_anew(found, namespace, names.MULTUS)
        return DONE

    async def _made_anew(self, found: Inventory, namespace: str, by: str) -> None:
        if self.options.restart:
            await self._do(steps.restart(found, namespace, by))
        waiting = sorted(pod.name for pod in steps.waiting(found, namespace, by))
        if waiting:
            listed = ", ".join(waiting[:10]) + (f" and {len(waiting) - 10} more" if len(waiting) > 10 else "")
            other = steps.OTHER[by]
            self.say(f"namespace {namespace}: {len(waiting)} Pods stay with {other} until they are made anew: {listed}")
        else:
            self.say(f"namespace {namespace}: {by} attaches all Pods with networks")

    async def _do(self, wanted: Iterable[Step]) -> None:
        for step in wanted:
            await self._write(step)
            self.say(step.said + (" (dry run)" if self.options.dry_run else ""))

    async def _write(self, step: Step) -> None:
        query = {"fieldManager": "podnet-migrate"} | ({"dryRun": "All"} if self.options.dry_run else {})
        if step.create and await self._created(step, query):
            return
        path = step.resource.path(step.namespace, step.name)
        if step.body is None:
            await self._deleted(path, query)
        else:
            await self.client.request("PATCH", path, query, msgspec.json.encode(step.body), _MERGE)

    async def _created(self, step: Step, query: dict[str, str]) -> bool:
        """Whether the object is there by this step; False where it was there already."""
        meta = {"name": step.name, "namespace": step.namespace}
        whole = {
            "apiVersion": step.resource.api_version,
            "kind": step.resource.kind,
            "metadata": meta,
            **(step.body or {}),
        }
        try:
            await self.client.request("POST", step.resource.path(step.namespace), query, msgspec.json.encode(whole))
        except AlreadyExistsError:
            return False
        return True

    async def _deleted(self, path: str, query: dict[str, str]) -> None:
        try:
            await self.client.request("DELETE", path, query)
        except NotFoundError:
            return

    async def _await_plugins(self, nad: Nad) -> None:
        """Wait until podnet-compat has made the network of ``nad`` as it is beside Multus."""
        for _ in range(_TRIES):
            if await self._by_plugins(nad):
                return
            await asyncio.sleep(_PAUSE)
        now = await self.client.get(Nad, nad.metadata.name, nad.metadata.namespace)
        said = now.metadata.annotations.get(
            names.TRANSLATION, f"nothing; does podnet-compat --attach-with={names.PLUGINS} run?"
        )
        raise MigrateError(f"cannot have the CNI plugins attach {nad.subject}; it says: {said}")

    async def _by_plugins(self, nad: Nad) -> bool:
        try:
            network = await self.client.get(multinetwork.PodNetwork, names.network(*nad.key))
            config = await self.client.get(kni.NetworkConfig, kni.config_name(network))
        except NotFoundError:
            return False
        return config.spec.cni is not None
