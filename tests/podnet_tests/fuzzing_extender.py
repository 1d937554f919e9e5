"""What kube-scheduler may post to the extender: every verb answers in JSON, or refuses with a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable

from podnet_api import names
from podnet_scheduler_extender import wire
from podnet_scheduler_extender.extender import Extender
from podnet_scheduler_extender.fake import NAMESPACE, Cluster, listed


def cluster() -> Cluster:
    """One network on three nodes, a pool that is small."""
    made = Cluster()
    made.config("blue", {"cidr": "10.0.0.0/30"})
    made.network("blue")
    for node in "abc":
        made.node(node, "blue", capacity=2)
    return made


def answers(extender: Extender, body: bytes) -> list[bytes]:
    """Of all verbs; a refusal counts as one when it is a sentence."""
    verbs: list[Callable[[], bytes]] = [
        lambda: wire.encode(extender.filter(wire.arguments(body))),
        lambda: extender.prioritize(wire.arguments(body)),
        lambda: wire.encode(extender.preempt(wire.decode(body, wire.PreemptionArgs))),
    ]
    return [_answer(verb) for verb in verbs]


def _answer(verb: Callable[[], bytes]) -> bytes:
    try:
        return verb()
    except wire.BadRequestError as error:
        return json.dumps(str(error)).encode() if str(error).startswith("cannot ") else b"not a sentence"


_KNOWN = cluster().extender


def requests(data: bytes) -> None:
    """One request to each verb."""
    for answer in answers(_KNOWN, data):
        json.loads(answer)


def _seeds() -> list[bytes]:
    meta = {"name": "p", "namespace": NAMESPACE, "uid": "u", "annotations": {names.NETWORKS_ANNOTATION: "%s"}}
    pod = {"metadata": meta, "spec": {"hostNetwork": False}}
    victims = {"Pods": [{"UID": "v"}], "NumPDBViolations": 1}
    whole = {"items": [{"metadata": {"name": name}} for name in "ab"]}
    bodies = [
        {"Pod": pod, "Nodes": None, "NodeNames": ["a", "b", "ghost"]},
        {"Pod": pod, "Nodes": whole, "NodeNames": None},
        {"Pod": pod, "NodeNameToVictims": None, "NodeNameToMetaVictims": {"a": victims, "b": {"Pods": None}}},
        {"Pod": pod, "NodeNameToVictims": {"a": {"Pods": [{"metadata": {"uid": "v"}}]}}},
    ]
    lists = [json.dumps(listed(networks))[1:-1] for networks in (["blue"], ["default"], ["blue", "none"])]
    return [json.dumps(body, separators=(",", ":")).replace("%s", one).encode() for body in bodies for one in lists]


SEEDS = _seeds()
WORDS = (b'"NodeNames":[', b'"NodeNames":null', b'"Pod":', b"]}", b"null", b'""', b"[[[", b"1e400", b"\\ud800", b"\xff")
