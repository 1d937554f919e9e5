"""The API is free of implementation: a provider with parameters of its own lives beside the first one."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance import kit

REQUIREMENTS = (2, 3, 4, 5, 6, 7)
PROGRAM = Path(__file__).parent / "providers/example.py"


@pytest.fixture
def provider() -> Iterator[None]:
    """The example provider, running."""
    process = subprocess.Popen([sys.executable, str(PROGRAM)])
    yield
    process.kill()
    process.wait()


def test_before_the_provider_comes_nobody_answers_for_it(place: kit.Place) -> None:
    found = kit.eventually(lambda: kit.condition(_network(place), "Ready")["reason"])
    assert found == "ParamsNotReady"
    assert kit.condition(_network(place), "ParamsReady")["status"] == "", "it is not ours to judge"


@pytest.mark.usefixtures("provider")
def test_the_provider_decides(place: kit.Place) -> None:
    kit.eventually(lambda: kit.condition(_network(place), "ParamsReady")["reason"] == "WireNotFound")
    assert kit.condition(_network(place), "Ready")["status"] == "False"
    meta = {"name": f"wire-{place.namespace}"}
    wire = {"apiVersion": "example.com/v1", "kind": "Wire", "metadata": meta, "spec": {"colour": "red"}}
    kit.eventually(lambda: place.kubectl("apply", "--filename=-", stdin=json.dumps(wire)))
    kit.eventually(lambda: kit.condition(_network(place), "Ready")["status"] == "True", 30)
    place.cluster.kubectl("delete", "wire.example.com", meta["name"])


def test_the_handle_holds_no_implementation_detail(place: kit.Place) -> None:
    crd = place.cluster.get("crd/podnetworks.multinetwork.x-k8s.io")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert set(schema["properties"]["spec"]["properties"]) == {"enabled", "provider", "parametersRefs"}


def _network(place: kit.Place) -> kit.Object:
    return place.cluster.get(f"podnetwork/conformance-wire-{place.namespace}")
