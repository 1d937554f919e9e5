"""The translators of compat as functions of bytes, for tests/unit/compat, tests/fuzz.py and atheris.

Each raises nothing but what it promises (InvalidError), whatever it is given, and what it makes can be written and read
again. Besides the mutations of bytes (``fuzzing``) there are those of JSON here: most broken bytes are no JSON, and go
no further than its reader.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from podnet_api import core, kni, multinetwork, networks, pools
from podnet_api.errors import InvalidError
from podnet_api.meta import ObjectMeta
from podnet_compat import legacy, names, reservations
from podnet_compat import nad as nads
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad, NadSpec

from podnet_tests import fuzzing, fuzzing_files, translations

Json = Any

_W = {"type": "whereabouts", "range": "10.1.0.5-10.1.0.200/24", "exclude": ["10.1.0.8/30"], "gateway": "10.1.0.1",
      "range_start": "10.1.0.9", "ipRanges": [{"range": "fd00::/64"}], "routes": [{"dst": "10.9.0.0/16"}],
      "network_name": "red", "enable_overlapping_ranges": False, "node_slice_size": "/28"}  # fmt: skip
_H = {"type": "host-local", "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.19",
      "ranges": [[{"subnet": "fd00::/64", "gateway": "fd00::1"}]], "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}],
      "dataDir": "/x"}  # fmt: skip
_S = {"type": "static", "addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}, {"address": "fd00::5/64"}],
      "routes": [{"dst": "192.168.0.0/16"}], "dns": {"nameservers": ["10.0.0.1"], "search": ["a.b"]}}  # fmt: skip
_BASE = {"cniVersion": "1.0.0", "name": "n", "capabilities": {"ips": True, "mac": True}}
_BRIDGE = {**_BASE, "type": "bridge", "bridge": "br1", "isGateway": True, "ipMasq": True, "mtu": 1400, "ipam": _H,
           "hairpinMode": True, "macspoofchk": True, "vlan": 0}  # fmt: skip
PLUGINS: list[dict[str, Any]] = [
    _BRIDGE,
    {**_BASE, "type": "macvlan", "master": "eth1", "mode": "bridge", "ipam": _W},
    {"type": "vlan", "master": "eth1", "vlanId": 5, "ipam": _S},
    {"type": "ipvlan", "master": "eth1", "mode": "l3", "mtu": 1400, "ipam": {"type": "dhcp"}},
    {"type": "ptp", "ipam": _H, "ipMasq": False},
    {"type": "bond", "mode": "802.3ad", "miimon": "100", "linksInContainer": True, "failOverMac": 0,
     "xmitHashPolicy": "layer3+4", "links": [{"name": "net1"}, {"name": "net2"}], "ipam": _W},
    {"type": "host-device", "device": "eth7", "hwaddr": "", "pciBusID": ""},
    {"type": "sriov", "vlan": 5, "vlanQoS": 3, "vlanProto": "802.1q", "spoofchk": "on", "trust": "off",
     "link_state": "auto", "min_tx_rate": 1, "max_tx_rate": 2, "ipam": _W},
    {"type": "tap", "multiQueue": True, "owner": 107},
    {"type": "flannel", "delegate": {"isDefaultGateway": True}},
    {"type": "userspace", "name": "u", "host": {"engine": "vpp", "iftype": "memif", "netType": "interface",
     "memif": {"role": "master", "mode": "ethernet"}}, "container": {"engine": "vpp", "iftype": "memif"}},
]  # fmt: skip
CHAINED: list[dict[str, Any]] = [
    {"type": "tuning", "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}, "promisc": True, "mtu": 1400},
    {"type": "bandwidth", "ingressRate": 1000, "ingressBurst": 1000, "egressRate": 1, "egressBurst": 1},
    {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}},
    {"type": "sbr"},
    {"type": "vrf", "vrfname": "red", "table": 5},
]
_CHAIN = {"cniVersion": "1.0.0", "name": "list", "plugins": [_BRIDGE, *CHAINED[:4]]}
ENTRIES: list[Json] = [
    [{"name": "n0", "ips": ["10.1.0.9/24", "fd00::9"], "mac": "02:00:00:00:00:01", "interface": "x0"}, {"name": "n1"}],
    [{"name": "n1", "namespace": "test", "default-route": ["10.1.0.1"]}, {"name": "n4", "interfaceRequest": "y"}],
    [{"name": "n9", "cni-args": {"a": {"b": 1}}, "deviceID": "0000:03:02.3", "default-route": [],
      "infiniband-guid": "c2:11:22:33:44:55:66:77"}],
    [{"name": "n0", "portMappings": [{"hostPort": 80, "containerPort": 8080, "protocol": "tcp", "hostIP": "10.0.0.1"}],
      "bandwidth": {"ingressRate": 1, "ingressBurst": 2}}, {"name": "n0", "ipam-claim-reference": "c"}],
]  # fmt: skip
SHORT = ["n0,n1", " test/n1@net7 , n2", "n0,n0,n0", "a/b/c@d@e", "n1,", " "]
IPPOOLS: list[Json] = [
    {"network": "", "pools": [{"metadata": {"name": "10.1.0.0-24"}, "spec": {"range": "10.1.0.0/24", "allocations": {
        "1": {"podref": "a/p", "ifname": "net1", "id": "x"}, "200": {"podref": ""}}}}],
     "overlapping": [{"metadata": {"name": "fd00--1"}, "spec": {"podref": "a/q"}}],
     "slices": [{"metadata": {"name": "s"},
                 "status": {"allocations": [{"nodeName": "w", "sliceRange": "10.1.0.0/24"}]}}]},
]  # fmt: skip


class _Reserved(msgspec.Struct):
    network: str
    pools: list[reservations.IPPool]
    overlapping: list[reservations.OverlappingRangeIPReservation]
    slices: list[reservations.NodeSlicePool]


KNOWN: dict[tuple[str, str], Nad] = {}


def _nad(name: str, text: str, annotations: dict[str, str] | None = None) -> Nad:
    meta = ObjectMeta(name=name, namespace="test", annotations=annotations or {}, uid="u")
    return Nad(metadata=meta, spec=NadSpec(config=text))


KNOWN |= {("test", f"n{n}"): _nad(f"n{n}", json.dumps(plugin)) for n, plugin in enumerate(PLUGINS)}


def annotation(data: bytes) -> None:
    """A Pod's annotation: the list that comes out is one that admission takes."""
    text = data.decode(errors="surrogateescape")
    for key in (names.NETWORKS, names.DEFAULT_NETWORK):
        meta = ObjectMeta(name="web", namespace="test", annotations={key: text})
        try:
            wanted = pods.read(core.Pod(metadata=meta, spec=core.PodSpec()), "test")
            made = pods.translate(wanted, lambda namespace, name: KNOWN.get((namespace, name)))
        except InvalidError as error:
            _sayable(error)
            continue
        assert networks.parse(networks.encode(made.networks)) == made.networks
        for pair in made.attachments:
            _again(pair.config, kni.AttachmentConfig)
            _again(pair.attachment, multinetwork.PodNetworkAttachment)


