"""The controller's pure parts as tables; the whole program runs in tests/apiserver."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from podnet_api import core, kni, multinetwork, names
from podnet_api.controller import conditions, usage
from podnet_api.controller.queue import Queue
from podnet_api.controller.store import Key, Store
from podnet_api.errors import KubeError
from podnet_api.meta import Condition, ObjectMeta

OURS = names.PROVIDER
REF = {"group": names.KNI_GROUP, "kind": "NetworkConfig", "name": "blue"}
Network, Attachment = multinetwork.PodNetwork, multinetwork.PodNetworkAttachment


def network(**more: Any) -> multinetwork.PodNetwork:
    status = more.pop("status", {})
    return msgspec.convert(
        {"metadata": {"name": "blue"}, "spec": {"provider": OURS, **more}, "status": status}, Network
    )


def config(**spec: Any) -> kni.NetworkConfig:
    return msgspec.convert({"metadata": {"name": "blue"}, "spec": spec}, kni.NetworkConfig)


def states(found: list[Condition]) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in found}


TRUE = {"conditions": [{"type": "ParamsReady", "status": "True", "reason": "Fine"}]}
READY = {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}
NOT_READY = ("False", "ParamsNotReady")
FINE = ("True", "Ready")


@pytest.mark.parametrize(
    ("item", "found", "expected"),
    [
        (network(parametersRefs=[REF]), config(bridge={}), {"Ready": FINE, "ParamsReady": FINE}),
        (network(parametersRefs=[REF], enabled=False), config(bridge={}),
         {"Ready": ("False", "AdministrativelyDisabled"), "ParamsReady": FINE}),
        (network(parametersRefs=[REF]), None, {"Ready": NOT_READY, "ParamsReady": ("False", "ParamsNotFound")}),
        (network(parametersRefs=[REF]), config(), {"Ready": NOT_READY, "ParamsReady": ("False", "ParamsInvalid")}),
        (network(), None, {"Ready": NOT_READY, "ParamsReady": ("False", "ParamsMissing")}),
        (network(parametersRefs=[REF, REF]), config(bridge={}),
         {"Ready": NOT_READY, "ParamsReady": ("False", "ParamsUnsupported")}),
        (network(provider="example.com/x"), None, {"Ready": FINE}),
        (network(provider="example.com/x", parametersRefs=[REF]), None, {"Ready": NOT_READY}),
        (network(provider="example.com/x", parametersRefs=[REF], status=TRUE), None, {"Ready": FINE}),
        (network(provider=names.CLUSTER_PROVIDER), None, {"Ready": FINE}),
    ],
)  # fmt: skip
def test_networks(
    item: multinetwork.PodNetwork, found: kni.NetworkConfig | None, expected: dict[str, tuple[str, str]]
) -> None:
    assert states(conditions.of_network(item, lambda _: found)) == expected


def attachment(*refs: dict[str, str], **status: Any) -> multinetwork.PodNetworkAttachment:
    spec = {"podNetworkName": "blue", "parametersRefs": list(refs)}
    return msgspec.convert({"metadata": {"name": "a", "namespace": "n"}, "spec": spec, "status": status}, Attachment)


OWN = {**REF, "kind": "AttachmentConfig"}
WAITS = ("False", "PodNetworkNotReady")


@pytest.mark.parametrize(
    ("item", "to", "spec", "expected"),
    [
        (attachment(), None, None, {"Ready": WAITS}),
        (attachment(), network(), None, {"Ready": WAITS}),
        (attachment(), network(status=READY), None, {"Ready": FINE}),
        (attachment(OWN), network(status=READY), {}, {"Ready": FINE, "ParamsReady": FINE}),
        (attachment(OWN), network(status=READY), None,
         {"Ready": NOT_READY, "ParamsReady": ("False", "ParamsNotFound")}),
        (attachment(OWN), network(status=READY), {"addresses": ["xyz"]},
         {"Ready": NOT_READY, "ParamsReady": ("False", "ParamsInvalid")}),
        (attachment(REF), network(status=READY), {},
         {"Ready": NOT_READY, "ParamsReady": ("False", "ParamsUnsupported")}),
        (attachment(OWN), network(provider="example.com/x", status=READY), {}, {"Ready": NOT_READY}),
        (attachment(OWN, **TRUE), network(provider="example.com/x", status=READY), {}, {"Ready": FINE}),
    ],
)  # fmt: skip
def test_attachments(
    item: multinetwork.PodNetworkAttachment,
    to: multinetwork.PodNetwork | None,
    spec: dict[str, Any] | None,
    expected: dict[str, tuple[str, str]],
) -> None:
    found = None if spec is None else msgspec.convert({"metadata": {}, "spec": spec}, kni.AttachmentConfig)
    assert states(conditions.of_attachment(item, to, lambda *_: found)) == expected


def test_time_moves_only_with_the_status() -> None:
    wanted = [Condition(type="Ready", status="True", reason="Ready")]
    first = conditions.merged([], wanted, 1, "then")
    assert (first[0].observed_generation, first[0].last_transition_time) == (1, "then")
    assert conditions.changed(first, conditions.merged(first, wanted, 1, "now")) == []
    [later] = conditions.merged(first, wanted, 2, "now")
    assert (later.observed_generation, later.last_transition_time) == (2, "then")
    [other] = conditions.merged(first, [Condition(type="Ready", status="False", reason="No")], 2, "now")
    assert other.last_transition_time == "now"


def pod(networks: str, phase: str = "Running", namespace: str = "n") -> core.Pod:
    meta = {"name": "p", "namespace": namespace, "annotations": {names.NETWORKS_ANNOTATION: networks}}
    return msgspec.convert({"metadata": meta, "status": {"phase": phase}}, core.Pod)


DIRECT, BY = '[{"podNetworkName":"blue"}]', '[{"podNetworkAttachmentName":"a"}]'


@pytest.mark.parametrize(
    ("found", "network_users", "attachment_users"),
    [
        (pod(DIRECT), ["Pod n/p"], []),
        (pod(DIRECT, "Pending"), ["Pod n/p"], []),
        (pod(DIRECT, "Succeeded"), [], []),
        (pod(DIRECT, "Failed"), [], []),
        (pod(BY), [], ["Pod n/p"]),
        (pod(BY, namespace="other"), [], []),
        (pod("nonsense"), [], []),
    ],
)
def test_users(found: core.Pod, network_users: list[str], attachment_users: list[str]) -> None:
    uses = usage.Uses([found])
    assert list(usage.users(BLUE, Store(), uses)) == network_users
    assert list(usage.users((Attachment, "n", "a"), Store(), uses)) == attachment_users


BLUE: Key = (Network, "", "blue")


def test_users_of_parameters() -> None:
    store, nobody = Store(), usage.Uses()
    store.put(attachment(OWN))
    store.put(network(parametersRefs=[REF]))

    def users(key: Key) -> list[str]:
        return list(usage.users(key, store, nobody))

    assert users(BLUE) == ["PodNetworkAttachment n/a"]
    assert users((kni.NetworkConfig, "", "blue")) == ["PodNetwork blue"]
    assert users((kni.NetworkConfig, "", "red")) == []
    assert users((kni.AttachmentConfig, "n", "blue")) == ["PodNetworkAttachment n/a"]
    assert users((kni.AttachmentConfig, "m", "blue")) == []
    store.drop(attachment(OWN))
    assert users(BLUE) == []


def test_what_turns_is_told_once() -> None:
    uses, first = usage.Uses(), pod(DIRECT)
    second = msgspec.structs.replace(first, metadata=msgspec.structs.replace(first.metadata, name="q"))
    gone = msgspec.structs.replace(second, status=core.PodStatus(phase="Failed"))
    told = [uses.learn(None, first), uses.learn(None, second), uses.learn(first, first), uses.learn(first, None)]
    assert told == [{BLUE}, set(), set(), set()]
    assert list(uses.of(BLUE)) == ["Pod n/q"]
    assert [uses.learn(second, gone), uses.learn(gone, None)] == [{BLUE}, set()]


def versioned(version: int, uid: str = "1") -> multinetwork.PodNetwork:
    meta = {"name": "blue", "resourceVersion": str(version), "uid": uid}
    return msgspec.convert({"metadata": meta, "spec": {"provider": OURS}}, Network)


def test_the_store_never_goes_back() -> None:
    store = Store()
    store.put(versioned(5))
    store.put(versioned(4))
    assert store.get(Network, "blue") == versioned(5)
    store.replace(Network, [versioned(4)], "4")
    assert store.get(Network, "blue") == versioned(5)
    store.replace(Network, [], "4")
    assert store.get(Network, "blue") == versioned(5), "made after the list"
    store.replace(Network, [], "6")
    assert store.get(Network, "blue") is None
    store.put(versioned(7, "2"))
    store.drop(versioned(6, "1"))
    assert store.get(Network, "blue") == versioned(7, "2"), "another object of the same name"


async def test_the_queue_asks_once_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podnet_api.controller.queue.RETRY", (0.01, 0.02))
    queue, seen, done = Queue[str](), list[str](), asyncio.Event()

    async def work(key: str) -> None:
        seen.append(key)
        if seen.count("bad") == 4:
            done.set()
        if key == "bad" and seen.count("bad") < 4:
            raise KubeError("cannot do it")

    for key in ("good", "bad", "good"):
        queue.add(key)
    task = asyncio.create_task(queue.run(work))
    async with asyncio.timeout(5):
        await done.wait()
    task.cancel()
    assert seen.count("good") == 1


def test_of_a_pod_only_what_is_read_is_kept() -> None:
    notes = {names.NETWORKS_ANNOTATION: '[{"podNetworkName":"blue"}]', names.STATUS_ANNOTATION: "[]", "other": "x" * 9}
    meta = ObjectMeta(name="a", namespace="b", uid="u", resource_version="7", labels={"c": "d"}, annotations=notes)
    pod = core.Pod(metadata=meta, spec=core.PodSpec(node_name="n"), status=core.PodStatus(phase="Running"))
    kept = usage.needed(pod)
    assert usage.named(kept) == usage.named(pod) != frozenset()
    assert (kept.metadata.labels, set(kept.metadata.annotations)) == ({}, {*notes} - {"other"})
    assert (kept.spec.node_name, kept.finished, kept.metadata.resource_version) == ("n", False, "7")
