"""The annotation's grammar as tables: what it selects, what is refused where, what is only warned of."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podnet_compat import annotation
from podnet_compat.reader import Notes


def parse(text: str) -> tuple[list[tuple[str, str, str]], Notes]:
    notes = Notes()
    found = annotation.parse(text, "test", notes)
    return [(s.namespace, s.name, s.interface) for s in found], notes


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", []),
        ("[]", []),
        ("net1", [("test", "net1", "")]),
        ("net1,net2", [("test", "net1", ""), ("test", "net2", "")]),
        (" net1 ,\n other/net2@if0 ", [("test", "net1", ""), ("other", "net2", "if0")]),
        ("net1\n, net2\n", [("test", "net1", ""), ("test", "net2", "")]),
        ("default/net1@my_interface", [("default", "net1", "my_interface")]),
        ("other / net1 @ if.0", [("other", "net1", "if.0")]),
        ('[{"name":"net1"}]', [("test", "net1", "")]),
        ('[{"NAME":"net1","Namespace":"other","interface":null}]', [("other", "net1", "")]),
        ('[{"name":"net1","namespace":""}]', [("test", "net1", "")]),
        ('[{"name":"with.dots","interface":"veth12"}]', [("test", "with.dots", "veth12")]),
        ('[{"name":"net1","ips":[],"cni-args":{},"portMappings":[],"deviceID":""}]', [("test", "net1", "")]),
        ('\n  [\n {"name":"net1"}\n ]\n', [("test", "net1", "")]),
    ],
)
def test_selects(text: str, selected: list[tuple[str, str, str]]) -> None:
    found, notes = parse(text)
    assert (found, notes.faults, notes.warnings) == (selected, [], [])


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        (" \n", "[0].name", "must name"),
        ("a,b,", "", "ends in a comma"),
        ("a,,b", "[1].name", "must name"),
        ("a b", "[0].name", "a comma between"),
        ("A", "[0].name", "lower-case"),
        ("with.dots", "[0].name", "JSON form"),
        ("-a", "[0].name", "lower-case"),
        ("Other/a", "[0].namespace", "namespace"),
        ("a@", None, ""),
        ("root@someIP/root@someOtherIP/root@thirdIP", "[0]", "more than one '/'"),
        ("root@someIP/root@someOtherIP@garbagevalue", "[0]", "more than one '@'"),
        ("default/net1@myIfc Name", "[0].interface", "white space"),
        ("default/net1@very_long_interface_name", "[0].interface", "15 bytes"),
        ("[adsfasdfasdfasf]", "", "line 1, column 2"),
        ("[adsfasdfasdfasf]", "", "bare word"),
        ('[{"name":"a",}]', "", "comma too many"),
        ('[{"name":"a"},]', "", "comma too many"),
        ('[{"name":"a"}\n {"name":"b"}]', "", "line 2, column 2"),
        ('[{"name":"a"}\n {"name":"b"}]', "", "comma is missing"),
        ('[{"name":"a" "namespace":"b"}]', "", "comma is missing"),
        ("[{“name”:“a”}]", "", "typographic"),
        ("[{'name':'a'}]", "", "single quotes"),
        ("'[{\"name\":\"a\"}]'", "", "single quotes"),
        ('[{"name":"a"} // mine\n]', "", "no comments"),
        ('[{"name":"a"', "", "too early"),
        ('[{"name": NaN}]', "", "NaN"),
        ('{"name":"a"}', "", "put the object in [ ]"),
        ('"net1,net2"', "", "remove the quotes"),
        ("[null]", "[0]", "JSON object"),
        ('["a"]', "[0]", "JSON object"),
        ("[{}]", "[0].name", "must name"),
        ('[{"name":"other-ns/net"}]', "[0].name", "'namespace'"),
        ('[{"name":1}]', "[0].name", "must be a string"),
        ('[{"name":"a","ips":"10.5.11.14/24"}]', "[0].ips", "must be a list"),
        ('[{"name":"a","ips":["x"]}]', "[0].ips[0]", "IPv4 or IPv6"),
        ('[{"name":"a","ips":["10.1.0.1/255.255.255.0"]}]', "[0].ips[0]", "prefix length"),
        ('[{"name":"a","ips":["fe80::1%eth0"]}]', "[0].ips[0]", "zone"),
        ('[{"name":"a","ips":["10.1.0.1", 5]}]', "[0].ips[1]", "string"),
        ('[{"name":"a","mac":"02:00"}]', "[0].mac", "6 bytes"),
        ('[{"name":"a","mac":"02:00:00:00:00:00:00:01"}]', "[0].mac", "6 bytes"),
        ('[{"name":"a","mac":"01:00:00:00:00:01"}]', "[0].mac", "multicast"),
        ('[{"name":"a","mac":"00:00:00:00:00:00"}]', "[0].mac", "zeros"),
        ('[{"name":"a","infiniband-guid":"c2:11:22:33:44:55"}]', "[0].infiniband-guid", "a GUID of 8 bytes"),
        ('[{"name":"a","cni-args":["x"]}]', "[0].cni-args", "JSON object"),
        ('[{"name":"a","portMappings":[{"hostPort":1}]}]', "[0].portMappings[0].containerPort", "1 to 65535"),
        ('[{"name":"a","portMappings":[{"hostPort":65536,"containerPort":1}]}]', "[0].portMappings[0].hostPort",
         "between 1 and 65535"),
        ('[{"name":"a","portMappings":[{"hostPort":1,"containerPort":1,"protocol":"icmp"}]}]',
         "[0].portMappings[0].protocol", "one of TCP, UDP, SCTP"),
        ('[{"name":"a","portMappings":[{"hostPort":1,"containerPort":1,"hostIP":"x"}]}]',
         "[0].portMappings[0].hostIP", "IPv4 or IPv6"),
        ('[{"name":"a","bandwidth":{"ingressBurst":1}}]', "[0].bandwidth.ingressBurst", "needs ingressRate"),
        ('[{"name":"a","bandwidth":{"egressRate":"1M"}}]', "[0].bandwidth.egressRate", "must be a number"),
        ('[{"name":"a","deviceID":5}]', "[0].deviceID", "must be a string"),
        ('[{"name":"a","ipam-claim-reference":"x","ips":["10.1.0.9"]}]', "[0].ipam-claim-reference", "excludes 'ips'"),
        ('[{"name":"a","default-route":["x"]}]', "[0].default-route[0]", "IPv4 or IPv6"),
    ],
)  # fmt: skip
def test_refuses(text: str, path: str | None, words: str) -> None:
    _, notes = parse(text)
    if path is None:
        assert notes.faults == []
    else:
        assert [fault.path for fault in notes.faults] == [annotation.PATH + path]
        assert words in str(notes.faults[0])


def test_every_fault_is_found_at_once() -> None:
    _, notes = parse('[{"name":"A","mac":"x","ips":["y"]},null,{"name":"b","bandwidth":{"egressBurst":5}}]')
    assert [fault.path.removeprefix(annotation.PATH) for fault in notes.faults] == [
        "[1]", "[0].ips[0]", "[0].mac", "[0].name", "[2].bandwidth.egressBurst"]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("gateway", "default-route"), ("ip", "'ips'"), ("ipRequest", "'ips'"), ("macRequest", "'mac'"),
        ("cniArgs", "'cni-args'"), ("ifname", "'interface'"), ("vlan", "NAD"), ("config", "NAD"),
        ("defaultRoute", "'default-route'"), ("intreface", "'interface'"), ("zzz", "no effect"),
    ],
)  # fmt: skip
def test_unknown_keys_are_warned_of(key: str, words: str) -> None:
    found, notes = parse(json.dumps([{"name": "a", key: "x"}]))
    assert (found, notes.faults) == ([("test", "a", "")], [])
    [warning] = notes.warnings
    assert warning.startswith(f"{annotation.PATH}[0].{key}: unknown key")
    assert words in warning


@pytest.mark.parametrize(
    ("text", "interface"),
    [
        ('[{"name":"a","interfaceRequest":"old0"}]', "old0"),
        ('[{"name":"a","interfaceRequest":"old0","interface":"new0"}]', "new0"),
    ],
)
def test_the_old_name_of_interface(text: str, interface: str) -> None:
    found, notes = parse(text)
    assert found == [("test", "a", interface)]
    assert "old name" in notes.warnings[0]


def test_of_two_spellings_the_last_wins_and_it_is_said() -> None:
    found, notes = parse('[{"Name":"a","name":"b"}]')
    assert found == [("test", "b", "")]
    assert "takes the place of 'Name'" in notes.warnings[0]


@pytest.mark.parametrize("mac", ["02:00:00:00:00:0A", "02-00-00-00-00-0a", "0200.0000.000a"])
def test_mac_forms(mac: str) -> None:
    notes = Notes()
    [found] = annotation.parse(json.dumps([{"name": "a", "mac": mac}]), "test", notes)
    assert found.mac == "02:00:00:00:00:0a"


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    notes = Notes()
    found = annotation.parse(text, "test", notes)
    assert found or notes.faults or not text or text.strip() == "[]" or "[" in text


_keys = st.sampled_from(["name", "namespace", "ips", "mac", "interface", "interfaceRequest", "default-route", "NAME"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys | st.text(max_size=8), inner, max_size=6),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(_keys, _json | st.sampled_from(["a", "eth0", "10.1.0.5/24"]), max_size=4), max_size=4))
def test_any_list_of_objects_is_read_or_refused(value: object) -> None:
    annotation.parse(json.dumps(value), "test", Notes())


def test_depth_is_no_crash() -> None:
    _, notes = parse("[" * 100_000)
    assert "not JSON" in str(notes.faults[0])
    _, notes = parse('[{"name":' + "9" * 5000 + "}]")
    assert "not JSON" in str(notes.faults[0])


def test_half_a_surrogate_pair_can_be_written_again() -> None:
    _, notes = parse('[{"name":"\\ud800"}]')
    str(notes.faults[0]).encode()
