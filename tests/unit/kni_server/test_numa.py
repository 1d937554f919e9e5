"""NUMA nodes as sysfs tells them."""

from __future__ import annotations

import pathlib

import pytest
from podnet_kni_server import numa


@pytest.mark.parametrize(
    ("text", "expected"), [("1\n", [1]), ("0\n", [0]), ("-1\n", []), ("many\n", []), ("30\n", []), (None, [])]
)
def test_the_device_of_an_interface(tmp_path: pathlib.Path, text: str | None, expected: list[int]) -> None:
    device = tmp_path / "eth1" / "device"
    device.mkdir(parents=True)
    if text is not None:
        (device / "numa_node").write_text(text)
    assert numa.of_interface("eth1", tmp_path) == expected


@pytest.mark.parametrize("name", ["", "br0"])
def test_what_has_no_device(tmp_path: pathlib.Path, name: str) -> None:
    assert numa.of_interface(name, tmp_path) == []
