"""Pods as tables: the native list, attachments shared by their content, and faults in the user's own terms."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podnet_api import core, networks
from podnet_api import names as api_names
from podnet_api.errors import InvalidError
from podnet_api.meta import ObjectMeta
from podnet_compat import annotation, names
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad, NadSpec

HOST_LOCAL = {"type": "host-local", "subnet": "10.1.0.0/24"}


def make_nad(config: Any, name: str = "net1", namespace: str = "test", **annotations: str) -> Nad:
    text = config if isinstance(config, str) or config is None else json.dumps(config)
    meta = ObjectMeta(name=name, namespace=namespace, annotations=annotations, uid=f"uid-{name}")
    return Nad(metadata=meta, spec=NadSpec(config=text))


def bridge(ipam: Any = None, **keys: Any) -> dict[str, Any]:
    return {
        "cniVersion": "0.3.1",
        "type": "bridge",
        "bridge": "br1",
        "ipam": HOST_LOCAL if ipam is None else ipam,
        **keys,
    }


def macvlan(ipam: Any = None, **keys: Any) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "type": "macvlan",
        "master": "eth1",
        "ipam": HOST_LOCAL if ipam is None else ipam,
        **keys,
    }


def make_pod(
    annotation: str | None = None, others: dict[str, str] | None = None, *, host_network: bool = False
) -> core.Pod:
    given = {**(others or {}), **({} if annotation is None else {names.NETWORKS: annotation})}
    meta = ObjectMeta(name="web", namespace="test", annotations=given)
    return core.Pod(metadata=meta, spec=core.PodSpec(host_network=host_network))


Translate = Callable[..., pods.Translation]


@pytest.fixture
def translate() -> Translate:
    """A Pod's annotation against the NADs a, b, c of its namespace and ``shared`` of default."""
    known = {(n.metadata.namespace, n.metadata.name): n for n in (
        make_nad(bridge(), "a"), make_nad(macvlan(), "b"), make_nad(bridge({}), "c"),
        make_nad(bridge(), "shared", "default"), make_nad({"type": "a/b"}, "vf"))}  # fmt: skip

    def run(annotation: str, *more: Nad, policy: pods.Policy | None = None) -> pods.Translation:
        table = {**known, **{nad.key: nad for nad in more}}
        wanted = pods.read(make_pod(annotation), "test", policy)
        return pods.translate(wanted, lambda namespace, name: table.get((namespace, name)))

    return run


STATIC = {"type": "static", "addresses": [{"address": "10.1.0.5/24"}]}
DUAL = {**HOST_LOCAL, "ranges": [[{"subnet": "fd00::/64"}]]}
WITH_IPS = {"capabilities": {"ips": True, "mac": True}}


def rows(made: pods.Translation) -> list[tuple[str, str]]:
    """(network or attachment's network, interface) of each entry."""
    through = {pair.name: pair.attachment.spec.pod_network_name + "*" for pair in made.attachments}
    return [(n.pod_network_name or through[n.pod_network_attachment_name], n.interface_name) for n in made.networks]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [("test.a", "net1")]),
        ("a,b", [("test.a", "net1"), ("test.b", "net2")]),
        ("default/shared@eth1, a", [("default.shared", "eth1"), ("test.a", "net2")]),
        ('[{"name":"a","interface":"x0"},{"name":"b"}]', [("test.a", "x0"), ("test.b", "net2")]),
        ("a,a,a", [("test.a", "net1"), ("test.a-2", "net2"), ("test.a-3", "net3")]),
        ('[{"name":"a","mac":"02:00:00:00:00:01"}]', [("test.a*", "net1")]),
        ('[{"name":"a","ips":["10.1.0.9"]},{"name":"a","ips":["10.1.0.8/24"]}]',
         [("test.a*", "net1"), ("test.a-2*", "net2")]),
    ],
)  # fmt: skip
def test_list(translate: Translate, text: str, expected: list[tuple[str, str]]) -> None:
    made = translate(text)
    assert rows(made) == [("default", "eth0"), *expected]
    assert networks.parse(networks.encode(made.networks)) == made.networks


