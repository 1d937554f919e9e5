"""A recorded list of kubectl's commands, through podnet-proxy and directly: the same but for the networks."""

from __future__ import annotations

import difflib
import json
import pathlib
import shlex
import time
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from podnet_tests import proxied
from podnet_tests.proxied import Done, Kubectl

HERE = pathlib.Path(__file__).parent
COMMANDS: list[dict[str, Any]] = yaml.safe_load((HERE / "kubectl_commands.yaml").read_text())
NAMESPACES = ("through-proxy", "without-proxy")
SECONDS = 20


@dataclass(frozen=True)
class Sides:
    """kubectl through the proxy, and directly."""

    proxy: Kubectl
    direct: Kubectl


@pytest.fixture(scope="module")
def sides(proxy: Any, manager: Any, tmp_path_factory: Any) -> Sides:
    """Both, each with a namespace and a directory of manifests."""
    made = []
    for server, namespace in zip((proxy, manager), NAMESPACES, strict=True):
        directory = tmp_path_factory.mktemp(namespace)
        for path in (HERE / "kubectl").glob("*.yaml"):
            text = path.read_text()
            (directory / path.name).write_text(text if server is proxy else proxied.annotated(text))
        made.append(Kubectl(server.kubeconfig, namespace, directory))
        assert made[-1].run("create", "namespace", namespace).code == 0
    return Sides(*made)


@pytest.mark.parametrize("command", COMMANDS, ids=[f"{i:03}-{one['run'][:40]}" for i, one in enumerate(COMMANDS)])
def test_the_same_but_for_the_networks(sides: Sides, command: dict[str, Any]) -> None:
    how = {"lines": command.get("lines", 0), "editor": command.get("editor", "false")}
    through = until(sides.proxy, command["run"], **how)
    direct = until(sides.direct, command.get("direct", command["run"]), **how)
    assert through.code == direct.code, (through, direct)
    assert command.get("shows", "") in through.out + through.err
    if not command.get("differs"):
        for ours, theirs in ((through.out, direct.out), (through.err, direct.err)):
            assert not difference(*(proxied.comparable(*one) for one in zip((ours, theirs), NAMESPACES, strict=True)))


def difference(ours: Any, theirs: Any) -> str:
    """The lines that differ."""
    before, after = (_lines(one) for one in (theirs, ours))
    return "\n".join(difflib.unified_diff(before, after, "direct", "proxy", n=1))


def _lines(found: Any) -> list[str]:
    return (found if isinstance(found, str) else json.dumps(found, indent=1, sort_keys=True)).splitlines()


def until(side: Kubectl, line: str, *, lines: int, editor: str) -> Done:
    """How a command ends once it prints so many lines, or words where it prints one line, and no controller wrote the
    object while kubectl did."""
    deadline = time.monotonic() + SECONDS
    while True:
        done = side.run(*shlex.split(line), editor=editor)
        early = len(done.out.split()) < lines or "the object has been modified" in done.err
        if not early or time.monotonic() > deadline:
            return done
        time.sleep(0.2)


def test_the_list_is_long_enough() -> None:
    assert len(COMMANDS) >= 60
