"""kubectl, and statements about what it answers. Nothing here knows an implementation."""

from __future__ import annotations

import json
import string
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Object = dict[str, Any]
SECONDS = 90.0
NETWORKS = "multinetwork.x-k8s.io/networks"
STATUS = "multinetwork.x-k8s.io/network-status"


class KubectlError(Exception):
    """kubectl ended with an error; the text is what it said."""


class Cluster:
    """The cluster that $KUBECONFIG leads to."""

    def __init__(self, image: str) -> None:
        self.image = image

    def kubectl(self, *words: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run kubectl. Raises KubectlError."""
        done = subprocess.run(
            ["kubectl", *words], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise KubectlError(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def wait(self, what: str, until: str, *flags: str) -> None:
        """kubectl wait."""
        self.kubectl("wait", what, f"--for={until}", f"--timeout={SECONDS:.0f}s", *flags)

    def get(self, what: str, *flags: str) -> Object:
        """One object, or a list."""
        found: Object = json.loads(self.kubectl("get", what, "--output=json", *flags))
        return found


class Place:
    """A namespace for one promise."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self._applied = ""

    def open(self) -> None:
        """Make the namespace."""
        self.cluster.kubectl("create", "namespace", self.namespace)
        eventually(lambda: self.kubectl("get", "serviceaccount", "default", "--ignore-not-found"))

    def close(self) -> None:
        """Take everything away."""
        self.cluster.kubectl("delete", "namespace", self.namespace, "--wait=false")
        if self._applied:
            self.kubectl("delete", "--filename=-", "--ignore-not-found", "--wait=false", stdin=self._applied)

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace. Raises KubectlError."""
        return self.cluster.kubectl("--namespace", self.namespace, *words, stdin=stdin)

    def apply_beside(self, test: Path) -> None:
        """Apply the YAML file of the same name; $IMAGE and $NAMESPACE stand for these."""
        self._applied = self.text(test.with_name(test.stem.removeprefix("test_") + ".yaml"))
        self.kubectl("apply", "--filename=-", stdin=self._applied)

    def text(self, path: Path) -> str:
        """A YAML file with its variables filled in."""
        known = {"IMAGE": self.cluster.image, "NAMESPACE": self.namespace}
        return string.Template(path.read_text()).substitute(known)

    def refused(self, *words: str, stdin: str | None = None) -> str:
        """What the API server says when it refuses; fails when it does not."""
        with pytest.raises(KubectlError) as caught:
            self.kubectl(*words, stdin=stdin)
        return str(caught.value)

    def get(self, what: str) -> Object:
        """An object of the namespace."""
        return self.cluster.get(what, "--namespace", self.namespace)

    def running(self, *pods: str) -> list[Object]:
        """The Pods, once they are ready."""
        for pod in pods:
            self.cluster.wait(f"pod/{pod}", "condition=Ready", "--namespace", self.namespace)
        return [self.get(f"pod/{pod}") for pod in pods]

    def inside(self, pod: str, *words: str) -> str:
        """What a program in a Pod prints."""
        return self.kubectl("exec", pod, "--", *words)

    def reaches(self, pod: str, address: str) -> bool:
        """Whether an address answers from a Pod."""
        try:
            self.inside(pod, "ping", "-c", "2", "-W", "3", address.partition("/")[0])
        except KubectlError:
            return False
        return True


def listed(pod: Object) -> list[Object]:
    """The Pod's list of networks, as it stands in the Pod."""
    found: list[Object] = json.loads(pod["metadata"].get("annotations", {}).get(NETWORKS, "[]"))
    return found


def attached(pod: Object) -> dict[str, Object]:
    """What the Pod's status says of each network."""
    text = pod["metadata"].get("annotations", {}).get(STATUS, "[]")
    return {entry["network"]: entry for entry in json.loads(text)}


def condition(item: Object, kind: str) -> Object:
    """A condition, or an empty one."""
    found = [one for one in item.get("status", {}).get("conditions", ()) if one["type"] == kind]
    return found[0] if found else {"status": "", "reason": "", "message": ""}


def eventually(check: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """What ``check`` gives once it gives something."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = check()
        except (KubectlError, KeyError, IndexError) as error:
            found, failure = None, str(error)
        else:
            failure = f"still {found!r}"
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:.0f} s: {failure}")
        time.sleep(0.5)
