"""The objects of a cluster or a directory, sorted by what a migration does with them. Pure.

``reading`` brings the objects as JSON has them, ``planning`` and ``steps`` ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from podnet_api import names as api_names
from podnet_api.errors import InvalidError

from podnet_compat import legacy, names
from podnet_compat.legacy import Nad
from podnet_compat.migrate import injector, multus
from podnet_compat.systems import workloads

Object = dict[str, Any]
POLICY = "MultiNetworkPolicy"
WEBHOOK = "compat.multinetwork.x-k8s.io"


@dataclass(frozen=True)
class Carried:
    """A Pod, or a Pod template in ``item``. ``path`` leads to it; ``pod`` has the name and namespace of ``item``."""

    kind: str
    namespace: str
    name: str
    pod: Object
    path: str = ""
    owner: str = ""

    @property
    def subject(self) -> str:
        """How messages name it."""
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def annotations(self) -> Mapping[str, str]:
        """Those of the Pod or the template, as far as they are strings."""
        found = as_object(as_object(self.pod.get("metadata")).get("annotations"))
        return {key: value for key, value in found.items() if isinstance(value, str)}

    @property
    def attached_by(self) -> str:
        """Who attaches the networks of a Pod: what it carries since it was made says so. "" where it has none."""
        if api_names.NETWORKS_ANNOTATION in self.annotations:
            return names.PODNET
        return names.MULTUS if any(self.annotations.get(key) for key in names.MOVED) else ""

    @property
    def concerned(self) -> bool:
        """Whether it asks for networks by an annotation of Multus, current or historic."""
        moved = names.MOVED.values()
        return bool({*names.MOVED, *names.HISTORIC, *moved} & set(self.annotations))

    @property
    def finished(self) -> bool:
        """Whether it holds no network any more."""
        return as_object(self.pod.get("status")).get("phase") in ("Succeeded", "Failed")


@dataclass
class Inventory:
    """What there is. ``items``: all of it, as it came."""

    nads: dict[tuple[str, str], Nad] = field(default_factory=dict)
    broken: list[InvalidError] = field(default_factory=list)
    carried: list[Carried] = field(default_factory=list)
    namespaces: dict[str, Object] = field(default_factory=dict)
    multus: list[multus.Config] = field(default_factory=list)
    injectors: list[tuple[str, str]] = field(default_factory=list)
    """Configurations of network-resources-injector: the namespace, and the text."""
    policies: list[tuple[str, str]] = field(default_factory=list)
    records: dict[str, dict[str, str]] = field(default_factory=dict)
    """Namespace -> Pod -> the addresses that it had (see ``kept``)."""
    webhook: Object | None = None
    """The webhook configuration of podnet-compat."""
    items: list[Object] = field(default_factory=list)

    @property
    def pods(self) -> list[Carried]:
        """The Pods that hold networks."""
        return [one for one in self.carried if one.kind == "Pod" and not one.finished]

    def moved(self, namespace: str) -> bool:
        """Whether podnet attaches the new Pods of ``namespace``, beside Multus."""
        return labels(self.namespaces.get(namespace, {})).get(names.ATTACHED_BY) == names.PODNET

    @property
    def beside(self) -> bool:
        """Whether podnet-compat runs beside Multus: it is asked only about Pods of namespaces with the label."""
        hooks = (self.webhook or {}).get("webhooks")
        wanted = {names.ATTACHED_BY: names.PODNET}
        selectors = [as_object(as_object(hook).get("namespaceSelector")) for hook in as_list(hooks)]
        return any(selector.get("matchLabels") == wanted for selector in selectors)


def sort(items: Iterable[Object], namespace: str, texts: Mapping[str, str] | None = None) -> Inventory:
    """The inventory of ``items``; ``namespace`` is that of objects that do not say their own, ``texts`` are files that
    may be configurations of Multus."""
    made = Inventory(items=list(items))
    for item in made.items:
        _sort(made, item, namespace)
    made.multus += [found for name, text in (texts or {}).items() if (found := multus.find(name, text))]
    if made.beside:
        made.nads = {key: legacy.told(nad, names.PLUGINS) for key, nad in made.nads.items()}
    return made


def _sort(made: Inventory, item: Object, namespace: str) -> None:
    kind, group = str(item.get("kind") or ""), str(item.get("apiVersion") or "").rpartition("/")[0]
    meta = as_object(item.get("metadata"))
    name, space = str(meta.get("name") or ""), str(meta.get("namespace") or namespace)
    if kind == legacy.KIND:
        _nad(made, item, namespace)
    elif kind == POLICY:
        made.policies.append((space, name))
    elif (group, kind) == ("", "Namespace"):
        made.namespaces[name] = item
    elif (group, kind) == ("", "ConfigMap"):
        _config_map(made, item, space, name)
    elif kind == "MutatingWebhookConfiguration":
        made.webhook = item if name == WEBHOOK else made.webhook
    elif (group, kind) in workloads.PODS:
        _carried(made, item, workloads.PODS[(group, kind)], space, name)


def _nad(made: Inventory, item: Object, namespace: str) -> None:
    try:
        nad = legacy.nad(item, namespace)
    except InvalidError as error:
        made.broken.append(error)
    else:
        made.nads[nad.key] = nad


def _config_map(made: Inventory, item: Object, namespace: str, name: str) -> None:
    texts = {key: text for key, text in as_object(item.get("data")).items() if isinstance(text, str)}
    if name == "podnet-migration":
        made.records[namespace] = texts
        return
    if name == injector.NAME and injector.KEY in texts:
        made.injectors.append((namespace, texts[injector.KEY]))
        return
    found = [multus.find(f"ConfigMap {namespace}/{name}[{key}]", text) for key, text in texts.items()]
    made.multus += [one for one in found if one is not None]


def _carried(made: Inventory, item: Object, keys: tuple[str, ...], namespace: str, name: str) -> None:
    pod: Any = item
    for key in keys:
        pod = pod.get(key) if isinstance(pod, dict) else None
    if not isinstance(pod, dict):
        return
    meta = {**as_object(pod.get("metadata")), "name": name, "namespace": namespace}
    owner = _owner(item)
    made.carried.append(Carried(str(item["kind"]), namespace, name, {**pod, "metadata": meta}, ".".join(keys), owner))


def _owner(item: Object) -> str:
    owners = map(as_object, as_list(as_object(item.get("metadata")).get("ownerReferences")))
    found = [f"{one.get('kind')}/{one.get('name')}" for one in owners if one.get("controller")]
    return found[0] if found else ""


def labels(item: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels of an object."""
    return as_object(as_object(item.get("metadata")).get("labels"))


def as_object(value: object) -> dict[str, Any]:
    """``value`` if it is an object: a file may hold anything in its place."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """``value`` if it is a list."""
    return value if isinstance(value, list) else []
