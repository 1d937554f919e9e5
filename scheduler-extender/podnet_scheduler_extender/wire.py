"""The extender protocol of kube-scheduler (k8s.io/kube-scheduler/extender/v1) as far as it is needed.

JSON keys are Go names; inside the Pod they are those of the Kubernetes API. Everything may be absent or
null: what cannot be answered becomes a BadRequestError, never a crash. Called by ``app``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from msgspec import field
from podnet_api.errors import PodnetError


class BadRequestError(PodnetError):
    """What was posted cannot be answered."""


class Owner(msgspec.Struct, frozen=True):
    """What a Pod belongs to."""

    kind: str = ""
    name: str = ""
    controller: bool | None = None


class PodMeta(msgspec.Struct, frozen=True, rename="camel"):
    """Of the Pod's metadata."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    annotations: dict[str, str] | None = None
    owner_references: list[Owner] | None = None


class PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    """Of the Pod's spec."""

    host_network: bool = False


class Pod(msgspec.Struct, frozen=True, rename="camel"):
    """The Pod to place."""

    metadata: PodMeta = PodMeta()
    spec: PodSpec = PodSpec()

    def __str__(self) -> str:
        return f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def stateful_set(self) -> str:
        """The StatefulSet whose Pod it is, or ``""``."""
        owners = self.metadata.owner_references or []
        return next((o.name for o in owners if o.controller and o.kind == "StatefulSet"), "")

    def annotation(self, key: str) -> str | None:
        """The value of an annotation, or None."""
        return (self.metadata.annotations or {}).get(key)


class _Named(msgspec.Struct, frozen=True):
    metadata: PodMeta = PodMeta()


class NodeList(msgspec.Struct, frozen=True):
    """Whole Nodes, sent when nodeCacheCapable is false; handed back as they came."""

    items: list[msgspec.Raw] | None = None


_NULL = msgspec.Raw(b"null")


class Args(msgspec.Struct, frozen=True, rename="pascal"):
    """ExtenderArgs: of filter and prioritize."""

    pod: Pod | None = None
    nodes: NodeList | None = None
    node_names: msgspec.Raw = _NULL
    """A list of strings as it stands in the request; ``named_nodes`` reads it."""

    def says(self, names: bytes) -> bool:
        """Whether the request is about exactly these names, in this order."""
        return self.nodes is None and names != b"null" and bytes(self.node_names) == names


@dataclass(frozen=True)
class FilterResult:
    """ExtenderFilterResult, its parts as JSON. Its Error stays empty: it is for failures, not for "no node".

    What kube-scheduler posts to /prioritize next is ``names``, the same text. ``failed``: FailedNodes,
    ``unresolvable``: FailedAndUnresolvableNodes; both in pieces, for they may be large and are put together once.
    """

    names: bytes
    nodes: bytes
    failed: Sequence[bytes]
    unresolvable: Sequence[bytes]


class MetaPod(msgspec.Struct, frozen=True):
    """A victim by its uid."""

    uid: str = field(name="UID", default="")


class MetaVictims(msgspec.Struct, frozen=True):
    """The Pods that kube-scheduler would evict from a node."""

    pods: list[MetaPod] | None = field(name="Pods", default=None)
    violations: int = field(name="NumPDBViolations", default=0)


class Victims(msgspec.Struct, frozen=True):
    """The same as whole Pods, sent when nodeCacheCapable is false."""

    pods: list[_Named] | None = field(name="Pods", default=None)
    violations: int = field(name="NumPDBViolations", default=0)

    def meta(self) -> MetaVictims:
        """By uid."""
        return MetaVictims([MetaPod(pod.metadata.uid) for pod in self.pods or []], self.violations)


class PreemptionArgs(msgspec.Struct, frozen=True, rename="pascal"):
    """ExtenderPreemptionArgs."""

    pod: Pod | None = None
    node_name_to_victims: dict[str, Victims] | None = None
    node_name_to_meta_victims: dict[str, MetaVictims] | None = None

    def candidates(self) -> dict[str, MetaVictims]:
        """Victims by node."""
        if self.node_name_to_meta_victims is not None:
            return self.node_name_to_meta_victims
        return {node: victims.meta() for node, victims in (self.node_name_to_victims or {}).items()}


class PreemptionResult(msgspec.Struct, frozen=True, rename="pascal"):
    """ExtenderPreemptionResult: a node that is left out is no candidate any more."""

    node_name_to_meta_victims: dict[str, MetaVictims]