@pytest.mark.parametrize("text", ["", "[]"])
def test_no_networks(translate: Translate, text: str) -> None:
    assert translate(text) == pods.Translation(())


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("absent", "[0].name", "cannot find a network-attachment-definition (absent) in namespace (test)"),
        ("vf", "[0].name", 'spec.config.type: '),
        ('[{"name":"a","interface":"net2"},{"name":"b"}]', "[1].interface", "by its place: set 'interface'"),
        ("a@x0,b@x0", "[1].interface", "is the interface of metadata.annotations"),
        ("a@eth0", "[0].interface", "the default network"),
        (",".join(["a"] * 32), "", "at most 31 entries"),
        ('[{"name":"a","ips":["10.2.0.9"]}]', "[0].ips[0]", "which are of 10.1.0.0/24"),
        ('[{"name":"a","ips":["10.1.0.1"]}]', "[0].ips[0]", "not an address that the NAD gives"),
        ('[{"name":"a","ips":["10.1.0.9/16"]}]', "[0].ips[0]", "prefix length of the range, 24"),
        ('[{"name":"a","ips":["10.1.0.9","10.1.0.8"]}]', "[0].ips", "one address per family"),
        ('[{"name":"c","ips":["10.1.0.9"]}]', "[0].ips[0]", "has no IPAM"),
        ('[{"name":"a","default-route":["10.1.0.2"]}]', "[0].default-route[0]", "10.1.0.1"),
        ('[{"name":"c","default-route":["10.1.0.1"]}]', "[0].default-route[0]", "it has none"),
        ('[{"name":"a","default-route":["10.1.0.1"]},{"name":"b","default-route":["10.1.0.1"]}]',
         "[1].default-route", "ECMP"),
    ],
)  # fmt: skip
def test_refuses(translate: Translate, text: str, path: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        translate(text)
    assert caught.value.subject == "Pod test/web"
    assert [fault.path for fault in caught.value.faults] == [annotation.PATH + path]
    assert words in str(caught.value.faults[0])


def test_a_comma_list_with_a_comma_too_many_names_it(translate: Translate) -> None:
    with pytest.raises(InvalidError, match="ends in a comma"):
        translate("a,b,")


@pytest.mark.parametrize(
    ("config", "entry", "addresses"),
    [
        (bridge(), {"ips": ["10.1.0.9"]}, ["10.1.0.9"]),
        (bridge(DUAL), {"ips": ["10.1.0.9", "fd00::9/64"]}, ["10.1.0.9", "fd00::9/64"]),
        (macvlan({"type": "whereabouts", "range": "10.1.0.0/24"}), {"ips": ["10.1.0.9/24"]}, ["10.1.0.9/24"]),
        (bridge(STATIC), {}, ["10.1.0.5/24"]),
        (bridge(STATIC), {"ips": ["fd00::9/64"]}, ["10.1.0.5/24", "fd00::9/64"]),
        (bridge(STATIC, **WITH_IPS), {"ips": ["10.1.0.7/24"]}, ["10.1.0.7/24"]),
        (bridge({"type": "static"}), {"ips": ["10.1.0.7/24"]}, ["10.1.0.7/24"]),
    ],
)
def test_addresses(translate: Translate, config: Any, entry: dict[str, Any], addresses: list[str]) -> None:
    made = translate(json.dumps([{"name": "x", **entry}]), make_nad(config, "x"))
    [pair] = made.attachments
    assert pair.config.spec.addresses == addresses
    assert pair.attachment.spec.parameters_refs[0].name == pair.config.metadata.name == pair.name


@pytest.mark.parametrize(
    ("config", "entry", "path", "words"),
    [
        (bridge(DUAL), {"ips": ["10.1.0.9"]}, ".ips", "leaves out IPv6"),
        (bridge(STATIC), {"ips": ["10.1.0.7/24"]}, ".ips", "one address per family"),
        (bridge(STATIC, **WITH_IPS), {"ips": ["10.1.0.7"]}, ".ips[0]", "wants a prefix length"),
    ],
)
def test_addresses_refused(translate: Translate, config: Any, entry: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        translate(json.dumps([{"name": "x", **entry}]), make_nad(config, "x"))
    assert [fault.path for fault in caught.value.faults] == [f"{annotation.PATH}[0]{path}"]
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "said"), [({}, ["ips", "mac"]), (WITH_IPS, []), ({"capabilities": {"mac": True}}, ["ips"])]
)
def test_undeclared_capabilities_are_warned_of(translate: Translate, keys: dict[str, Any], said: list[str]) -> None:
    text = json.dumps([{"name": "x", "ips": ["10.1.0.9"], "mac": "02:00:00:00:00:01"}])
    made = translate(text, make_nad(bridge(**keys), "x"))
    assert [warning.split(": ")[0] for warning in made.warnings] == [f"{annotation.PATH}[0].{key}" for key in said]


