"""Admission beside Multus: a Pod leaves its sight, members of StatefulSets ask for what they had."""

from __future__ import annotations

import json
from typing import Any

import pytest
from podnet_api import names as api_names
from podnet_api import networks
from podnet_api.admission import Allow, Deny, Request
from podnet_compat import names
from podnet_compat import store as stores
from podnet_compat.maker import Maker
from podnet_compat.migrate import kept
from podnet_compat.pod import Policy
from podnet_compat.webhook import Webhook

NAD = "/apis/k8s.cni.cncf.io/v1/namespaces/test/network-attachment-definitions/net1"
NOTED = f"/api/v1/namespaces/test/configmaps/{kept.NAME}"
BRIDGE = {"type": "bridge", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}
OWNER = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u", "controller": True}
MOVED = names.MOVED[names.NETWORKS]


def ask(annotations: dict[str, str], name: str = "db-0", owned: bool = True, **spec: Any) -> Request:
    meta = {"name": name, "annotations": annotations, "ownerReferences": [OWNER] if owned else []}
    return Request(
        "1", "CREATE", "me", "test", name, {"metadata": meta, "spec": {"containers": []} | spec}, None, False
    )


@pytest.fixture
def hook(api: Any, store: stores.Store, maker: Maker) -> Webhook:
    api.put(NAD, metadata={"name": "net1", "namespace": "test", "uid": "u"}, spec={"config": json.dumps(BRIDGE)})
    return Webhook(store, maker, Policy())


def changed(answer: Allow | Deny, before: dict[str, str]) -> dict[str, str]:
    """The annotations after the answer."""
    assert isinstance(answer, Allow), answer
    made = dict(before)
    for op in answer.patch:
        key = op["path"].removeprefix("/metadata/annotations/").replace("~1", "/")
        if op["op"] == "remove":
            del made[key]
        else:
            made[key] = op["value"]
    return made


async def test_multus_sees_nothing_and_podnet_all(hook: Webhook) -> None:
    before = {names.NETWORKS: "net1@x0", "other": "y"}
    after = changed(await hook.take_pod(ask(before)), before)
    assert set(after) == {"other", MOVED, names.TRANSLATED, api_names.NETWORKS_ANNOTATION}
    assert after[MOVED] == "net1@x0"
    assert [n.interface_name for n in networks.parse(after[api_names.NETWORKS_ANNOTATION])] == ["eth0", "x0"]
    again = await hook.take_pod(ask(after))
    assert again == Allow()


@pytest.mark.parametrize("text", ["", "[]"])
async def test_a_pod_without_networks_leaves_all_the_same(hook: Webhook, text: str) -> None:
    before = {names.NETWORKS: text}
    assert changed(await hook.take_pod(ask(before)), before) == {MOVED: text}


async def test_a_list_of_the_users_own_stays(hook: Webhook) -> None:
    before = {names.NETWORKS: "net1", api_names.NETWORKS_ANNOTATION: '[{"podNetworkName":"default"}]'}
    answer = await hook.take_pod(ask(before))
    after = changed(answer, before)
    assert after == {MOVED: "net1", api_names.NETWORKS_ANNOTATION: before[api_names.NETWORKS_ANNOTATION]}
    assert isinstance(answer, Allow)
    assert "has no effect beside" in answer.warnings[0]


async def test_pods_that_have_no_interfaces_of_their_own_are_left(hook: Webhook) -> None:
    assert await hook.take_pod(ask({names.NETWORKS: "net1"}, hostNetwork=True)) == Allow()
    assert await hook.take_pod(ask({names.NETWORKS: "net1", names.MIRROR_POD: "x"})) == Allow()


async def test_refused_rather_than_left_to_multus(hook: Webhook) -> None:
    assert isinstance(await hook.take_pod(ask({names.NETWORKS: "net9"})), Deny)
    again = await hook.take_pod(ask({names.NETWORKS: "net1", MOVED: "net1"}))
    assert isinstance(again, Deny)
    assert "another webhook wrote it after podnet" in str(again.faults[0])


def asked(api: Any) -> list[list[str]]:
    """The addresses that attachments ask for."""
    return [item["spec"]["addresses"] for path, item in api.objects.items() if "/attachmentconfigs/" in path]


async def test_a_member_asks_for_what_it_had(api: Any, hook: Webhook) -> None:
    had = kept.written([kept.Had(network="test/net1", interface="net1", ips=["10.1.0.7"])])
    api.put(NOTED, metadata={"name": kept.NAME, "namespace": "test"}, data={"db-0": had})
    await hook.take_pod(ask({names.NETWORKS: "net1"}))
    assert asked(api) == [["10.1.0.7"]]
    await hook.take_pod(ask({names.NETWORKS: "net1"}, name="db-1"))
    await hook.take_pod(ask({names.NETWORKS: "net1"}, owned=False))
    assert asked(api) == [["10.1.0.7"]]


async def test_only_addresses_that_a_plugin_can_be_asked_for(api: Any, hook: Webhook) -> None:
    had = kept.written([kept.Had(network="test/net1", interface="net1", ips=["10.1.0.7", "10.1.0.8"])])
    api.put(NOTED, metadata={"name": kept.NAME, "namespace": "test"}, data={"db-0": had})
    await hook.take_pod(ask({names.NETWORKS: "net1"}))
    assert asked(api) == []


async def test_without_notes(api: Any, hook: Webhook) -> None:
    await hook.take_pod(ask({names.NETWORKS: "net1"}))
    assert asked(api) == []


async def test_nads_are_attached_by_plugins_where_the_program_says_so(api: Any) -> None:
    store = stores.Store(api, names.PLUGINS)
    api.put(NAD, metadata={"name": "net1", "namespace": "test", "uid": "u"}, spec={"config": json.dumps(BRIDGE)})
    found = await store.nad("test", "net1")
    assert found is not None
    assert found.metadata.annotations[names.ATTACH_WITH] == names.PLUGINS
