"""The table of what Multus' users rely on (parity.yaml), row by row; docs/multus-parity.md is made from it.

Rows about Pods, NADs and manifests are carried out here. Those that need a node are in tests/e2e/test_parity.py, and
some are shown by tests elsewhere: that those exist is looked at here.
"""

from __future__ import annotations

import ast
import functools
import json
from typing import Any

import msgspec
import pytest
import yaml
from podnet_api import core, kni, networks
from podnet_api.errors import InvalidError
from podnet_api.meta import ObjectMeta
from podnet_compat import legacy, main, names
from podnet_compat import nad as nads
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad, NadSpec
from podnet_hack import parity, paths
from podnet_hack.parity import Row

TABLE = parity.read()
E2E = "tests/e2e/test_parity.py"
SAME = "default@eth0"


def _rows(field: str) -> pytest.MarkDecorator:
    """The rows that have this field."""
    found = [row for row in TABLE.rows if getattr(row, field) not in (None, "")]
    return pytest.mark.parametrize("row", found, ids=[row.key for row in found])


def find(namespace: str, name: str) -> Nad | None:
    """The NAD of the table."""
    key = f"{namespace}/{name}"
    meta = ObjectMeta(name=name, namespace=namespace, uid=f"uid-{name}")
    return Nad(metadata=meta, spec=NadSpec(config=TABLE.nads[key])) if key in TABLE.nads else None


def told(listed: tuple[networks.Network, ...], through: dict[str, str]) -> str:
    """The list as the table writes it; ``through``: networks of attachments."""
    words = [
        f"{n.pod_network_name or through[n.pod_network_attachment_name] + '*'}@{n.interface_name}"
        + "!4" * n.is_default_gw4
        + "!6" * n.is_default_gw6
        for n in listed
    ]
    return " ".join("=" if word == SAME else word for word in words)


def check(row: Row, made: str, warnings: tuple[str, ...]) -> None:
    """What came of it is what the row says."""
    assert made == row.does
    assert len(warnings) == len(row.warns), warnings
    assert all(words in warning for words, warning in zip(row.warns, warnings, strict=True)), warnings


def refused(row: Row) -> Any:
    """Expects the row's refusal."""
    return pytest.raises(InvalidError, match=r"(?s).*" + _literal((row.does or "").removeprefix("cannot ")))


def _literal(text: str) -> str:
    return "".join("\\" + c if not c.isalnum() and not c.isspace() else c for c in text)


PODS = [row for row in TABLE.rows if row.text is not None or row.default is not None]


@pytest.mark.parametrize("row", PODS, ids=[row.key for row in PODS])
def test_pod(row: Row) -> None:
    policy = main.policy(main.parser().parse_args(row.flags))
    written = {names.NETWORKS: row.text, names.DEFAULT_NETWORK: row.default}
    given = {key: text for key, text in written.items() if text is not None}
    meta = ObjectMeta(name="web", namespace="test", annotations=given)
    _check_pod(row, core.Pod(metadata=meta, spec=core.PodSpec()), policy)


def _check_pod(row: Row, pod: core.Pod, policy: pods.Policy | None = None) -> None:
    if (row.does or "").startswith("cannot "):
        with refused(row):
            pods.translate(pods.read(pod, "test", policy), find)
        return
    made = pods.translate(pods.read(pod, "test", policy), find)
    through = {pair.name: pair.attachment.spec.pod_network_name for pair in made.attachments}
    check(row, told(made.networks, through), made.warnings)
    assert networks.parse(networks.encode(made.networks)) == made.networks


@_rows("nad")
def test_nad(row: Row) -> None:
    given = dict(row.nad or {})
    metadata = {"name": "x", "namespace": "test", "annotations": given.pop("annotations", {})}
    nad = legacy.nad({"metadata": metadata, **({"spec": given} if given else {})})
    if (row.does or "").startswith("cannot "):
        with refused(row):
            nads.translate(nad)
        return
    made = nads.translate(nad)
    spec = msgspec.to_builtins(made.config.spec)
    datapath = next(key for key in kni.DATAPATHS if key in spec)
    warnings = made.warnings if row.warns or datapath != "cni" else _without_the_reason(made.warnings)
    check(row, datapath, warnings)
    if datapath == "cni":
        assert json.loads(spec["cni"]["config"]).get("name") in {"x", "own"}


def _without_the_reason(warnings: tuple[str, ...]) -> tuple[str, ...]:
    """Why plugins attach it is said of every such NAD."""
    return tuple(warning for warning in warnings if "attach it" not in warning)


@_rows("yaml")
def test_manifest(row: Row) -> None:
    metadata = {"name": "web", "namespace": "test", **yaml.safe_load(row.yaml or "")}
    item = {"metadata": metadata, "spec": {"containers": [{"name": "app"}], **row.spec}}
    _check_pod(row, msgspec.convert(legacy.without_nulls(item), core.Pod))


@functools.cache
def _functions(path: str) -> frozenset[str]:
    tree = ast.parse((paths.CHECKOUT / path).read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return frozenset(node.name for node in found if node.name.startswith("test_"))


@_rows("test")
def test_row_has_its_test_elsewhere(row: Row) -> None:
    path, _, name = row.test.partition("::")
    assert name in _functions(path)


@_rows("node")
def test_row_has_its_test_on_a_cluster(row: Row) -> None:
    assert f"test_{row.node}" in _functions(E2E)


def test_every_row_is_a_test_and_stands_once() -> None:
    shown = [row for row in TABLE.rows if row.does is not None or row.node or row.test]
    assert len(shown) == len({row.key for row in TABLE.rows}) == len(TABLE.rows) >= 80
