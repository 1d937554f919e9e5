"""The kubelet's probes reach a Pod over a network that takes the default one's place."""

from pathlib import Path

import pytest
from conformance import kit

REQUIREMENTS = (19,)
POD = Path(__file__).with_name("probes_pod.yaml")


def test_it(place: kit.Place) -> None:
    try:
        place.kubectl("apply", "--filename=-", stdin=place.text(POD))
    except kit.KubectlError as error:
        if "eth0" not in str(error):
            raise
        pytest.skip(f"here no network takes the default one's place (podnet: overlays/cni-shim): {error}")
    [pod] = place.running("probed")
    own = kit.attached(pod)[f"primary-{place.namespace}"]["addresses"]
    assert pod["status"]["podIP"] in [text.partition("/")[0] for text in own]
