"""Manifests written for Multus, translated to ``spec.networks``, run on a cluster that is reached by podnet-proxy."""

import json
import subprocess
import sys
from pathlib import Path

import yaml
from podnet_api import names
from podnet_tests import objects
from podnet_tests.space import Space

BRIDGE = {"type": "bridge", "bridge": "e2etrans0", "ipam": {"type": "host-local", "subnet": "10.140.0.0/24"}}


def _manifests(space: Space) -> str:
    nad = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": "lab"}}
    web = objects.deployment("web", 1, **objects.on_node(space.world.workers()[0]))
    web["spec"]["template"]["metadata"]["annotations"] = {
        names.LEGACY_NETWORKS_ANNOTATION: '[{"name":"lab","interface":"x0","mac":"02:00:00:00:14:01"},{"name":"lab"}]'
    }
    whole = [{**nad, "spec": {"config": json.dumps(BRIDGE)}}, web]
    return yaml.safe_dump_all([{**one, "metadata": {**one["metadata"], "namespace": space.namespace}} for one in whole])


def test_translated_manifests_run(space: Space, tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(_manifests(space))
    argv = [sys.executable, "-m", "podnet_compat.main", "translate", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    made = [one for one in yaml.safe_load_all(done.stdout) if one]
    assert not any(one["kind"] == "NetworkAttachmentDefinition" for one in made)
    assert made[-1]["spec"]["template"]["spec"]["networks"]
    space.world.through_proxy().kubectl("apply", "--filename=-", stdin=done.stdout)
    try:
        space.wait_deployed("web", 1)
        [pod] = space.pods("web")
        found = space.world.interfaces(pod["metadata"]["name"])
        assert sorted(set(found) - {"lo"}) == ["eth0", "net2", "x0"]
        assert all(address.startswith("10.140.0.") for name in ("x0", "net2") for address in found[name])
        assert names.LEGACY_NETWORKS_ANNOTATION not in pod["metadata"]["annotations"]
    finally:
        space.world.kubectl("delete", "deployment", "web")
        for one in made:
            if one["kind"] in {"PodNetwork", "NetworkConfig"}:
                space.world.kubectl("delete", one["kind"], one["metadata"]["name"], "--wait=false")
