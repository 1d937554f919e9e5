"""Puts podnet into a local cluster: `python -m podnet_hack.deploy --cluster NAME`.

Loads the image, applies the manifests (definitions first: nothing of a kind can be applied before the kind is known),
restarts what runs an older image, and waits until everything is ready. May be run again after every change.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from podnet_hack import errors, image, paths, progress
from podnet_hack.localcluster import cluster

MANIFESTS = paths.CHECKOUT / "hack/manifests/overlays/local"
IMAGE_ANNOTATION = "podnet.local/image"
READY_SECONDS = 120
FIRST = ("CustomResourceDefinition", "Namespace")
WORKLOADS = ("DaemonSet", "Deployment", "StatefulSet")

Object = Mapping[str, Any]


def deploy(name: str, manifests: pathlib.Path = MANIFESTS) -> None:
    """Makes the cluster run podnet as this checkout has it."""
    loaded = image.load(name)
    with progress.step(f"deploying podnet into the cluster {name}"):
        objects = rendered(name, manifests)
        marked = [_marked(one, loaded) for one in objects]
        _apply(name, [one for one in marked if one["kind"] in FIRST])
        _wait_for_definitions(name, marked)
        _apply(name, [one for one in marked if one["kind"] not in FIRST])
    with progress.step("waiting until podnet is ready"):
        for workload in _workloads(marked):
            _wait_for(name, workload)


def rendered(name: str, manifests: pathlib.Path) -> list[Object]:
    """The objects of a kustomization."""
    text = cluster.kubectl(name, "kustomize", str(manifests))
    return [one for one in yaml.safe_load_all(text) if one]


@dataclasses.dataclass(frozen=True)
class Workload:
    """Something whose Pods run podnet's image."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}"


def _marked(one: Object, loaded: str) -> Object:
    """A workload of ours with the image's digest on its Pods: they restart when it changes, and only then."""
    if not _runs_our_image(one):
        return one
    copy: dict[str, Any] = json.loads(json.dumps(one))
    metadata = copy["spec"]["template"].setdefault("metadata", {})
    metadata.setdefault("annotations", {})[IMAGE_ANNOTATION] = loaded
    return copy


def _runs_our_image(one: Object) -> bool:
    if one["kind"] not in WORKLOADS:
        return False
    spec = one["spec"]["template"]["spec"]
    containers = [*spec["containers"], *spec.get("initContainers", ())]
    return any(container["image"] == image.PROGRAMS for container in containers)


def _workloads(objects: Iterable[Object]) -> list[Workload]:
    return [
        Workload(one["kind"], one["metadata"].get("namespace", "default"), one["metadata"]["name"])
        for one in objects
        if _runs_our_image(one)
    ]


def _apply(name: str, objects: list[Object]) -> None:
    if objects:
        # Server-side: a definition is too large for the annotation that the client's way keeps.
        flags = ("--server-side", "--force-conflicts", "--field-manager=podnet-deploy", "--filename=-")
        cluster.kubectl(name, "apply", *flags, stdin=yaml.safe_dump_all(objects))


def _wait_for_definitions(name: str, objects: Iterable[Object]) -> None:
    names = [one["metadata"]["name"] for one in objects if one["kind"] == "CustomResourceDefinition"]
    if names:
        limit = f"--timeout={READY_SECONDS}s"
        cluster.kubectl(name, "wait", "--for=condition=Established", limit, *(f"crd/{one}" for one in names))


def _wait_for(name: str, workload: Workload) -> None:
    place = f"--namespace={workload.namespace}"
    try:
        cluster.kubectl(name, place, "rollout", "status", str(workload), f"--timeout={READY_SECONDS}s")
    except errors.CommandError as cause:
        pods = cluster.kubectl(name, place, "get", "pods", "--output=wide")
        raise errors.NotReadyError(
            f"cannot get {workload} ready within {READY_SECONDS} s; its Pods:\n{pods}"
        ) from cause


def main(argv: list[str]) -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="deploy", description=__doc__)
    parser.add_argument("--cluster", default="podnet")
    deploy(parser.parse_args(argv).cluster)


if __name__ == "__main__":
    sys.exit(errors.reported(lambda: main(sys.argv[1:])))
