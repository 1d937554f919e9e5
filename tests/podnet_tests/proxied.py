"""kubectl through podnet-proxy and directly, and what both say made comparable.

The direct side is given the same objects with the list in the annotation, as the API server stores it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import subprocess
from typing import Any

import yaml
from podnet_api.proxy import bodies, carriage, carriers, ownership
from podnet_hack.localcluster import cluster

Object = dict[str, Any]
SECONDS = 60
_BY_KIND = {carrier.kind: carrier for carrier in carriers.CARRIERS.values()}
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_OF_THE_MOMENT = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}"), "TIME"),
    (re.compile(r"\b(?:\d+[dhm])*\d+(?:ms|[dhms])\b|<unknown>|<invalid>"), "AGE"),
    (re.compile(r"^(-{3}|\+{3}) /\S+\s.*$", re.MULTILINE), r"\1 FILE"),
    (re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b"), "-NAME"),
    (re.compile(r"resourceVersion: \S+"), "resourceVersion: N"),
    (re.compile(r"/tmp/(LIVE|MERGED)-\d+"), r"/tmp/\1"),
)
_CHANGING = frozenset(("resourceVersion", "uid", "creationTimestamp", "generation", "time", "deletionTimestamp"))


@dataclasses.dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclasses.dataclass(frozen=True)
class Kubectl:
    """The kubectl of the API server's release, with one kubeconfig and namespace."""

    kubeconfig: pathlib.Path
    namespace: str
    directory: pathlib.Path
    """Where it runs, and keeps what it has discovered."""

    def run(self, *argv: str, stdin: str | None = None, editor: str = "false") -> Done:
        """Runs it; a failure is an answer, too."""
        words = [str(cluster.kubectl_program()), f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}"]
        words.append(f"--cache-dir={self.directory / 'cache'}")
        env = {**os.environ, "KUBECTL_EXTERNAL_DIFF": "diff -u", "EDITOR": editor, "HOME": str(self.directory)}
        done = subprocess.run(
            [*words, *argv],
            input=stdin,
            env=env,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def get(self, *argv: str) -> Object:
        """What it prints as JSON."""
        done = self.run("get", *argv, "--output=json")
        assert done.code == 0, done
        found: Object = json.loads(done.out)
        return found


def annotated(text: str) -> str:
    """A manifest with the list in the annotation."""
    items = [item for item in yaml.safe_load_all(text) if item]
    for item in [inner for whole in items for inner in whole.get("items", [whole])]:
        if item.get("kind") in _BY_KIND:
            bodies.lowered(item, _BY_KIND[item["kind"]], None)
    return yaml.safe_dump_all(items, sort_keys=False)


def comparable(text: str, namespace: str) -> Any:
    """An output without what is different from one moment, and one namespace, to the next, and without networks."""
    found = _parsed(text)
    if found is not None:
        return _plain(found, namespace)
    lines = ownership.told(text).replace(namespace, "NAMESPACE").splitlines()
    whole = "\n".join(re.sub(r" +", " ", line).rstrip() for line in lines if carriage.KEY not in line)
    for pattern, word in _OF_THE_MOMENT:
        whole = pattern.sub(word, whole)
    return whole


def _parsed(text: str) -> Any:
    """Objects in JSON or YAML, of which there may be several, or None for another text."""
    try:
        found = [item for item in yaml.safe_load_all(text) if item is not None] if "apiVersion" in text else []
    except yaml.YAMLError:
        return None
    return found if found and all(isinstance(item, dict) for item in found) else None


def _plain(item: Any, namespace: str) -> Any:
    if isinstance(item, list):
        return [_plain(one, namespace) for one in item]
    if isinstance(item, str):
        return comparable(item, namespace) if len(item) < 10_000 else item
    if not isinstance(item, dict):
        return item
    item = dict(item)
    if (carrier := _BY_KIND.get(item.get("kind", ""))) is not None:
        _without_list(item, carrier)
        if not carrier.is_pod:
            _without_progress(item)
    return {key: _plain(value, namespace) for key, value in item.items() if key not in _CHANGING}


def _without_progress(item: Object) -> None:
    """What controllers have come to by now."""
    item.pop("status", None)
    metadata = item.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    annotations.pop("deployment.kubernetes.io/revision", None)
    if not annotations:
        metadata.pop("annotations", None)
    entries = metadata.get("managedFields")
    if entries:
        metadata["managedFields"] = [one for one in entries if one["manager"] != "kube-controller-manager"]


def _without_list(item: Object, carrier: carriers.Carrier) -> None:
    """Both forms of the list go: the test of which form is shown is another one."""
    owner = carriage.mapping(item, *carrier.template) or {}
    (owner.get("spec") or {}).pop(carriage.FIELD, None)
    annotations = (owner.get("metadata") or {}).get("annotations") or {}
    annotations.pop(carriage.KEY, None)
    if not annotations:
        (owner.get("metadata") or {}).pop("annotations", None)
    ownership.stripped((item.get("metadata") or {}).get("managedFields"), carrier)
    applied = ((item.get("metadata") or {}).get("annotations") or {}).get(_LAST_APPLIED)
    if applied:
        before = json.loads(applied)
        _without_list(before, carrier)
        item["metadata"]["annotations"][_LAST_APPLIED] = json.dumps(before, sort_keys=True)
