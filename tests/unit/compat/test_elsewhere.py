"""NADs that another system attaches by itself are refused, not handed to a plugin that would attach nothing."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_api.errors import InvalidError
from podnet_compat import legacy
from podnet_compat import nad as nads
from podnet_tests.foreign_objects import nad


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (nad("n", None, **{"openstack.org/kuryr-config": "{}"}), "kuryr-config]: Unsupported value: kuryr attaches"),
        (nad("n", "broken", **{"opencontrail.org/cidr": "x"}), "opencontrail.org/cidr]: Unsupported value: Tungsten"),
        (nad("n", {"type": "contrail-k8s-cni"}), "spec.config.type: Unsupported value: Tungsten Fabric attaches"),
        (nad("n", {"type": "antrea", "networkType": "vlan"}), "spec.config.networkType: Unsupported value: Antrea"),
    ],
)
def test_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        nads.translate(legacy.nad(given))
    assert words in str(caught.value)


def test_the_plugin_antrea_of_the_primary_network_is_a_plugin() -> None:
    assert nads.translate(legacy.nad(nad("n", {"type": "antrea", "ipam": {"type": "host-local"}}))).config.spec.cni