T = TypeVar("T", Args, PreemptionArgs)
_LAST_KEY, _LAST_END = b'"NodeNames":', b"]}"


def arguments(body: bytes) -> Args:
    """``body`` as ExtenderArgs. Raises BadRequestError.

    kube-scheduler puts the names last, and thousands of them are nearly all of a request. They are cut off and read
    by ``named_nodes`` alone: a decoder that only steps over them takes half as long as one that reads them.
    """
    start = body.find(_LAST_KEY + b"[")
    if start < 0 or body.find(b"]", start) != len(body) - len(_LAST_END) or not body.endswith(_LAST_END):
        return decode(body, Args)
    listed = start + len(_LAST_KEY)
    try:
        rest = decode(body[:listed] + b"null}", Args)
    except BadRequestError:  # the key stands deeper in the request, or the request is broken
        return decode(body, Args)
    return msgspec.structs.replace(rest, node_names=msgspec.Raw(body[listed:-1]))


def decode(body: bytes, kind: type[T]) -> T:
    """``body`` as ``kind``. Raises BadRequestError."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"cannot read the request of kube-scheduler: {error}") from error


def pod_of(args: Args | PreemptionArgs) -> Pod:
    """The Pod of a request. Raises BadRequestError when there is none or it cannot be told from others."""
    if args.pod is None:
        raise BadRequestError("cannot answer kube-scheduler: the request has no Pod")
    if not args.pod.metadata.uid:
        raise BadRequestError(f"cannot place Pod {args.pod}: it has no uid")
    return args.pod


def named_nodes(args: Args) -> list[str]:
    """The names of the nodes asked about. Raises BadRequestError."""
    if args.nodes is None or _has_names(args):
        return _names(bytes(args.node_names))
    return [name for name, _ in _items(args.nodes)]


def _has_names(args: Args) -> bool:
    return bytes(args.node_names) != b"null"


def _names(text: bytes) -> list[str]:
    try:
        return _NAMES.decode(text) or []
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(f"cannot read the NodeNames of kube-scheduler's request: {error}") from error


_NAMES = msgspec.json.Decoder(list[str] | None)


def _items(nodes: NodeList) -> list[tuple[str, msgspec.Raw]]:
    try:
        # What is stepped over is not checked by the decoder, and goes back as it came.
        return [(msgspec.json.decode(str(raw, "utf-8"), type=_Named).metadata.name, raw) for raw in nodes.items or []]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(f"cannot read the Nodes of kube-scheduler's request: {error}") from error


def by_name(args: Args) -> bool:
    """Whether the question names nodes: then the answer does; else whole Nodes are asked about and handed back."""
    return args.nodes is None or _has_names(args)


def fitting_nodes(args: Args, fitting: Collection[str]) -> bytes:
    """The whole Nodes of the request that are ``fitting``, as JSON. Raises BadRequestError."""
    kept = set(fitting)
    items = _items(args.nodes) if args.nodes else []
    return msgspec.json.encode(NodeList([raw for name, raw in items if name in kept]))


Join = Callable[[bytes], bytes]
"""Some nodes, at least one, as JSON strings: joins them by what is given."""


def listed(nodes: Join) -> bytes:
    """NodeNames as JSON."""
    return b"[" + nodes(b",") + b"]"


def failures(refused: Iterable[tuple[str, Join]]) -> list[bytes]:
    """FailedNodesMap as JSON, in pieces: sentences, each with its nodes."""
    pieces: list[bytes] = []
    for text, nodes in refused:
        tail = b":" + msgspec.json.encode(text)
        pieces += [b"," if pieces else b"{", nodes(tail + b","), tail]
    return [*(pieces or [b"{"]), b"}"]


def priorities(scored: Iterable[tuple[int, Join]]) -> bytes:
    """HostPriorityList as JSON: scores, 0 to 10, each with the nodes that have it."""
    return b"[" + b",".join(_scored(b',"Score":%d}' % score, nodes) for score, nodes in scored) + b"]"


def _scored(tail: bytes, nodes: Join) -> bytes:
    return b'{"Host":' + nodes(tail + b',{"Host":') + tail


def encode(answer: FilterResult | PreemptionResult) -> bytes:
    """``answer`` as JSON."""
    if not isinstance(answer, FilterResult):
        return msgspec.json.encode(answer)
    pieces = [b'{"NodeNames":', answer.names, b',"Nodes":', answer.nodes, b',"FailedNodes":', *answer.failed]
    return b"".join([*pieces, b',"FailedAndUnresolvableNodes":', *answer.unresolvable, b',"Error":""}'])
