"""Admission and the collector against an API server in memory: answers, what is made, what is left alone."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest
from podnet_api import names as api_names
from podnet_api import networks
from podnet_api.admission import Allow, Deny, Request
from podnet_api.errors import KubeError
from podnet_compat import collector, keeper, names
from podnet_compat import pod as pods
from podnet_compat import store as stores
from podnet_compat.maker import Maker
from podnet_compat.pod import Policy
from podnet_compat.webhook import Webhook

NAD = "/apis/k8s.cni.cncf.io/v1/namespaces/test/network-attachment-definitions/net1"
BRIDGE = {"type": "bridge", "bridge": "br1", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}
WITH_MAC = '[{"name":"net1","mac":"02:00:00:00:00:01"}]'
POD = "/api/v1/namespaces/test/pods/web"


def ask(text: str | None, others: dict[str, str] | None = None, *, dry_run: bool = False) -> Request:
    given = {**(others or {}), **({} if text is None else {names.NETWORKS: text})}
    item = {"metadata": {"generateName": "web-", "annotations": given, "labels": None}, "spec": {"containers": []}}
    return Request("1", "CREATE", "me", "test", "web-", item, None, dry_run)


@pytest.fixture
def hook(api: Any, store: stores.Store, maker: Maker) -> Webhook:
    api.put(NAD, metadata={"name": "net1", "namespace": "test", "uid": "u"}, spec={"config": json.dumps(BRIDGE)})
    return Webhook(store, maker, Policy())


def patched(answer: Allow | Deny) -> dict[str, str]:
    assert isinstance(answer, Allow), answer
    keys = [op["path"].removeprefix("/metadata/annotations/").replace("~1", "/") for op in answer.patch]
    assert all(op["op"] == "add" for op in answer.patch)
    return dict(zip(keys, [op["value"] for op in answer.patch], strict=True))


async def test_a_pod_gets_its_list_and_the_objects_are_there(api: Any, hook: Webhook) -> None:
    added = patched(await hook.mutate_pod(ask("net1,net1")))
    assert [n.pod_network_name for n in networks.parse(added[api_names.NETWORKS_ANNOTATION])] == [
        "default", "test.net1", "test.net1-2"]  # fmt: skip
    assert names.NETWORKS not in added
    assert api.names("podnetworks") == ["test.net1", "test.net1-2"]
    assert api.names("networkconfigs") == ["test.net1"]


async def test_parameters_become_an_attachment_that_replicas_share(api: Any, hook: Webhook) -> None:
    first, second = [patched(await hook.mutate_pod(ask(WITH_MAC))) for _ in range(2)]
    assert first == second
    [name] = api.names("podnetworkattachments")
    assert api.names("attachmentconfigs") == [name]
    assert networks.parse(first[api_names.NETWORKS_ANNOTATION])[1].pod_network_attachment_name == name


async def test_a_dry_run_makes_nothing(api: Any, hook: Webhook) -> None:
    assert patched(await hook.mutate_pod(ask(WITH_MAC, dry_run=True)))
    assert api.requests == []


async def test_a_second_invocation_changes_nothing_or_follows_the_annotation(hook: Webhook) -> None:
    first = patched(await hook.mutate_pod(ask("net1")))
    assert patched(await hook.mutate_pod(ask("net1", first))) == first
    changed = patched(await hook.mutate_pod(ask("net1@x0", first)))
    assert "x0" in changed[api_names.NETWORKS_ANNOTATION]


async def test_a_list_of_the_users_own_stays(hook: Webhook) -> None:
    own = {api_names.NETWORKS_ANNOTATION: '[{"podNetworkName":"default"}]'}
    answer = await hook.mutate_pod(ask("net1", own))
    assert isinstance(answer, Allow)
    assert answer.patch == []
    assert "has no effect beside" in answer.warnings[0]


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("net1,", "", "comma"),
        ("absent", "[0].name", "cannot find a network-attachment-definition (absent) in namespace (test)"),
        ('[{"name":"net1","mac":"x"}]', "[0].mac", "6 bytes"),
    ],
)
async def test_a_fault_is_denied_with_its_field(api: Any, hook: Webhook, text: str, path: str, words: str) -> None:
    answer = await hook.mutate_pod(ask(text))
    assert isinstance(answer, Deny)
    assert (answer.kind, answer.name) == ("Pod", "web-")
    assert [fault.path for fault in answer.faults] == [f"metadata.annotations[{names.NETWORKS}]{path}"]
    assert words in answer.message
    assert api.requests == []


async def test_an_api_server_that_fails_is_no_allowance(api: Any, hook: Webhook) -> None:
    api.broken = True
    with pytest.raises(KubeError):
        await hook.mutate_pod(ask(WITH_MAC))


async def test_a_taken_name_is_no_allowance(api: Any, hook: Webhook) -> None:
    await hook.mutate_pod(ask(WITH_MAC))
    [path] = [path for path in api.objects if "podnetworkattachments" in path]
    api.put(path, spec={"podNetworkName": "another"})
    await asyncio.sleep(0.05)
    with pytest.raises(KubeError, match="somebody else made it"):
        await hook.mutate_pod(ask(WITH_MAC))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (json.dumps(BRIDGE), []),
        ('{"type":"sriov"}', ["CNI plugins of the nodes"]),
        ('{"type":5}', ["not translated for podnet"]),
        ("{", ["line 1"]),
    ],
)  # fmt: skip
async def test_nads_are_warned_of_and_never_denied(hook: Webhook, config: str, words: list[str]) -> None:
    item = {"metadata": {"name": "x"}, "spec": {"config": config}}
    answer = await hook.validate_nad(Request("1", "CREATE", "me", "test", "x", item, None, False))
    assert isinstance(answer, Allow)
    assert answer.patch == []
    assert len(answer.warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, answer.warnings, strict=True))


async def make_old(api: Any, hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> str:
    added = patched(await hook.mutate_pod(ask(WITH_MAC)))
    monkeypatch.setattr(collector, "GRACE", 0.0)
    return added[api_names.NETWORKS_ANNOTATION]


async def test_unused_attachments_are_collected(
    api: Any, hook: Webhook, store: stores.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = await make_old(api, hook, monkeypatch)
    api.put(POD, metadata={"name": "web", "namespace": "test", "annotations": {api_names.NETWORKS_ANNOTATION: listed}})
    await collector.collect(store)
    assert len(api.names("podnetworkattachments")) == 1
    api.put(POD, status={"phase": "Failed"})
    for _ in range(2):
        await collector.collect(store)
        await asyncio.sleep(0.05)
    assert api.names("podnetworkattachments") == api.names("attachmentconfigs") == []


async def test_what_was_asked_for_lately_is_not_collected(api: Any, hook: Webhook, store: stores.Store) -> None:
    await hook.mutate_pod(ask(WITH_MAC))
    await collector.collect(store)
    assert len(api.names("podnetworkattachments")) == len(api.names("attachmentconfigs")) == 1


async def test_a_mark_set_meanwhile_saves_an_attachment(
    api: Any, hook: Webhook, store: stores.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_old(api, hook, monkeypatch)
    [path] = [path for path in api.objects if "podnetworkattachments" in path]
    [known] = list(store.attachments)
    api.objects[path]["metadata"]["resourceVersion"] = "changed"
    assert not await store.delete_unchanged(known)
    assert path in api.objects


async def test_a_stale_mark_is_renewed(api: Any, hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    await hook.mutate_pod(ask(WITH_MAC))
    monkeypatch.setattr(keeper, "FRESH", 0.0)
    api.requests.clear()
    await hook.mutate_pod(ask(WITH_MAC))
    assert [method for method, _ in api.requests].count("PATCH") == 2


def changed(
    text: str | None, *, ours: bool = True, listed: tuple[networks.Network, ...] = pods.ONLY_DEFAULT
) -> Request:
    """The edit of a Pod that exists, with a list of ours or none."""
    own = {api_names.NETWORKS_ANNOTATION: networks.encode(listed), names.TRANSLATED: pods.mark(listed)}
    request = ask(text, own if ours else {})
    return dataclasses.replace(request, operation="UPDATE", old_object=request.object)


async def test_an_edited_annotation_changes_the_list_of_a_running_pod(hook: Webhook) -> None:
    """ib-kubernetes edits it after admission; users plug networks in and out."""
    added = patched(await hook.mutate_pod(changed("net1")))
    listed = networks.parse(added[api_names.NETWORKS_ANNOTATION])
    assert [n.pod_network_name for n in listed] == ["default", "test.net1"]
    assert added[names.TRANSLATED] == pods.mark(listed)
    for text in ("", "[]", None):
        added = patched(await hook.mutate_pod(changed(text, listed=listed)))
        assert networks.parse(added[api_names.NETWORKS_ANNOTATION]) == pods.ONLY_DEFAULT


async def test_a_running_pod_that_somebody_else_attached_stays_theirs(api: Any, hook: Webhook) -> None:
    assert await hook.mutate_pod(changed("net1", ours=False)) == Allow()
    assert api.names("podnetworks") == []


async def test_a_broken_edit_is_refused(hook: Webhook) -> None:
    assert isinstance(await hook.mutate_pod(changed("net1,")), Deny)


async def test_devices_are_asked_for_where_that_is_wanted(api: Any, store: stores.Store, maker: Maker) -> None:
    meta = {"name": "net1", "namespace": "test", "uid": "u", "annotations": {names.RESOURCE_NAME: "intel.com/vf"}}
    api.put(NAD, metadata=meta, spec={"config": '{"type":"host-device"}'})
    request = ask("net1,net1")
    request.object["spec"]["containers"] = [{"name": "app"}]
    quiet = await Webhook(store, maker, Policy()).mutate_pod(request)
    eager = await Webhook(store, maker, Policy(inject=True)).mutate_pod(request)
    assert isinstance(quiet, Allow)
    assert isinstance(eager, Allow)
    added = [step for step in eager.patch if step not in quiet.patch]
    assert added[0]["path"] == "/spec/containers/0/resources"
    assert added[0]["value"]["limits"] == added[0]["value"]["requests"] == {"intel.com/vf": "2"}
    running = dataclasses.replace(
        changed("net1,net1"), object={**changed("net1,net1").object, "spec": request.object["spec"]}
    )
    again = await Webhook(store, maker, Policy(inject=True)).mutate_pod(running)
    assert isinstance(again, Allow)
    assert all(step["path"].startswith("/metadata/") for step in again.patch)


async def test_beside_a_multus_an_edit_changes_nothing(hook: Webhook) -> None:
    assert await hook.take_pod(changed("net1", ours=False)) == Allow()
