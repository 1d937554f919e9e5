"""The manifests as kustomize renders them."""

from __future__ import annotations

import subprocess
from typing import Any

import yaml
from podnet_hack import paths
from podnet_hack.localcluster import cluster


def overlay(name: str) -> list[dict[str, Any]]:
    """The objects of ``hack/manifests/overlays/<name>``."""
    words = [str(cluster.kubectl_program()), "kustomize", str(paths.CHECKOUT / "hack/manifests/overlays" / name)]
    text = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    return [one for one in yaml.safe_load_all(text) if one]
