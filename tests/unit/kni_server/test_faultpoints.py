"""Named points: each stands in the code once, and nothing happens there unless the environment says so."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import sys
from collections import Counter

import podnet_kni_server
import pytest
from podnet_kni_server import faultpoints

SCRIPT = """
from podnet_kni_server import faultpoints
faultpoints.reached("attach.begun")
faultpoints.reached("attach.leased")
print("lives")
"""
CALL = re.compile(r'faultpoints\.reached\("(.*?)"\)')


def run(fault: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {faultpoints.ENVIRONMENT: fault}
    return subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)


def test_each_point_stands_in_the_code_once() -> None:
    sources = pathlib.Path(podnet_kni_server.__file__).parent.rglob("*.py")
    found = Counter(
        name for path in sources for name in re.findall(r'faultpoints\.reached\("(.*?)"\)', path.read_text())
    )
    assert found == Counter(faultpoints.POINTS)


@pytest.mark.parametrize("fault", ["", "attach.recorded", "/no/such/file"])
def test_it_lives(fault: str) -> None:
    assert run(fault).stdout == "lives\n"


def test_it_dies_at_the_point_that_is_named() -> None:
    died = run("attach.leased")
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "")


def test_a_file_may_name_it(tmp_path: pathlib.Path) -> None:
    (tmp_path / "fault").write_text("attach.begun\n")
    assert run(str(tmp_path / "fault")).returncode == -signal.SIGKILL