def definition(data: bytes) -> None:
    """A NAD's configuration, with the annotations of one."""
    text = data.decode(errors="replace")
    for beside in ({}, {names.RESOURCE_NAME: "a/b", names.STICKY: "true", names.NODE_SELECTOR: "x=y"}):
        _define(_nad("fuzz", text, beside))


def _define(nad: Nad) -> None:
    try:
        made = nads.translate(nad)
    except InvalidError as error:
        _sayable(error)
        return
    pools.pool_of(made.config)
    _again(made.config, kni.NetworkConfig)
    _again(made.network, multinetwork.PodNetwork)


def nad_object(data: bytes) -> None:
    """A whole NAD as the API server, or a file, has it."""
    try:
        item = msgspec.json.decode(data)
        found = legacy.nad(item if isinstance(item, dict) else {"spec": item}, "test")
    except (ValueError, RecursionError, InvalidError):
        return
    _define(found)


def reserved(data: bytes) -> None:
    """The objects of whereabouts."""
    try:
        found = msgspec.json.decode(data, type=_Reserved)
    except (ValueError, RecursionError):
        return
    given = reservations.of(found.network, found.pools, found.overlapping, found.slices)
    for sticky in (False, True):
        ipam = kni.Ipam(ranges=[kni.Range(cidr="10.1.0.0/24"), kni.Range(cidr="fd00::/64")], sticky=sticky)
        pool = pools.pool_of(kni.NetworkConfig(metadata=ObjectMeta(name="x"), spec=kni.NetworkConfigSpec(ipam=ipam)))
        assert pool is not None
        for block in reservations.holds(pool, reservations.within(pool, given), {}):
            _again(block, kni.IPBlock)


def _sayable(error: InvalidError) -> None:
    """Every fault can be sent as a field error, and has a path."""
    assert error.faults
    for fault in error.faults:
        assert str(fault).isprintable() or str(fault)
        str(fault).encode(errors="surrogateescape")


def _again(item: msgspec.Struct, kind: type[msgspec.Struct]) -> None:
    """What is written is what is read again."""
    assert msgspec.json.decode(msgspec.json.encode(item), type=kind) == item


@dataclass(frozen=True)
class Compat:
    """A translator to be fed; ``seeds`` are JSON values, ``texts`` further good inputs that are none."""

    feed: Callable[[bytes], None]
    seeds: list[Json]
    texts: list[str]
    share: float = 1.0
    """Of the inputs of a run, beside the others: less where one takes milliseconds."""


