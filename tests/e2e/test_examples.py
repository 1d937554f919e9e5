"""What stands in examples/ is what users apply: a real API server takes each, and what is not the demo's runs here."""

import json
import pathlib

import pytest
import yaml
from podnet_api import names
from podnet_hack.demo.world import EXAMPLES, World
from podnet_tests import objects
from podnet_tests.space import Space

FILES = sorted(path for path in EXAMPLES.glob("*.yaml") if path.name != "multus.yaml")
"""All but the one whose Pod needs the definition before it for real."""


@pytest.fixture(scope="module")
def shown(shared: Space) -> World:
    """Through podnet-proxy: some have the field ``spec.networks``."""
    return shared.world.through_proxy()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_the_api_server_takes_it(shown: World, path: pathlib.Path) -> None:
    shown.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename", str(path))


def test_manifests_for_multus_run_unchanged(space: Space) -> None:
    space.world.apply_file(EXAMPLES / "multus.yaml")
    space.wait_ready("samplepod")
    (address,) = space.world.interfaces("samplepod")["net1"]
    pod = space.world.get("pod", "samplepod")
    _, second = json.loads(pod["metadata"]["annotations"][names.NPWG_STATUS_ANNOTATION])
    assert second["name"] == f"{space.namespace}/macvlan-conf"
    assert [f"{text}/24" for text in second["ips"]] == [address]
    assert address.startswith("192.168.1.2")


def test_a_static_address_and_mac(space: Space) -> None:
    name = space.network("net", vxlan={}, ipam=objects.pool("10.10.0.0/16"))
    example = list(yaml.safe_load_all((EXAMPLES / "static-address.yaml").read_text()))
    example[1]["spec"]["podNetworkName"] = name
    space.make(*example)
    space.wait_ready("fixed")
    assert space.world.interfaces("fixed")["net1"] == ["10.10.200.7/16"]
    assert "02:00:00:00:c8:07" in space.world.inside("fixed", "ip", "link", "show", "dev", "net1")
