"""The command ``translate`` on whole files, and the manifest of the legacy kind."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import pytest
import yaml
from podnet_compat import main
from podnet_compat.legacy import KIND, Nad

GOOD = """
kind: NetworkAttachmentDefinition
metadata: {name: net1, labels: null}
spec: {config: '{"type":"macvlan","master":"eth1","ipam":{"type":"host-local","subnet":"10.1.0.0/24"}}'}
---
apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations:
    k8s.v1.cni.cncf.io/networks: >-
      net1,
      net1@x0
spec: {containers: [{name: c, image: i}]}
"""


def run(tmp_path: Path, text: str, *words: str) -> int:
    file = tmp_path / "objects.yaml"
    file.write_text(text)
    return main.main(["translate", *words, str(file)])


def test_prints_native_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, GOOD, "-n", "blue") == 0
    out, err = capsys.readouterr()
    made = list(yaml.safe_load_all(out))
    assert [item["kind"] for item in made] == ["PodNetwork", "NetworkConfig", "PodNetwork", "Pod"]
    assert [item["metadata"]["name"] for item in made] == ["blue.net1", "blue.net1", "blue.net1-2", "web"]
    assert made[3]["spec"] == {"containers": [{"name": "c", "image": "i"}]}
    assert "net1@x0" in made[3]["metadata"]["annotations"]["k8s.v1.cni.cncf.io/networks"]
    assert '"interfaceName":"x0"' in made[3]["metadata"]["annotations"]["multinetwork.x-k8s.io/networks"]
    assert err.startswith("warning: NetworkAttachmentDefinition blue/net1: spec.config.ipam.type: host-local counts")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("net1@x0", "net9"), "cannot accept Pod default/web: metadata.annotations"),
        (GOOD.replace("macvlan", "a/b"), "cannot accept NetworkAttachmentDefinition default/net1: spec.config.type"),
        ("kind: NetworkAttachmentDefinition\nmetadata: {name: 5}", "cannot accept NetworkAttachmentDefinition"),
        ("kind: Pod\nmetadata: {name: 5}", "cannot accept a Pod"),
        ("a: [", "cannot read"),
    ],
)
def test_errors_go_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    assert run(tmp_path, text) == 1
    assert words in capsys.readouterr().err


def test_other_kinds_lists_and_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "kind: List\nitems: [{kind: Service}]\n---\n---\n5") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "Service: is neither a NAD nor a Pod\n"


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["translate", "/nowhere/x.yaml"]) == 1
    assert "cannot read /nowhere/x.yaml" in capsys.readouterr().err


def test_no_api_server_to_be_found(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="cannot read kubeconfig"):
        main.main(["--kubeconfig", str(tmp_path / "absent")])


def test_the_manifest_is_of_the_kind_that_is_read() -> None:
    crd = yaml.safe_load(importlib.resources.files("podnet_compat").joinpath("crd.yaml").read_text())
    spec, resource = crd["spec"], Nad.resource
    assert (spec["group"], spec["names"]["plural"], spec["scope"]) == (resource.group, resource.plural, "Namespaced")
    assert (spec["names"]["kind"], tuple(spec["names"]["shortNames"])) == (KIND, resource.short_names)
    assert [version["name"] for version in spec["versions"]] == [resource.version]
    assert crd["metadata"]["name"] == f"{resource.plural}.{resource.group}"