def test_equal_parameters_share_an_attachment_and_others_do_not(translate: Translate) -> None:
    text = '[{"name":"a","mac":"02:00:00:00:00:01"}]'
    other = '[{"name":"a","mac":"02:00:00:00:00:02"}]'
    [one], [same], [different] = (translate(t).attachments for t in (text, text.replace(":00:", ":00:"), other))
    assert one == same
    assert one.name != different.name
    assert one.name.startswith("a-")
    assert one.attachment.metadata.namespace == "test"


def test_default_routes(translate: Translate) -> None:
    text = json.dumps([{"name": "x", "default-route": ["10.1.0.1"]}, {"name": "x", "default-route": ["fd00::1"]}])
    made = translate(text, make_nad(bridge(DUAL), "x"))
    assert [(n.is_default_gw4, n.is_default_gw6) for n in made.networks] == [
        (False, False),
        (True, False),
        (False, True),
    ]


def test_a_further_use_avoids_the_name_of_another_nad(translate: Translate) -> None:
    made = translate("a,a", make_nad(bridge(), "a-2"))
    assert made.networks[2].pod_network_name == names.further("test", "a", 2, taken=True) != "test.a-2"
    wanted = pods.read(make_pod("a,a"), "test")
    assert pods.further_candidates(wanted.selections) == {("test", "a"), ("test", "a-2")}


ISOLATION = (
    "namespace isolation enabled, annotation violates permission, "
    "pod is in namespace test but refers to target namespace other"
)


@pytest.mark.parametrize(("text", "message"), [("a", ""), ("default/shared", ""), ("other/x", ISOLATION)])
def test_isolation(translate: Translate, text: str, message: str) -> None:
    policy = pods.Policy(isolated=True)
    if not message:
        translate(text, policy=policy)
        return
    with pytest.raises(InvalidError, match=message):
        translate(text, policy=policy)


DEFAULT_PATH = "metadata.annotations[v1.multus-cni.io/default-network]"


