"""``podnet-compat translate FILE...``: what NADs and Pods in YAML files become, without a cluster.

Prints native objects as YAML: those of each NAD, and each Pod with its list and attachments. Errors and
warnings go to stderr; the exit status is 1 when something was refused. ``-`` is the standard input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml
from podnet_api import core, networks
from podnet_api import names as api_names
from podnet_api.errors import InvalidError, PodnetError
from podnet_api.faults import Fault, FaultType
from podnet_api.kube import manifest

from podnet_compat import legacy, names
from podnet_compat import nad as nads
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad

_NAMESPACE = "default"
Objects = list[dict[str, Any]]


class FileError(PodnetError):
    """A file cannot be read."""


def main(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="podnet-compat translate", description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("-n", "--namespace", default=_NAMESPACE, help="of objects that do not say their own")
    options = parser.parse_args(arguments)
    try:
        objects = [item for file in options.files for item in _objects(file)]
    except FileError as error:
        print(error, file=sys.stderr)
        return 1
    made, errors, warnings = translate(objects, options.namespace)
    if made:
        print(yaml.safe_dump_all(made, sort_keys=False, allow_unicode=True), end="")
    for line in (*warnings, *errors):
        print(line, file=sys.stderr)
    return 1 if errors else 0


def translate(objects: Iterable[dict[str, Any]], namespace: str) -> tuple[Objects, list[str], list[str]]:
    """Native objects, errors and warnings for ``objects``."""
    made: Objects = []
    errors: list[str] = []
    warnings: list[str] = []
    known: dict[tuple[str, str], Nad] = {}
    listed = sorted(objects, key=lambda item: item.get("kind") != legacy.KIND)
    for item in listed:
        try:
            new, said = _translated(item, namespace, known)
        except InvalidError as error:
            errors.append(str(error))
        else:
            made += [one for one in new if one not in made]
            warnings += said
    return made, errors, warnings


def _translated(
    item: dict[str, Any], namespace: str, known: dict[tuple[str, str], Nad]
) -> tuple[Objects, Iterable[str]]:
    if item.get("kind") == legacy.KIND:
        nad = legacy.nad(item, namespace)
        known[nad.key] = nad
        native = nads.translate(nad)
        return [manifest(native.network), manifest(native.config)], _said(nad.subject, native.warnings)
    if item.get("kind") == "Pod":
        return _pod(item, namespace, known)
    return [], [f"{item.get('kind', 'object without kind')}: is neither a NAD nor a Pod"]


def _pod(item: dict[str, Any], namespace: str, known: dict[tuple[str, str], Nad]) -> tuple[Objects, Iterable[str]]:
    clean = legacy.without_nulls(item)
    pod = _read_pod(clean)
    wanted = pods.read(pod, pod.metadata.namespace or namespace)
    translation = pods.translate(wanted, lambda space, name: known.get((space, name)))
    made = [manifest(nads.network(f.nad, f.name, names.network(*f.nad.key))) for f in translation.further]
    for pair in translation.attachments:
        made += [manifest(pair.attachment), manifest(pair.config)]
    if translation.networks:
        added = {
            api_names.NETWORKS_ANNOTATION: networks.encode(translation.networks),
            names.TRANSLATED: pods.mark(translation.networks),
        }
        meta = {**clean["metadata"], "annotations": {**pod.metadata.annotations, **added}}
        clean = {**clean, "metadata": meta}
    return [*made, clean], _said(wanted.subject, translation.warnings)


def _read_pod(item: dict[str, Any]) -> core.Pod:
    try:
        return msgspec.convert({"metadata": {}, **item}, core.Pod)
    except msgspec.ValidationError as error:
        raise InvalidError("a Pod", [Fault("", FaultType.INVALID, str(error))]) from error


def _said(subject: str, warnings: Iterable[str]) -> list[str]:
    return [f"warning: {subject}: {warning}" for warning in warnings]


def _objects(file: str) -> Objects:
    """The objects of a file, those of a List one by one."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        documents = list(yaml.safe_load_all(text))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FileError(f"cannot read {file}: {error}") from error
    found = [
        item for document in documents if isinstance(document, dict) for item in document.get("items") or [document]
    ]
    return [item for item in found if isinstance(item, dict)]
