"""Network configurations of every version: what is taken, what is refused, and what the error names."""

import json

import pytest
from podnet_kni_server.cni import config
from podnet_kni_server.cni.config import File
from podnet_kni_server.cni.errors import Code, ConfigError, RequestError


def test_a_single_plugin_is_a_list_of_one() -> None:
    found = config.parse('{"cniVersion": "0.3.1", "name": "a", "type": "bridge", "ipam": {"type": "static"}}')
    (plugin,) = found.plugins
    assert (found.name, found.version, plugin.type, plugin.ipam) == ("a", "0.3.1", "bridge", "static")


def test_a_list() -> None:
    text = """{"CniVersion": "1.0.0", "NAME": "a", "disableCheck": "true", "disableGC": true, "bridge": "ignored",
      "plugins": [{"Type": "bridge", "capabilities": {"mac": true, "ips": false}}, {"type": "tuning"}]}"""
    found = config.parse(text)
    assert [plugin.type for plugin in found.plugins] == ["bridge", "tuning"]
    assert found.plugins[0].capabilities == {"mac"}
    assert (found.name, found.version, found.disable_check, found.disable_gc) == ("a", "1.0.0", True, True)


def test_the_name_of_the_network_where_there_is_none() -> None:
    assert config.parse('{"type": "mynet"}', "from-outside").name == "from-outside"
    assert config.parse('{"type": "mynet", "name": "own"}', "from-outside").name == "own"


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({}, "0.1.0"),
        ({"cniVersion": "0.4.0"}, "0.4.0"),
        ({"cniVersion": "0.4.0", "cniVersions": ["0.3.1", "1.0.0"]}, "1.0.0"),
        ({"cniVersions": ["1.1.0", "9.9.0"]}, "1.1.0"),
        ({"cniVersion": "1.2.0", "cniVersions": ["1.0.0", "1.2.0"]}, "1.0.0"),
    ],
)
def test_the_highest_version_that_both_speak(given: dict[str, object], chosen: str) -> None:
    assert config.parse(json.dumps({"type": "a", "name": "a", **given})).version == chosen


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no JSON"),
        ("[]", "must be a JSON object"),
        ('{"name": "a", "type": "b",}', "is no JSON"),
        ('{"name": "a"}', "plugins: must name at least one plugin"),
        ('{"name": "a", "plugins": []}', "plugins: must name at least one plugin"),
        ('{"name": "a", "plugins": [{}]}', "plugins[0].type: must be the name of a plugin's program, is ''"),
        ('{"name": "a", "plugins": [{"type": "../evil"}]}', "plugins[0].type"),
        ('{"name": "a", "plugins": [{"type": 3}]}', "plugins[0].type: must be a string, is a number"),
        ('{"name": "a", "plugins": [null]}', "plugins[0]: must be an object, is null"),
        ('{"name": "a", "plugins": {"type": "a"}}', "plugins: must be a list, is an object"),
        ('{"name": "a", "type": "b", "ipam": {"type": "/bin/sh"}}', "ipam.type"),
        ('{"name": "a", "type": "b", "capabilities": {"mac": "yes"}}', "capabilities.mac: must be true or false"),
        ('{"name": "a", "type": "b", "cniVersion": "4.0.0"}', "4.0.0 is no version of the CNI specification"),
        ('{"name": "a b", "type": "b"}', "cannot use 'a b' as the name"),
        ('{"type": "b"}', "cannot use '' as the name"),
    ],
)
def test_what_cannot_be_used(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"^cannot ") as caught:
        config.parse(text)
    assert words in str(caught.value)
    assert caught.value.code == Code.INVALID_CONFIG


def test_deep_json_is_refused() -> None:
    with pytest.raises(ConfigError):
        config.parse("[" * 100_000)


def test_further_plugins_of_the_folder() -> None:
    text = '{"cniVersion": "1.1.0", "name": "a", "plugins": [{"type": "one"}]}'
    folder = [File("20.conf", '{"type": "three"}'), File("10.conf", '{"type": "two"}')]
    assert [plugin.type for plugin in config.parse(text, "", folder).plugins] == ["one", "two", "three"]


def test_select_by_the_name_inside() -> None:
    files = [
        File("30-late.conf", '{"name": "net", "type": "late"}'),
        File("10-bad.conf", "{"),
        File("11-list.conf", "[]"),
        File("12-odd.conflist", '{"name": 7}'),
        File("20-right.conflist", '{"Name": "net", "plugins": [{"type": "right"}]}'),
        File("05-readme.txt", '{"name": "net", "type": "no configuration"}'),
    ]
    assert "right" in config.select(files, "net")
    with pytest.raises(ConfigError, match=r"cannot find a CNI configuration with the name 'other'"):
        config.select(files, "other")


@pytest.mark.parametrize("name", ["net1", "a" * 15, "my_if.7", "é" * 7])
def test_interface_names(name: str) -> None:
    config.check_interface(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a:b", "a b", "a" * 16, "é" * 8, "a\n"])
def test_interface_names_refused(name: str) -> None:
    with pytest.raises(RequestError, match=r"^cannot use"):
        config.check_interface(name)


@pytest.mark.parametrize("name", ["", "-a", "_a", "a/b", "a\n", "é"])
def test_container_ids_refused(name: str) -> None:
    with pytest.raises(RequestError):
        config.check_container(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [("", "default"), (" \n", "default"), ("{}", "default"), ('{"name": "other"}', "other"), ('{"type": "a"}', None)],
)
def test_a_configuration_without_plugins_stands_for_a_file(text: str, name: str | None) -> None:
    assert config.reference(text, "default") == name
