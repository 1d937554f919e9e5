"""The VM itself: it has what it is for."""

import os
import pathlib

import pytest
from podnet_tests import needs


@pytest.mark.parametrize("kind", sorted(needs.LINK_KINDS))
def test_the_kernel_makes_every_kind(kind: str) -> None:
    assert needs.missing(kind) == ""


def test_two_cards_have_virtual_functions() -> None:
    cards = sorted(pathlib.Path("/sys/class/net").glob("*/device/sriov_totalvfs"))
    assert [int(card.read_text()) for card in cards] == [7, 7]


def test_the_machines_own_files_stay_as_they_are() -> None:
    """What is written goes to memory: the root is an overlay over a file system that refuses writing."""
    mounts = [line.split() for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
    assert next(fields[2] for fields in mounts if fields[1] == "/") == "overlay"
    assert next(os.statvfs(fields[1]).f_flag & os.ST_RDONLY for fields in mounts if fields[0] == "root")
