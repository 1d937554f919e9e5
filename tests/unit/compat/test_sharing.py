"""NADs that take addresses out of one store: found, and given to the plugins where podnet would give one twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from podnet_api.meta import ObjectMeta
from podnet_compat import maker as makers
from podnet_compat import mirror as mirrors
from podnet_compat import names, sharing
from podnet_compat import store as stores
from podnet_compat.legacy import Nad, NadSpec
from podnet_tests.mirroring import until

W = {"type": "whereabouts", "range": "10.1.0.0/24"}
H = {"type": "host-local", "subnet": "10.1.0.0/24"}
FIRST = {"type": "macvlan", "master": "eth1", "ipam": W}
OTHER = {"type": "macvlan", "master": "eth2", "ipam": W}
PLUGINS = {"type": "mynet", "ipam": W}
NADS = "/apis/k8s.cni.cncf.io/v1/namespaces/test/network-attachment-definitions/{}"
CONFIG = "/apis/kni.multinetwork.x-k8s.io/v1alpha1/networkconfigs/{}"


def nad(config: Any, name: str = "net1", namespace: str = "test") -> Nad:
    text = config if isinstance(config, str) else json.dumps(config)
    return Nad(metadata=ObjectMeta(name=name, namespace=namespace), spec=NadSpec(config=text))


@pytest.mark.parametrize(
    ("config", "named", "ranges"),
    [
        (FIRST, "whereabouts", ["10.1.0.0/24"]),
        ({"type": "x", "ipam": {**W, "network_name": "red", "range": "010.1.0.5-10.1.0.9/24",
                                "ipRanges": [{"range": "fd00::1/64"}]}},
         "whereabouts red", ["10.1.0.0/24", "fd00::/64"]),
        ({"type": "x", "ipam": H}, "host-local /var/lib/cni/networks/net1", ["10.1.0.0/24"]),
        ({"name": "n", "plugins": [{"type": "x", "name": "m", "ipam": {**H, "dataDir": "/d", "ranges": [[
            {"subnet": "fd00::/64"}]]}}, {"type": "y"}]}, "host-local /d/n", ["10.1.0.0/24", "fd00::/64"]),
        ({"type": "x", "ipam": {"type": "dhcp"}}, "", []),
        ({"type": "x", "ipam": {"type": "whereabouts", "range": "x"}}, "", []),
        ("{", "", []),
        ("[]", "", []),
    ],
)  # fmt: skip
def test_the_store_of_a_nad(config: Any, named: str, ranges: list[str]) -> None:
    found = sharing.of(nad(config))
    assert (found.store if found else "", [str(r) for r in found.ranges] if found else []) == (named, ranges)


def ranged(text: str, name: str, **keys: Any) -> Nad:
    return nad({"type": "x", "ipam": {**W, "range": text, **keys}}, name)


def test_who_may_be_given_the_same_addresses() -> None:
    found = sharing.Stores()
    listed = {
        "a": ranged("10.1.0.0/24", "a"),
        "b": ranged("10.1.0.128/25", "b"),
        "c": ranged("10.0.0.0/8", "c"),
        "d": ranged("10.1.1.0/24", "d"),
        "e": ranged("10.1.0.0/24", "e", network_name="red"),
        "f": ranged("fd00::/64", "f"),
        "g": nad({"type": "x", "ipam": H}, "g"),
    }
    for one in listed.values():
        found.changed(None, one)

    def mates(name: str) -> str:
        return "".join(key[1] for key in found.mates(listed[name]))

    assert {name: mates(name) for name in listed} == {
        "a": "bc", "b": "ac", "c": "abd", "d": "c", "e": "", "f": "", "g": ""}  # fmt: skip
    found.changed(listed["c"], None)
    moved = ranged("10.1.1.0/25", "b")
    found.changed(listed["b"], moved)
    assert (mates("a"), mates("d")) == ("", "b")
    assert found.store(("test", "a")) == "whereabouts"


@pytest.fixture(autouse=True)
async def mirror(
    store: stores.Store, maker: makers.Maker, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[mirrors.Mirror]:
    monkeypatch.setattr(mirrors, "_BACKOFF", (0.02, 0.1))
    monkeypatch.setattr(mirrors, "SWEEP", 0.2)
    made = mirrors.Mirror(store, maker)
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def put(api: Any, name: str, config: Any) -> None:
    path = NADS.format(name)
    meta = api.objects.get(path, {}).get("metadata") or {"name": name, "namespace": "test", "uid": f"uid-{name}"}
    api.put(path, metadata=meta, spec={"config": json.dumps(config)})


def said(api: Any, name: str, key: str = names.TRANSLATION) -> str:
    return str(api.objects[NADS.format(name)]["metadata"].get("annotations", {}).get(key, ""))


def kind(api: Any, name: str) -> str:
    """The datapath that a NAD has now."""
    spec = api.objects.get(CONFIG.format(f"test.{name}"), {}).get("spec", {})
    return next((key for key in ("macvlan", "cni") if key in spec), "")


def use(api: Any, *networks: str) -> None:
    listed = json.dumps([{"podNetworkName": name} for name in networks])
    meta = {"name": "web", "namespace": "test", "annotations": {"multinetwork.x-k8s.io/networks": listed}}
    api.put("/api/v1/namespaces/test/pods/web", metadata=meta, status={"phase": "Running"})


async def test_equal_networks_share_one_pool(api: Any) -> None:
    put(api, "a", FIRST)
    put(api, "b", FIRST)
    await until(lambda: said(api, "a") == said(api, "b") == "ok")
    assert len(api.names("networkconfigs")) == 1
    assert kind(api, "a") + kind(api, "b") == "macvlan"


@pytest.mark.parametrize("second", [OTHER, PLUGINS])
async def test_of_two_sorts_the_plugins_attach_both(api: Any, second: Any) -> None:
    put(api, "a", FIRST)
    await until(lambda: said(api, "a") == "ok")
    put(api, "b", second)
    await until(lambda: kind(api, "a") == kind(api, "b") == "cni")
    await until(lambda: said(api, "a") == said(api, "b") == "ok")
    assert said(api, "a", names.ATTACH_WITH) == "plugins"


async def test_at_a_cold_start_too(api: Any) -> None:
    for number in range(6):
        put(api, f"n{number}", [FIRST, OTHER, PLUGINS][number % 3])
    await until(lambda: all(said(api, f"n{number}") == "ok" for number in range(6)), 15)
    assert {kind(api, name.removeprefix("test.")) for name in api.names("networkconfigs")} == {"cni"}


async def test_the_second_waits_while_pods_have_addresses_of_the_first(api: Any) -> None:
    put(api, "a", FIRST)
    await until(lambda: said(api, "a") == "ok")
    use(api, "test.a")
    put(api, "b", OTHER)
    await until(lambda: "its addresses are those of NetworkAttachmentDefinition test/a" in said(api, "b"))
    assert "while Pods use the network" in said(api, "a")
    assert (kind(api, "a"), kind(api, "b")) == ("macvlan", "")
    api.drop("/api/v1/namespaces/test/pods/web")
    await until(lambda: kind(api, "a") == kind(api, "b") == "cni")


async def test_an_edit_of_one_copy_waits_for_the_other(api: Any) -> None:
    for name in ("a", "b"):
        put(api, name, FIRST)
    await until(lambda: said(api, "a") == said(api, "b") == "ok")
    put(api, "a", OTHER)
    await until(lambda: "edit those as well" in said(api, "a"))
    assert said(api, "a", names.ATTACH_WITH) == ""
    put(api, "b", OTHER)
    await until(lambda: said(api, "a") == said(api, "b") == "ok")
    assert len(api.names("networkconfigs")) == 1


async def test_a_nad_that_is_to_be_native_stays_so(api: Any) -> None:
    put(api, "a", FIRST)
    meta = api.objects[NADS.format("a")]["metadata"]
    api.put(NADS.format("a"), metadata={**meta, "annotations": {names.ATTACH_WITH: names.NATIVE}})
    await until(lambda: said(api, "a") == "ok")
    put(api, "b", OTHER)
    await until(lambda: "does not let plugins do it" in said(api, "b"))
    assert (kind(api, "a"), kind(api, "b")) == ("macvlan", "")


async def test_stores_apart_are_left_alone(api: Any) -> None:
    put(api, "a", FIRST)
    put(api, "b", {**OTHER, "ipam": {**W, "network_name": "red"}})
    put(api, "c", {**OTHER, "ipam": H})
    await until(lambda: all(said(api, name) == "ok" for name in "abc"))
    assert [kind(api, name) for name in "abc"] == ["macvlan"] * 3
