"""The command ``translate`` on files, and the manifest of the legacy kind."""

from __future__ import annotations

import importlib.resources
import io
from pathlib import Path

import pytest
import yaml
from podnet_compat import main
from podnet_compat.legacy import KIND, Nad

GOOD = """
kind: NetworkAttachmentDefinition
apiVersion: k8s.cni.cncf.io/v1
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


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "objects.yaml"
    made.write_text(GOOD)
    return made


def test_prints_native_manifests(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["translate", "-n", "blue", str(file)]) == 0
    out, err = capsys.readouterr()
    made = list(yaml.safe_load_all(out))
    assert [item["kind"] for item in made] == ["PodNetwork", "NetworkConfig", "PodNetwork", "Pod"]
    assert [item["metadata"]["name"] for item in made] == ["blue.net1", "blue.net1", "blue.net1-2", "web"]
    assert [n["interfaceName"] for n in made[3]["spec"]["networks"]] == ["eth0", "net1", "x0"]
    assert made[3]["metadata"] == {"name": "web"}
    assert (
        f"warning: {file}:5:16: NetworkAttachmentDefinition blue/net1: spec.config.ipam.type: host-local counts" in err
    )
    assert f"{file}:12:34: Pod blue/web: the annotation is gone" in err


def test_check_diff_and_writing(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["translate", "--check", str(file)]) == 1
    assert capsys.readouterr().out == f"{file}\n"
    assert main.main(["translate", "--diff", str(file)]) == 0
    assert "-    k8s.v1.cni.cncf.io/networks: >-\n" in capsys.readouterr().out
    assert file.read_text() == GOOD
    assert main.main(["translate", "-o", str(tmp_path / "new" / "er"), str(file)]) == 0
    assert main.main(["translate", "-i", str(file)]) == 0
    assert file.read_text() == (tmp_path / "new" / "er" / file.name).read_text() != GOOD
    assert main.main(["translate", "--check", str(file)]) == 0


def test_the_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("kind: Service\n"))
    assert main.main(["translate", "-"]) == 0
    assert capsys.readouterr() == ("kind: Service\n", "")


@pytest.mark.parametrize("words", [[], ["-i"], ["--diff"], ["--check"]])
def test_with_a_refusal_nothing_is_written(file: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    file.write_text(GOOD.replace("net1@x0", "net9"))
    assert main.main(["translate", *words, str(file)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "cannot find a network-attachment-definition (net9) in namespace (default)" in err
    assert "net9" in file.read_text()


def test_files_that_cannot_be_read_or_written(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["translate", "/nowhere/x.yaml"]) == 2
    assert "cannot read /nowhere/x.yaml" in capsys.readouterr().err
    assert main.main(["translate", "-o", str(file), str(file)]) == 2
    assert "cannot write" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main.main(["translate", "-i", "--check", str(file)])
    assert caught.value.code == 2


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