def in_place_of_default(text: str, networks: str | None, *nads: Nad) -> pods.Translation:
    known = {nad.key: nad for nad in nads}
    wanted = pods.read(make_pod(networks, {names.DEFAULT_NETWORK: text}), "test", pods.Policy(isolated=True))
    return pods.translate(wanted, lambda namespace, name: known.get((namespace, name)))


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("", "", "must name one network"),
        ("[]", "", "must name one network"),
        ("a,b", "", "must name one network"),
        ("a,", "", "ends in a comma"),
        ('{"name":"a"}', "", "put the object in [ ]"),
        ("[null]", "[0]", "JSON object"),
        ("[", "", "not JSON"),
        ("absent", "[0].name", "(absent) in namespace (kube-system)"),
    ],
)
def test_a_default_network_that_cannot_be(text: str, path: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        in_place_of_default(text, None)
    [fault] = caught.value.faults
    assert fault.path == DEFAULT_PATH + path
    assert words in str(fault)


@pytest.mark.parametrize("text", ["a", "kube-system/a", '[{"name":"a"}]', "a@eth0"])
def test_a_default_network_has_eth0_and_there_is_no_other(text: str) -> None:
    made = in_place_of_default(text, None, make_nad({"type": "ptp"}, "a", "kube-system"))
    assert rows(made) == [("kube-system.a", "eth0")]
    assert networks.parse(networks.encode(made.networks)) == made.networks
    assert made.warnings == ()


def test_the_other_networks_keep_their_places_beside_a_default_network() -> None:
    nad = make_nad(bridge(), "a")
    made = in_place_of_default("test/a@x0", "a,a@y0,a", nad)
    assert rows(made) == [("test.a", "eth0"), ("test.a-2", "net1"), ("test.a-3", "y0"), ("test.a-4", "net3")]
    assert made.warnings == (f"{DEFAULT_PATH}[0].interface: has no effect: its interface is eth0",)


@pytest.mark.parametrize(
    ("config", "entry", "expected"),
    [
        (bridge(DUAL), {}, [(True, True), (False, False)]),
        (bridge(DUAL), {"default-route": ["10.1.0.1"]}, [(False, True), (True, False)]),
        (bridge({}), {}, [(False, False), (False, False)]),
    ],
)
def test_default_routes_lead_over_a_default_network(
    config: Any, entry: dict[str, Any], expected: list[tuple[bool, bool]]
) -> None:
    made = in_place_of_default("test/a", json.dumps([{"name": "a", **entry}]), make_nad(config, "a"))
    assert [(n.is_default_gw4, n.is_default_gw6) for n in made.networks] == expected


def test_a_default_network_has_parameters_too() -> None:
    text = '[{"name":"a","namespace":"test","mac":"02:00:00:00:00:01"}]'
    made = in_place_of_default(text, None, make_nad(bridge(), "a"))
    assert [pair.config.spec.mac for pair in made.attachments] == ["02:00:00:00:00:01"]
    assert made.networks[0].interface_name == "eth0"


@pytest.mark.parametrize(("key", "meant"), names.HISTORIC.items())
def test_historic_keys_are_warned_of(key: str, meant: str) -> None:
    wanted = pods.read(make_pod(None, {key: "a"}), "test")
    assert wanted.selections == ()
    assert wanted.warnings == (f"metadata.annotations[{key}]: has no effect, did you mean {meant}?",)


def test_host_network_and_static_pods_are_left_alone() -> None:
    assert "has no effect" in pods.read(make_pod("broken,", host_network=True), "test").warnings[0]
    assert "static Pod" in pods.read(make_pod("a", {names.MIRROR_POD: "x"}), "test").warnings[0]


def test_our_own_list_is_known_again(translate: Translate) -> None:
    listed = translate("a").networks
    ours = {api_names.NETWORKS_ANNOTATION: networks.encode(listed), names.TRANSLATED: pods.mark(listed)}
    assert pods.is_ours(ours)
    assert pods.is_ours({**ours, api_names.NETWORKS_ANNOTATION: " " + networks.encode(listed)})
    assert not pods.is_ours({**ours, api_names.NETWORKS_ANNOTATION: networks.encode(listed[:1])})
    assert not pods.is_ours({api_names.NETWORKS_ANNOTATION: networks.encode(listed)})
    assert not pods.is_ours({})


_keys = st.sampled_from(["hostPort", "containerPort", "protocol", "hostIP", "ingressRate", "egressBurst", "mac", "x"])
_anything = st.none() | st.booleans() | st.integers(-1, 70000) | st.sampled_from(["tcp", "10.0.0.1", "x", ""])
_entry = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b", "c", "d", "e", "vf", "shared", "nope", ""])},
    optional={
        "namespace": st.sampled_from(["default", "test", "other"]),
        "interface": st.sampled_from(["net1", "net2", "eth0", "x0", "lo", "a/b"]),
        "ips": st.lists(st.sampled_from(["10.1.0.9", "10.1.0.8/24", "10.2.0.1", "fd00::5", "x"]), max_size=3),
        "mac": st.sampled_from(["02:00:00:00:00:01", "01:00:00:00:00:01", "x"]),
        "default-route": st.lists(st.sampled_from(["10.1.0.1", "fd00::1"]), max_size=2),
        "portMappings": _anything | st.lists(st.dictionaries(_keys, _anything, max_size=4), max_size=2),
        "bandwidth": _anything | st.dictionaries(_keys, _anything, max_size=4),
        "cni-args": _anything | st.dictionaries(_keys, _anything, max_size=2),
        "deviceID": _anything,
    },
)


@given(
    st.lists(_entry, max_size=5) | st.lists(st.fixed_dictionaries({"name": st.sampled_from(["a", "b"])}), max_size=40)
)
def test_what_is_not_refused_is_a_valid_list(entries: list[dict[str, Any]]) -> None:
    nads = (make_nad(bridge(), "a"), make_nad(macvlan(), "b"), make_nad(bridge({}), "c"), make_nad(None, "d"))
    known = {n.key: n for n in (*nads, make_nad({"type": "ipvlan"}, "e"))}
    try:
        wanted = pods.read(make_pod(json.dumps(entries)), "test")
        made = pods.translate(wanted, lambda namespace, name: known.get((namespace, name)))
    except InvalidError as error:
        strange = [fault.path for fault in error.faults if not fault.path.startswith(annotation.PATH)]
    else:
        strange = []
        check(entries, made)
    assert not strange


def check(entries: list[dict[str, Any]], made: pods.Translation) -> None:
    if entries:
        assert networks.parse(networks.encode(made.networks)) == made.networks
        assert len(made.networks) == len(entries) + 1