TARGETS = {
    "compat-annotation": Compat(annotation, ENTRIES, SHORT),
    "compat-nad": Compat(definition, [*PLUGINS, _CHAIN], []),
    "compat-nad-object": Compat(nad_object, [
        {"metadata": {"name": "n", "namespace": "test", "annotations": {names.NODE_SELECTOR: "a=b"}},
         "spec": {"config": json.dumps(plugin)}} for plugin in (*PLUGINS, _CHAIN)], []),
    "compat-whereabouts": Compat(reserved, IPPOOLS, []),
    "compat-pod": Compat(fuzzing_files.pod, fuzzing_files.PODS, []),
    "compat-plan": Compat(fuzzing_files.plan, fuzzing_files.CLUSTER, [], 0.3),
    "compat-manifests": Compat(fuzzing_files.manifests, [], fuzzing_files.FILES, 0.1),
    **{f"compat-of-{family}": Compat(translations.feed, [
        [first, *one.objects[1:]] for one in listed for first in (one.objects[0], *one.more)
    ], []) for family, listed in translations.FAMILIES.items() if listed},
}  # fmt: skip
"""By name; those of other systems by the modules of their examples."""
_VALUES: tuple[Json, ...] = (
    None, True, False, 0, 1, -1, 4095, 65536, 2**63, 1e308, 0.5, "", " ", "x", "eth1", "a/b", "10.1.0.0/24", "10.1.0.5",
    "10.1.0.5/24", "10.1.0.5-10.1.0.9/24", "010.1.0.0/24", "fd00::/64", "fd00::1", "fe80::1%eth0", "::ffff:10.1.0.1",
    "0.0.0.0/0", "255.255.255.255/32", "10.1.0.0/255.255.255.0", "on", "802.3ad", "null", "\0", "ä", "x" * 300,
    [], {}, [[]], [None], [{}], {"": ""}, {"type": "whereabouts"}, ["10.1.0.5", "10.1.0.5"],
)  # fmt: skip


def mutations(target: Compat, chance: random.Random) -> Iterator[bytes]:
    """Good values with something else in places of them, for ever."""
    while True:
        made = json.loads(json.dumps(chance.choice(target.seeds)))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
            made = _changed(made, target, chance)
        yield json.dumps(made, ensure_ascii=chance.random() < 0.5).encode(errors="surrogatepass")


def plain(target: Compat) -> fuzzing.Target:
    """The same for mutations of bytes, and for atheris."""
    seeds = [*(json.dumps(seed).encode() for seed in target.seeds), *(text.encode() for text in target.texts)]
    return fuzzing.Target(target.feed, seeds, translations.WORDS)


def inputs(target: Compat, chance: random.Random) -> Iterator[bytes]:
    """Mutations of either sort, for ever."""
    values, bytes_ = mutations(target, chance) if target.seeds else iter(()), plain(target)
    while True:
        yield from itertools.islice(values, 70)
        yield from fuzzing.mutations(bytes_, chance, 30)


def _changed(value: Json, target: Compat, chance: random.Random) -> Json:
    """``value`` with one change at a random place."""
    if chance.random() < 0.15 or not value or not isinstance(value, dict | list):
        return _other(value, target, chance)
    if isinstance(value, list):
        at = chance.randrange(len(value))
        if chance.random() < 0.1:
            return [*value, value[at]] if chance.random() < 0.5 else value[:at] + value[at + 1 :]
        return [*value[:at], _changed(value[at], target, chance), *value[at + 1 :]]
    key = chance.choice(list(value))
    match chance.randrange(12):
        case 0:
            return {k: v for k, v in value.items() if k != key}
        case 1:
            return {**value, key.upper(): value[key]}
        case 2:
            return {**value, chance.choice(_KEYS): _other(None, target, chance)}
        case _:
            return {**value, key: _changed(value[key], target, chance)}


def _other(value: Json, target: Compat, chance: random.Random) -> Json:
    """Something else in the place of ``value``. JSON inside of a string is changed as JSON."""
    if isinstance(value, str) and value[:1] in {"{", "["} and chance.random() < 0.8:
        return json.dumps(_changed(json.loads(value), target, chance)) if _is_json(value) else value[:-1]
    if isinstance(value, str) and value and chance.random() < 0.4:
        at = chance.randrange(len(value))
        return value[:at] + chance.choice(("", ",", "/", "@", "0", "\n", '"', "…", value)) + value[at + 1 :]
    if chance.random() < 0.2:
        return _part(chance.choice(target.seeds), chance)
    return chance.choice(_VALUES)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _part(value: Json, chance: random.Random) -> Json:
    while isinstance(value, dict | list) and value and chance.random() < 0.7:
        value = chance.choice(list(value.values()) if isinstance(value, dict) else value)
    return value


def _all_keys(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _all_keys(item)


_KEYS = tuple(sorted({key for target in TARGETS.values() for seed in target.seeds for key in _all_keys(seed)}))


def shuffled(value: Json, chance: random.Random) -> Json:
    """``value`` with the keys of its objects in another order."""
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: shuffled(value[key], chance) for key in keys}
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value
