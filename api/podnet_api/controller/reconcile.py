"""Looks at one object and makes it what it should be: finalizer, conditions, Events; and ``default``.

Level-triggered: it reads the present state and may be called at any time. Writes carry the resource
version or are server-side applies of our own fields only, so that a second controller does no harm.
"""

from __future__ import annotations

import datetime
import itertools
import logging
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import msgspec

from podnet_api import core, kni, multinetwork, names, overlap
from podnet_api.controller import conditions, usage
from podnet_api.controller.store import Item, Key, Store, key_of
from podnet_api.errors import AlreadyExistsError, KubeError, NotFoundError
from podnet_api.kube import Client
from podnet_api.meta import Condition, ObjectMeta, condition

log = logging.getLogger(__name__)

COMPONENT = "podnet-controller"
IN_USE = "InUse"
"""Reason of the Event on an object that cannot go yet."""
_NAMED = 3

Network: TypeAlias = multinetwork.PodNetwork
Attachment: TypeAlias = multinetwork.PodNetworkAttachment


class Reconciler:
    """Works on the objects of ``store``; ``pods`` are of a watch cache, good enough to say "in use"."""

    def __init__(self, client: Client, store: Store, pods: usage.Uses, *, keep_default: bool = True) -> None:
        self._client = client
        self._store = store
        self._pods = pods
        self._keep_default = keep_default
        self._told: dict[str, str] = {}
        self._overlaps: dict[str, tuple[int, list[str]]] = {}

    async def look(self, key: Key) -> None:
        """Bring the object of ``key`` into order. Raises KubeError: to be tried again."""
        kind, namespace, name = key
        item = self._store.get(kind, name, namespace)
        if item is None:
            if (kind, name) == (Network, names.DEFAULT_NETWORK):
                await self.create_default()
            return
        try:
            await self._look_at(item)
        except NotFoundError:
            log.info("%s %s vanished meanwhile", kind.__name__, name)

    async def create_default(self) -> None:
        """Create the PodNetwork ``default`` when it does not exist (KEP-3698, "Default network")."""
        if not self._keep_default:
            return
        spec = multinetwork.PodNetworkSpec(provider=names.CLUSTER_PROVIDER)
        try:
            await self._client.create(Network(metadata=ObjectMeta(name=names.DEFAULT_NETWORK), spec=spec))
        except AlreadyExistsError:
            return
        log.info("PodNetwork %s created", names.DEFAULT_NETWORK)

    async def _look_at(self, item: Item) -> None:
        if item.metadata.deletion_timestamp is not None:
            await self._release(item)
            return
        await self._set_finalizer(item, present=not _is_default(item))
        if isinstance(item, Network):
            overlaps = self._overlaps_of(kni.config_name(item))
            wanted = conditions.of_network(item, lambda n: self._store.get(kni.NetworkConfig, n), overlaps)
            await self._report(item, [*wanted, self._in_use(item)])
        elif isinstance(item, Attachment):
            network = self._store.get(Network, item.spec.pod_network_name)
            if network is not None and condition(network.status.conditions, multinetwork.READY) is None:
                return  # it is looked at soon, and its attachments after it
            wanted = conditions.of_attachment(item, network, lambda n, ns: self._store.get(kni.AttachmentConfig, n, ns))
            await self._report(item, [*wanted, self._in_use(item)])

    def _overlaps_of(self, name: str) -> list[str]:
        """Worked out anew only when NetworkConfigs have come or gone."""
        changes = self._store.changes(kni.NetworkConfig)
        known = self._overlaps.get(name)
        if known is None or known[0] != changes:
            config = self._store.get(kni.NetworkConfig, name)
            found = overlap.of_config(config, self._store.all(kni.NetworkConfig)) if config else []
            known = self._overlaps[name] = (changes, found)
        return known[1]

    def _in_use(self, item: Item) -> Condition:
        used = next(usage.users(key_of(item), self._store, self._pods), None)
        return conditions.in_use(used is not None)

    async def _release(self, item: Item) -> None:
        """Let an object go that is being deleted: only after a fresh LIST shows that nobody needs it."""
        if names.IN_USE_FINALIZER not in item.metadata.finalizers:
            return
        users = [] if _is_default(item) else _some(usage.users(key_of(item), self._store, self._pods))
        if not users and not _is_default(item):
            users = _some(await self._fresh_users(item))
        if users:
            await self._tell_in_use(item, users)
        else:
            await self._set_finalizer(item, present=False)

    async def _fresh_users(self, item: Item) -> Iterator[str]:
        """The same as the API server has it now. The store is renewed on the way."""
        kind: type[Item] = Network if isinstance(item, kni.NetworkConfig) else Attachment
        if not isinstance(item, Attachment):
            listed, version = await self._client.list_all(kind)
            self._store.replace(kind, listed, version)
        pods: list[core.Pod] = []
        if isinstance(item, Network | Attachment):
            pods, _ = await self._client.list_all(core.Pod, item.metadata.namespace)
        return usage.users(key_of(item), self._store, usage.Uses(pods))

    async def _tell_in_use(self, item: Item, users: list[str]) -> None:
        """One Event each time that the answer changes."""
        more = ", …" if len(users) > _NAMED else ""
        text = f"cannot be deleted yet, in use by {', '.join(users[:_NAMED])}{more}"
        if self._told.get(item.metadata.uid) != text:
            self._told[item.metadata.uid] = text
            await self._event(item, "Warning", IN_USE, text)

    async def _set_finalizer(self, item: Item, *, present: bool) -> None:
        held = item.metadata.finalizers
        if (names.IN_USE_FINALIZER in held) == present:
            return
        rest = [one for one in held if one != names.IN_USE_FINALIZER]
        wanted = [*rest, names.IN_USE_FINALIZER] if present else rest
        patch = {"metadata": {"resourceVersion": item.metadata.resource_version, "finalizers": wanted}}
        meta = item.metadata
        written = await self._client.merge(item.resource, meta.name, patch, namespace=meta.namespace)
        self._told.pop(meta.uid, None)
        if present:  # without it the object may be gone already, and its last event, too
            self._learn(item, written)

    def _learn(self, item: Item, written: bytes) -> None:
        """What was written is known at once: kopf tells of it later, and a look until then would write it again."""
        self._store.put(msgspec.json.decode(written, type=type(item)))

    async def _report(self, item: Network | Attachment, wanted: list[Condition]) -> None:
        """Write conditions that differ from what stands there; tell the user of each change."""
        old = item.status.conditions
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        new = conditions.merged(old, wanted, item.metadata.generation, now)
        changed = conditions.changed(old, new)
        if not changed and not conditions.past(old, new):
            return
        meta: dict[str, Any] = {"name": item.metadata.name}
        if item.metadata.namespace:
            meta["namespace"] = item.metadata.namespace
        body = {"metadata": meta, "status": {"conditions": msgspec.to_builtins(new)}}
        self._learn(item, await self._client.apply(item.resource, body, subresource="status", manager=COMPONENT))
        for one in changed:
            await self._announce(item, one, old)

    async def _announce(self, item: Item, one: Condition, old: list[Condition]) -> None:
        before = condition(old, one.type)
        same = before is not None and (before.status, before.reason) == (one.status, one.reason)
        if same or one.type == multinetwork.IN_USE:
            return
        reason = one.type if one.status == "True" else one.reason
        good = one.status == "True" and one.type != multinetwork.POOL_OVERLAP
        await self._event(item, "Normal" if good else "Warning", reason, one.message)

    async def _event(self, item: Item, kind: str, reason: str, message: str) -> None:
        """An Event that is lost is no reason to do the work again."""
        try:
            await self._client.event(item, kind, reason, message, COMPONENT)
        except KubeError as error:
            log.warning("%s", error)


def _some(users: Iterable[str]) -> list[str]:
    """A few of them, and one more than are named."""
    return list(itertools.islice(users, _NAMED + 1))


def _is_default(item: Item) -> bool:
    return isinstance(item, Network) and item.metadata.name == names.DEFAULT_NETWORK
