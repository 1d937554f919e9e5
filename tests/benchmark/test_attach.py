"""`make bench`: the attach against its floor. It fails only when a measurement fails: a busy machine is no fault."""

import os
import shutil

import pytest
from benchmark import run


@pytest.mark.needs("root")
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("cc") is None, reason="needs root and a C compiler")
def test_attach_against_the_floor(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        records = run.run(200)
    assert [record["name"] for record in records] == [
        "attach", "detach", "attach, anti-spoofing", "detach, anti-spoofing",
    ]  # fmt: skip
