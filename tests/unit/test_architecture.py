"""The direction of imports is law: the contracts stand in pyproject.toml."""

import pathlib
import subprocess
import sys

from podnet_hack import paths


def test_rooms_import_only_what_they_may() -> None:
    program = pathlib.Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=paths.CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
