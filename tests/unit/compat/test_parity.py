"""Row by row: what a user writes, what Multus 4.3 makes of it, what we make of it, and why where we differ.

``does`` is either the list, as ``network@interface`` (``*`` for one with parameters, ``!4`` and ``!6`` where a
default route leads over it), or ``cannot`` and words of the refusal. What needs a node is not here: rollback of a
Pod whose second network fails, and Pods that are gone, replaced or deleted meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from podnet_api import core, networks
from podnet_api.errors import InvalidError
from podnet_api.meta import ObjectMeta
from podnet_compat import names
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad, NadSpec

HOST_LOCAL = '"ipam":{"type":"host-local","subnet":"10.1.0.0/24","ranges":[[{"subnet":"fd00::/64"}]]}'
CONFIGS: dict[tuple[str, str], str | None] = {
    ("test", "net1"): f'{{"type":"bridge","isGateway":true,{HOST_LOCAL}}}',
    ("test", "net2"): '{"type":"macvlan","master":"eth1","ipam":{"type":"whereabouts","range":"10.2.0.0/24"}}',
    ("test", "mynet"): '{"type":"mynet"}',
    ("test", "file"): None,
    ("test", "full"): '{"type":"mynet","capabilities":{"ips":true,"mac":true,"portMappings":true,"bandwidth":true}}',
    ("test", "vlan"): '{"type":"vlan","master":"eth1","vlanId":5}',
    ("test", "with.dots"): '{"type":"bridge"}',
    ("test", "empty"): "{}",
    ("test", "no-plugins"): '{"plugins":[]}',
    ("test", "broken"): '{"type":"bridge",}',
    ("default", "net1"): '{"type":"bridge"}',
    ("other", "net"): '{"type":"bridge"}',
    ("kube-system", "primary"): '{"type":"ptp"}',
}


@dataclass(frozen=True)
class Row:
    """One behaviour. ``default``: the annotation default-network."""

    text: str | None
    multus: str
    does: str
    why: str = ""
    default: str | None = None
    isolated: bool = False
    warns: tuple[str, ...] = field(default=())


SAME = "default@eth0"
ROWS = [
    Row("", "no networks", ""),
    Row("[]", "no networks", ""),
    Row(" ", "fails: an item without a name", "cannot must name"),
    Row("net1,net2", "both in order", f"{SAME} test.net1@net1 test.net2@net2"),
    Row(" net1 ,\n net2 ", "white space is trimmed", f"{SAME} test.net1@net1 test.net2@net2"),
    Row("other/net", "of another namespace", f"{SAME} other.net@net1"),
    Row("default/net1@my_interface", "underscore is taken", f"{SAME} default.net1@my_interface"),
    Row("net1,net1", "twice", f"{SAME} test.net1@net1 test.net1-2@net2"),
    Row("mynet,mynet,mynet", "thrice", f"{SAME} test.mynet@net1 test.mynet-2@net2 test.mynet-3@net3"),
    Row("net1@x0,net2", "an explicit name consumes an index", f"{SAME} test.net1@x0 test.net2@net2"),
    Row('[{"name":"net1","ipRequest":"a","macRequest":"b"}]', "ignores unknown keys", f"{SAME} test.net1@net1",
        "the user learns what was probably meant", warns=("did you mean 'ips'", "did you mean 'mac'")),
    Row('[{"name":"net1","gateway":["10.1.0.9"]}]', "ignores it", f"{SAME} test.net1@net1",
        "it is said", warns=("asked for by 'default-route'",)),
    Row('[{"NAME":"net1","Interface":"x0"}]', "keys in any case", f"{SAME} test.net1@x0"),
    Row('[{"name":"net1","interfaceRequest":"x0"}]', "the legacy alias", f"{SAME} test.net1@x0", warns=("old name",)),
    Row('[{"name":"with.dots"}]', "a name with dots in JSON", f"{SAME} test.with.dots@net1"),
    Row("with.dots", "fails: the short form", "cannot need the JSON form"),
    Row("[adsfasdfasdfasf]", "fails: JSON", "cannot line 1, column 2", "line, column and a hint"),
    Row("root@someIP/root@someOtherIP/root@thirdIP", "fails at /", "cannot more than one '/'"),
    Row("root@someIP/root@someOtherIP@garbagevalue", "fails at @", "cannot more than one '@'"),
    Row("default/net1@myIfc Name", "fails: interface", "cannot white space"),
    Row("default/net1@very_long_interface_name", "fails: interface", "cannot 15 bytes"),
    Row("absent", "fails when the Pod starts",
        "cannot cannot find a network-attachment-definition (absent) in namespace (test)", "at creation"),
    Row("net1,net2,", "fails: an item without a name", "cannot ends in a comma", "the comma is named"),
    Row("other/net", "fails: isolation", "cannot namespace isolation enabled", isolated=True),
    Row("default/net1", "default is shared", f"{SAME} default.net1@net1", isolated=True),
    Row("mynet", "the NAD's name is injected", f"{SAME} test.mynet@net1"),
    Row("file", "the node's file of that JSON name", f"{SAME} test.file@net1"),
    Row("empty", "fails: no type", "cannot must name the type"),
    Row("no-plugins", "fails: no plugin", "cannot one plugin at least"),
    Row("broken", "fails: JSON", "cannot a comma too many", "line, column and a hint, at creation"),
    Row("[null]", "fails", "cannot JSON object"),
    Row('{"name":"net1"}', "fails: no list", "cannot put the object in [ ]"),
    Row('[{"name":"other/net"}]', "fails: not found", "cannot into 'namespace'", "a hint"),
    Row('[{"name":"net1","interface":"net2"},{"name":"net2"}]', "fails when the second is made",
        "cannot by its place: set 'interface'", "at creation"),
    Row('[{"name":"net1","interface":"eth0"}]', "fails when it is made", "cannot is the interface of the default",
        "at creation"),
    Row('[{"name":"net1","ips":"10.1.0.9/24"}]', "fails: type of ips", "cannot [0].ips"),
    Row('[{"name":"net1","ips":[]}]', "no request", f"{SAME} test.net1@net1"),
    Row('[{"name":"net1","mac":"02-00-00-00-00-01"}]', "in any form of a MAC", f"{SAME} test.net1*@net1",
        warns=("mac: is given",)),
    Row('[{"name":"full","ips":["10.1.0.9/24"],"mac":"02:00:00:00:00:01","bandwidth":{"ingressRate":8},'
        '"portMappings":[{"hostPort":1,"containerPort":2}],"cni-args":{"a":1},"deviceID":"0000:00:01.0"}]',
        "runtimeConfig and args.cni", f"{SAME} test.full*@net1"),
    Row('[{"name":"mynet","ips":["10.1.0.9"]}]', "CNI_ARGS alone carry it", f"{SAME} test.mynet*@net1",
        "it is said", warns=("CNI_ARGS",)),
    Row('[{"name":"mynet","portMappings":[{"hostPort":1,"containerPort":2}]}]', "dropped without a word",
        "cannot mynet does not declare the capability portMappings", "nothing is lost silently"),
    Row('[{"name":"mynet","bandwidth":{"egressRate":5}}]', "dropped without a word",
        "cannot mynet does not declare the capability bandwidth", "nothing is lost silently"),
    Row('[{"name":"vlan","mac":"02:00:00:00:00:01"}]', "dropped without a word",
        f"{SAME} test.vlan*@net1", "nothing is lost silently", warns=("does not declare the capability",)),
    Row('[{"name":"mynet","infiniband-guid":"c2:11:22:33:44:55:66:77"}]', "capability infinibandGUID",
        "cannot infiniband-guid", "not done yet: refused, not lost"),
    Row('[{"name":"mynet","ipam-claim-reference":"c"}]', "ignores it", f"{SAME} test.mynet@net1", "it is said",
        warns=("no address is kept",)),
    Row('[{"name":"mynet","cni-args":{"s":"a"}},{"name":"mynet","cni-args":{"s":"b"}}]', "told apart by arguments",
        f"{SAME} test.mynet*@net1 test.mynet-2*@net2"),
    Row('[{"name":"net1","default-route":["10.1.0.1"]}]', "all other default routes go, of both families",
        f"{SAME} test.net1@net1!4", "IPv6 keeps its own"),
    Row('[{"name":"net1","default-route":["10.1.0.1","fd00::1"]}]', "both families", f"{SAME} test.net1@net1!4!6"),
    Row('[{"name":"net1","default-route":["10.1.0.1"]},{"name":"mynet","default-route":["10.9.0.1"]}]',
        "fails: ECMP", "cannot ECMP"),
    Row('[{"name":"net1","default-route":[]}]', "every default route goes", f"{SAME} test.net1*@net1",
        warns=("no default route",)),
    Row('[{"name":"mynet","default-route":["10.1.0.1"]}]', "that gateway", f"{SAME} test.mynet@net1!4",
        "the plugins' own gateway, which a Pod cannot contradict", warns=("gateway that the plugins name",)),
    Row(None, "fails", "cannot must name one network", default=""),
    Row(None, "fails", "cannot must name one network", default="[]"),
    Row(None, "fails", "cannot must name one network", default="primary,primary"),
    Row(None, "fails: no list", "cannot put the object in [ ]", default='{"name":"primary"}'),
    Row(None, "takes eth0, of kube-system", "kube-system.primary@eth0", default="primary"),
    Row("net1", "takes eth0", "kube-system.primary@eth0 test.net1@net1", default="kube-system/primary"),
    Row("net2", "isolation does not hold for it", "kube-system.primary@eth0 test.net2@net1", default="primary",
        isolated=True),
]  # fmt: skip


def find(namespace: str, name: str) -> Nad | None:
    """The NAD of the table."""
    key = (namespace, name)
    meta = ObjectMeta(name=name, namespace=namespace, uid=f"uid-{name}")
    return Nad(metadata=meta, spec=NadSpec(config=CONFIGS[key])) if key in CONFIGS else None


def translated(row: Row) -> pods.Translation:
    """What becomes of the row's Pod."""
    written = {names.NETWORKS: row.text, names.DEFAULT_NETWORK: row.default}
    given = {key: text for key, text in written.items() if text is not None}
    pod = core.Pod(metadata=ObjectMeta(name="web", namespace="test", annotations=given), spec=core.PodSpec())
    return pods.translate(pods.read(pod, "test", pods.Policy(isolated=row.isolated)), find)


def told(made: pods.Translation) -> str:
    """The list as the table writes it."""
    through = {pair.name: pair.attachment.spec.pod_network_name + "*" for pair in made.attachments}
    return " ".join(
        f"{n.pod_network_name or through[n.pod_network_attachment_name]}@{n.interface_name}"
        + "!4" * n.is_default_gw4
        + "!6" * n.is_default_gw6
        for n in made.networks
    )


@pytest.mark.parametrize("row", ROWS, ids=[json.dumps([row.text, row.default]) for row in ROWS])
def test_row(row: Row) -> None:
    if row.does.startswith("cannot "):
        with pytest.raises(InvalidError) as caught:
            translated(row)
        assert row.does.removeprefix("cannot ") in str(caught.value)
        return
    made = translated(row)
    assert told(made) == row.does
    assert networks.parse(networks.encode(made.networks)) == made.networks
    assert len(made.warnings) == len(row.warns)
    assert all(any(words in warning for warning in made.warnings) for words in row.warns)
